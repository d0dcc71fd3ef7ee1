// Command bench does the jobs of a stream program on this machine, with this
// library and by hand-written loops, and compares what they cost:
//
//	go run ./bench list                # jobs and who does them
//	go run ./bench W3 ours -window 60  # one run, one line of JSON
//	go run ./bench table               # everything in turn, several times: a table of ratios
//	go run ./bench plot -out docs      # time against size
//
// docs/PERFORMANCE.md says what the jobs are and has the figures.
package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// contender does a job in one way, measured as its flags say.
type contender func(args []string) (Result, error)

// jobs are the contenders by job and name.
var jobs = map[string]map[string]contender{}

func register(job, name string, c contender) {
	if jobs[job] == nil {
		jobs[job] = map[string]contender{}
	}
	jobs[job][name] = c
}

// commands are what else there is to do.
var commands = map[string]func(args []string) error{"list": list}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return list(nil)
	}
	if do, ok := commands[args[0]]; ok {
		return do(args[1:])
	}
	names, ok := jobs[args[0]]
	if !ok {
		return fmt.Errorf("there is no job %q; see go run ./bench list", args[0])
	}
	if len(args) < 2 || names[args[1]] == nil {
		return fmt.Errorf("%s is done by %s", args[0], strings.Join(slices.Sorted(maps.Keys(names)), ", "))
	}
	r, err := names[args[1]](args[2:])
	if err != nil {
		return fmt.Errorf("%s %s: %w", args[0], args[1], err)
	}
	return r.print(os.Stdout)
}

func list([]string) error {
	for _, job := range slices.Sorted(maps.Keys(jobs)) {
		fmt.Printf("%-4s %s\n", job, strings.Join(slices.Sorted(maps.Keys(jobs[job])), " "))
	}
	return nil
}

// flags parses args with what declare declares.
func flags(name string, args []string, declare func(*flag.FlagSet)) error {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.StringVar(&profile, "cpuprofile", "", "file for a profile of what is measured, to be read by go tool pprof")
	f.StringVar(&allocations, "memprofile", "", "file for a profile of what the process has allocated")
	declare(f)
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("%q is no flag", f.Arg(0))
	}
	return nil
}
