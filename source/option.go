package source

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Option adjusts a source of this package. Which ones it can be given to is said
// in its comment; elsewhere it is a fault, which stream.From reports.
type Option struct {
	name  string
	takes []string // kinds of sources
	apply func(*settings)
}

type settings struct {
	kind      string
	once      bool
	newOnly   bool
	recursive bool
	settle    time.Duration
	maxRecord int
	match     func(path string) bool
	time      any // func(R) time.Time
	size      any // func(R) int
	faults    []error
}

// Once makes [Socket] end when the other side closes the connection, and [Dir],
// [DirFiles] and [DirRecords] when the files have been read that are there when
// the App starts, each up to its size at that moment.
func Once() Option {
	return Option{"Once", []string{"Socket", "Dir", "DirFiles", "DirRecords"}, func(s *settings) { s.once = true }}
}

// NewOnly makes [Dir], [DirFiles] and [DirRecords] leave out what is there when
// the App starts: only new files are read, and what is added to old ones. With a
// checkpoint, that is what is new since its first batch.
func NewOnly() Option {
	return Option{"NewOnly", []string{"Dir", "DirFiles", "DirRecords"}, func(s *settings) { s.newOnly = true }}
}

// Recursive makes [Dir], [DirFiles] and [DirRecords] read the directories within
// the directory too, but for those whose names begin with "." or "_", and for
// symbolic links to directories, which may form circles.
func Recursive() Option {
	return Option{"Recursive", []string{"Dir", "DirFiles", "DirRecords"}, func(s *settings) { s.recursive = true }}
}

// Match makes [Dir], [DirFiles] and [DirRecords] read the files for which f is
// true, whatever their names are. Without it they leave out those that look
// unfinished: names that begin with "." or "_" or end in ".tmp", ".part",
// ".partial", ".filepart" or "._COPYING_".
func Match(f func(path string) bool) Option {
	return Option{"Match", []string{"Dir", "DirFiles", "DirRecords"}, func(s *settings) {
		if s.match = f; f == nil {
			s.fault("Match: the function is nil")
		}
	}}
}

// Settle is for how long a file in a [Dir], [DirFiles] or [DirRecords] must not
// have changed to count as complete: then a last line without an end is given,
// or the whole file. The default is 10 seconds; 0 is right for files that are
// moved in when they are complete. A time of change that is past counts, so with a
// file server whose clock is behind, give that much more.
func Settle(d time.Duration) Option {
	return Option{"Settle", []string{"Dir", "DirFiles", "DirRecords"}, func(s *settings) {
		if s.settle = d; d < 0 {
			s.fault("Settle is negative: %v", d)
		}
	}}
}

// MaxRecord is how many bytes a line of a [Socket], [Dir] or [File], or a file of
// [DirFiles], may have. A longer one is left out: it is counted in
// Stats.Rejected and logged with its place. The default is 1 MiB for lines and 64
// MiB for files.
func MaxRecord(bytes int) Option {
	return Option{"MaxRecord", []string{"Socket", "Dir", "File", "DirFiles"}, func(s *settings) {
		if s.maxRecord = bytes; bytes <= 0 {
			s.fault("MaxRecord is not positive: %d", bytes)
		}
	}}
}

// Time says when a record was made; only replays by record time ask. The zero
// time means that the record does not tell, so it gets that of the one before it.
// Without Time, records of a file get the time at which the file was changed
// last; [Func], and [Socket] with [Once], can't be replayed.
//
//	readings := source.File("readings.csv", source.Time(func(l source.Line) time.Time { … }))
func Time[R any](f func(R) time.Time) Option {
	return Option{"Time", []string{"Socket", "Dir", "DirFiles", "DirRecords", "File", "Func"}, func(s *settings) {
		if s.time = f; f == nil {
			s.fault("Time: the function is nil")
		}
	}}
}

// Size says about how many bytes an element of a [Func] keeps alive. Without it
// they count as 64 each and their own size, without what they point to.
func Size[T any](f func(T) int) Option {
	return Option{"Size", []string{"Func"}, func(s *settings) {
		if s.size = f; f == nil {
			s.fault("Size: the function is nil")
		}
	}}
}

// configure applies opts to a kind of source.
func configure(kind string, defaults settings, opts []Option) settings {
	s := defaults
	s.kind = kind
	for _, o := range opts {
		switch {
		case o.apply == nil:
			s.fault("an Option is zero; use the functions that make one")
		case !slices.Contains(o.takes, kind):
			s.fault("option %s has no effect here, only on %v", o.name, o.takes)
		default:
			o.apply(&s)
		}
	}
	return s
}

func (s *settings) fault(format string, values ...any) {
	s.faults = append(s.faults, fmt.Errorf("source: "+s.kind+": "+format, values...))
}

// Check returns everything that is wrong with the settings.
func (s *settings) Check() error { return errors.Join(s.faults...) }

// typed returns an option's function, or nil without it. One for records of
// another type is a fault.
func typed[F any](s *settings, name string, option any) F {
	f, ok := option.(F)
	if option != nil && !ok {
		s.fault("option %s has a %T; the records of this source need a %T", name, option, f)
	}
	return f
}
