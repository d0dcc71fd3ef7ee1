package stream

import (
	"io"
	"math"
	"slices"
	"time"

	"github.com/godstream/godstream/codec"
)

// Option adjusts an operator or an output. Which ones it can be given to is said
// in its comment; elsewhere it is a fault.
type Option struct {
	name  string
	ops   []string // empty: all
	apply func(*nodeConfig)
}

type nodeConfig struct {
	name       string
	n          int
	writer     io.Writer
	location   *time.Location
	descending bool
	keep       int
	timeout    time.Duration
	initial    any // []Pair[K, S]
	codec      any // codec.Codec[S]
	named      bool
	fault      string
}

// Name names the operator in [App.Explain], in errors, in statistics and in
// checkpoints. Without it, the name is the operation and its ordinal among the
// same operations ("map-3"), which changes when one is inserted before it: name
// what keeps state.
func Name(name string) Option {
	return Option{name: "Name", apply: func(c *nodeConfig) {
		c.name, c.named = name, true
		if name == "" {
			c.fault = "Name is empty"
		}
	}}
}

// N is how many elements [Print] prints of each batch. The default is 10.
func N(n int) Option {
	return Option{name: "N", ops: []string{"print"}, apply: func(c *nodeConfig) {
		c.n = n
		if n < 0 {
			c.fault = "N is negative"
		}
	}}
}

// All makes [Print] print every element.
func All() Option { return N(math.MaxInt) }

// Writer is where [Print] prints to. The default is os.Stdout.
func Writer(w io.Writer) Option {
	return Option{name: "Writer", ops: []string{"print"}, apply: func(c *nodeConfig) {
		c.writer = w
		if w == nil {
			c.fault = "Writer is nil"
		}
	}}
}

// Location is the time zone in which [Print] prints the times of batches. The
// default is UTC in a replay, so that it prints the same everywhere, and the
// local one else.
func Location(l *time.Location) Option {
	return Option{name: "Location", ops: []string{"print"}, apply: func(c *nodeConfig) {
		c.location = l
		if l == nil {
			c.fault = "Location is nil"
		}
	}}
}

// Descending makes [SortBy] put the greatest first.
func Descending() Option {
	return Option{name: "Descending", ops: []string{"sortBy"}, apply: func(c *nodeConfig) { c.descending = true }}
}

// KeepFailures is how many failed elements of a batch [TryMap] and [Decode] keep
// for the failed stream; the others are counted and logged. The default is
// 100,000.
func KeepFailures(n int) Option {
	return Option{name: "KeepFailures", ops: []string{"tryMap", "decode"}, apply: func(c *nodeConfig) {
		c.keep = n
		if n < 0 {
			c.fault = "KeepFailures is negative"
		}
	}}
}

// Timeout makes [MapWithState] forget a key that has had no data for longer than
// d of batch time.
func Timeout(d time.Duration) Option {
	return Option{name: "Timeout", ops: []string{"mapWithState"}, apply: func(c *nodeConfig) {
		c.timeout = d
		if d <= 0 {
			c.fault = "Timeout is not positive"
		}
	}}
}

// InitialState gives [UpdateStateByKey] and [MapWithState] states to begin with,
// of keys that take part from the first batch on. They do not count in a program
// that goes on with what the operator kept. The slice must not be changed.
func InitialState[K comparable, S any](states []Pair[K, S]) Option {
	return Option{name: "InitialState", ops: []string{"updateStateByKey", "mapWithState"}, apply: func(c *nodeConfig) { c.initial = states }}
}

// StateCodec is how an operator's states, or the elements or values that a window
// keeps, are written to a checkpoint, for types that have no built-in form: those
// with unexported fields, interfaces, functions or channels.
func StateCodec[S any](of codec.Codec[S]) Option {
	return Option{name: "StateCodec", ops: []string{"updateStateByKey", "mapWithState", "window", "reduceByWindow", "reduceByKeyAndWindow", "groupByKeyAndWindow"},
		apply: func(c *nodeConfig) { c.codec = of }}
}

// options applies opts for an operation, noting those that make no sense.
func (a *App) options(op string, opts []Option) nodeConfig {
	c := nodeConfig{n: 10, keep: 100_000}
	for _, o := range opts {
		switch {
		case o.apply == nil:
			a.reject("%s: an Option is zero; use the functions that make one", op)
		case len(o.ops) > 0 && !slices.Contains(o.ops, op):
			a.reject("%s: option %s has no effect here, only on %v", op, o.name, o.ops)
		default:
			if o.apply(&c); c.fault != "" {
				a.reject("%s: %s", op, c.fault)
				c.fault = ""
			}
		}
	}
	return c
}
