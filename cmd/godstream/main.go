// Command godstream looks into checkpoints.
//
//	godstream checkpoint show [-json] DIR
//
// It takes no lock and changes nothing, so that it may be used while the program
// runs. Its exit status is 0 if everything is whole, 1 if something is damaged or
// can't be read, 2 if it was called wrongly.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/internal/recovery"
)

const usage = `usage: godstream checkpoint show [-json] DIR

Prints what is in the checkpoint directory DIR: what each operator keeps, where the
sources go on, which batches run again, and whether every checksum holds. It takes
no lock and changes nothing. The exit status is 1 if anything is damaged.

  -json  print the same for scripts
`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr, time.Now())) }

// run is main with what it depends on.
func run(args []string, out, errs io.Writer, now time.Time) (status int) {
	wrong := func(format string, values ...any) int {
		fmt.Fprintf(errs, "godstream: "+format+"\n\n%s", append(values, usage)...)
		return 2
	}
	flags := flag.NewFlagSet("godstream", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	asJSON := flags.Bool("json", false, "")
	if len(args) > 0 && (args[0] == "help" || args[0] == "-h" || args[0] == "-help" || args[0] == "--help") {
		fmt.Fprint(out, usage)
		return 0
	}
	if len(args) < 2 || args[0] != "checkpoint" || args[1] != "show" {
		return wrong("there is no command %q", strings.Join(args[:min(len(args), 2)], " "))
	}
	if err := flags.Parse(args[2:]); errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(out, usage)
		return 0
	} else if err != nil {
		return wrong("%v", err)
	}
	if flags.NArg() != 1 {
		return wrong("checkpoint show takes one directory, not %d", flags.NArg())
	}
	s, err := look(flags.Arg(0))
	if err != nil {
		fmt.Fprintf(errs, "godstream: %v\n", err)
		return 1
	}
	if *asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		err = e.Encode(s)
	} else {
		err = s.print(out, now)
	}
	if err != nil {
		fmt.Fprintf(errs, "godstream: %v\n", err)
		return 1
	}
	if !s.Whole {
		return 1
	}
	return 0
}

// shown is what there is to show; its JSON is for scripts.
type shown struct {
	Dir        string                 `json:"dir"`
	App        string                 `json:"app"`
	ID         string                 `json:"id"`
	Interval   time.Duration          `json:"interval_ns"`
	Number     int64                  `json:"number"`  // of the newest checkpoint that is whole, 0 if there is none
	Batches    int64                  `json:"batches"` // that are done in it
	Time       time.Time              `json:"time"`    // of the last of them
	Saved      time.Time              `json:"saved"`
	Whole      bool                   `json:"whole"` // nothing is damaged
	Damaged    []string               `json:"damaged"`
	Operators  []operator             `json:"operators"`
	Sources    []recovery.SourceState `json:"sources"`
	Begun      []begun                `json:"begun"` // batches that are not done and run again
	BegunFault string                 `json:"begun_fault,omitempty"`
	Files      []file                 `json:"files"`
	Older      []older                `json:"older"`
}

type operator struct {
	Name   string   `json:"name"`
	Kind   string   `json:"kind"`
	Shapes []string `json:"shapes"`
	Keys   int      `json:"keys"`
	Parts  int      `json:"parts"`
	Bytes  int64    `json:"bytes"`
}

type begun struct {
	Batch   int64                  `json:"batch"`
	Time    time.Time              `json:"time"`
	Sources []recovery.SourceEntry `json:"sources"`
}

type file struct {
	Name   string   `json:"name"`
	Bytes  int64    `json:"bytes"`
	Faults []string `json:"faults,omitempty"`
}

type older struct {
	Number  int64     `json:"number"`
	Batches int64     `json:"batches"`
	Time    time.Time `json:"time"`
	Saved   time.Time `json:"saved"`
	Fault   string    `json:"fault,omitempty"`
}

func look(dir string) (*shown, error) {
	session, err := checkpoint.View(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no directory %s", dir)
	} else if err != nil {
		return nil, err
	}
	defer session.Close()
	v, err := recovery.Look(context.Background(), session)
	for range 3 { // what a running program deletes meanwhile is not missing
		if err != nil || len(v.Damaged) == 0 {
			break
		}
		v, err = recovery.Look(context.Background(), session)
	}
	if err != nil {
		return nil, err
	}
	if len(v.Files) == 0 {
		return nil, fmt.Errorf("%s has no checkpoint", dir)
	}
	s := &shown{Dir: dir, Damaged: v.Damaged}
	for _, f := range v.Files {
		s.Files = append(s.Files, file{f.Name, f.Size, f.Faults})
	}
	for i, c := range v.Checkpoints {
		if i != v.Newest {
			s.Older = append(s.Older, older{c.Number, c.Done, c.Time, c.Saved, c.Fault})
			continue
		}
		s.App, s.ID, s.Interval, s.Number, s.Batches, s.Time, s.Saved, s.Sources = c.App, c.ID, c.Interval, c.Number, c.Done, c.Time, c.Saved, c.Sources
		for _, o := range c.Operators {
			s.Operators = append(s.Operators, operator{o.Name, o.Kind, o.Shapes, o.Keys, len(o.Parts), o.Bytes()})
		}
		entries, err := v.After(&c.Manifest)
		if err != nil {
			s.BegunFault = err.Error()
		}
		for _, e := range entries {
			s.Begun = append(s.Begun, begun(e))
		}
	}
	s.Whole = len(v.Damaged) == 0 && s.BegunFault == "" && v.Newest >= 0
	return s, nil
}

func (s *shown) print(out io.Writer, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(format string, values ...any) { fmt.Fprintf(w, format+"\n", values...) }
	if s.Number == 0 {
		line("No checkpoint in %s can be used.", s.Dir)
	} else {
		line("App:\t%s", s.App)
		line("Id:\t%s", s.ID)
		line("Interval:\t%v", s.Interval)
		line("Checkpoint:\t%d, of batch %d at %s, saved %s (%v ago)", s.Number, s.Batches, stamp(s.Time), stamp(s.Saved), now.Sub(s.Saved).Round(time.Second))
		line("\nOperators:")
		for _, o := range s.Operators {
			line("  %s\t%s\t%d keys\t%d parts\t%d bytes\t%s", o.Name, o.Kind, o.Keys, o.Parts, o.Bytes, strings.Join(o.Shapes, ", "))
		}
		line("\nSources:")
		for _, src := range s.Sources {
			line("  %s", src.Name)
			for _, p := range src.Positions {
				line("    %q\t%d%s", p.Partition, p.Offset, mark(p.Mark))
			}
		}
		line("\nBatches that were begun and run again: %d", len(s.Begun))
		if s.BegunFault != "" {
			line("  %s", s.BegunFault)
		}
		for _, b := range s.Begun {
			line("  %d\t%s", b.Batch, stamp(b.Time))
			for _, src := range b.Sources {
				for _, r := range src.Ranges {
					line("    %s\t%q\t%d to %d", src.Name, r.Partition, r.From, r.Until)
				}
			}
		}
	}
	line("\nOlder checkpoints:")
	for _, o := range s.Older {
		line("  %d\tof batch %d at %s\tsaved %s\t%s", o.Number, o.Batches, stamp(o.Time), stamp(o.Saved), whole(o.Fault))
	}
	line("\nFiles:")
	for _, f := range s.Files {
		line("  %s\t%d bytes\t%s", f.Name, f.Bytes, whole(f.Faults...))
	}
	if len(s.Damaged) > 0 {
		line("\nDamaged:")
		for _, d := range s.Damaged {
			line("  %s", d)
		}
	}
	return w.Flush()
}

func whole(faults ...string) string {
	for _, f := range faults {
		if f != "" {
			return "DAMAGED"
		}
	}
	return "whole"
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "none"
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func mark(m string) string {
	if m == "" {
		return ""
	}
	return fmt.Sprintf("\t%q", m)
}
