package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func init() { commands["table"] = table }

// spec is one way to do a job: ours and the loops in this program, or a peer that
// a script runs.
type spec struct {
	job, peer string
	args      string // separated by spaces
	external  bool
}

func (s spec) String() string { return strings.TrimSpace(s.job + " " + s.peer + " " + s.args) }

func ours(job, args string) spec { return spec{job: job, peer: "ours", args: args} }

// rule is what must hold between two specs.
type rule struct {
	ours, other spec
	metric      metric
	limit       float64
}

// metric is a number of ours, divided by that of the other: at most the limit if
// less is better, else at least.
type metric struct {
	name string
	of   func(Result) float64
	less bool
}

var (
	cpuPerRecord = metric{"CPU", func(r Result) float64 { return r.number("cpu_us_per_record") }, true}
	perSecond    = metric{"records/s", func(r Result) float64 { return r.RecordsPerSec }, false}
	memory       = metric{"memory", func(r Result) float64 { return float64(r.MaxRSS) }, true}
)

func (r Result) number(name string) float64 {
	n, _ := r.Extra[name].(float64)
	return n
}

func loop(job, peer, args string) spec { return spec{job: job, peer: peer, args: args} }
func peer(job, name, args string) spec { return spec{job: job, peer: name, args: args, external: true} }

// rules are what must hold, by job.
var rules = []rule{
	{ours("W1", ""), loop("W1", "loop", ""), cpuPerRecord, 1.2},
	{ours("W1", ""), loop("W1", "loop", ""), perSecond, .85},
	{ours("W1", "-decoder std"), peer("W1", "go-sarama-std", ""), perSecond, .85},
	{ours("W2", ""), loop("W2", "loop", ""), cpuPerRecord, 1.3},
	{ours("W2s", ""), loop("W2s", "loop", ""), cpuPerRecord, 1.25},
	{ours("W3", ""), loop("W3", "loop", ""), cpuPerRecord, 1.3},
	{ours("W3r", ""), ours("W3", ""), cpuPerRecord, 3},
	{ours("W3r", "-window 60"), ours("W3", "-window 60"), cpuPerRecord, 3},
	{ours("W3r", "-window 6"), ours("W3", "-window 6"), cpuPerRecord, 3},
	{ours("W4", ""), loop("W4", "loop-exchange", ""), cpuPerRecord, 1.5},
	{ours("W4u", ""), loop("W4u", "loop-rebuild", ""), cpuPerRecord, 1. / 3},
	{ours("W4u", ""), loop("W4u", "loop-dense", ""), cpuPerRecord, 1},
	{ours("W4u", ""), loop("W4u", "loop-dense-exchange", ""), cpuPerRecord, 1},
	{ours("W4u", ""), loop("W4u", "loop-dense-func", ""), cpuPerRecord, 1},

	{ours("W1", ""), peer("W1", "go-sarama-goccy", "-fetch 8388608 -buffer 30000"), cpuPerRecord, 1.2},
	{ours("W1", ""), peer("W1", "go-sarama-goccy", "-fetch 8388608 -buffer 30000"), perSecond, .85},
	{ours("W1", ""), peer("W1", "spark", ""), perSecond, 3},
	{ours("W1", ""), peer("W1", "spark", ""), cpuPerRecord, .25},
	{ours("W1", ""), peer("W1", "kstreams", ""), perSecond, 2.5},
	{ours("W1", ""), peer("W1", "flink", ""), perSecond, 2.5},
	{ours("W2", ""), peer("W2", "go", ""), perSecond, 1 / 1.3},
	{ours("W2s", ""), peer("W2s", "go", ""), perSecond, 1 / 1.25},
	{ours("W3", ""), peer("W3", "go", ""), perSecond, 1 / 1.3},
	{ours("W4", ""), peer("W4", "go", ""), perSecond, 1 / 1.5},
	{ours("W4u", ""), peer("W4u", "go", ""), perSecond, 3},
	{ours("W2", ""), peer("W2", "ro", ""), perSecond, 3},
	{ours("W2", ""), peer("W2", "spark", ""), perSecond, 40},
	{ours("W2s", ""), peer("W2s", "spark", ""), perSecond, 8},
	{ours("W3", ""), peer("W3", "spark", ""), perSecond, 25},
	{ours("W3r", "-window 300"), peer("W3r", "spark", "-Dslide=1 -Dwindow=300"), perSecond, 50},
	{ours("W4", ""), peer("W4", "spark", ""), perSecond, 15},
	{ours("W4u", ""), peer("W4u", "spark", ""), perSecond, 15},
	{ours("W4u", ""), peer("W4u", "spark", ""), memory, .1},
	{ours("W4", ""), peer("W4", "kstreams", ""), perSecond, 15},
}

// table runs everything in turn, in processes of their own, and prints medians and
// ratios.
func table(args []string) error {
	var rounds int
	var only, lines string
	var java bool
	var at place
	err := flags("table", args, func(s *flag.FlagSet) {
		s.IntVar(&rounds, "rounds", 5, "how often each one runs, in turn")
		s.StringVar(&at.peers, "peers", os.Getenv("BENCH_PEERS"), "directory with a run.sh that takes a job and a peer and prints a line as this program does; none: only ours and the loops")
		s.BoolVar(&java, "java", false, "with -peers: also those on a JVM, three times at most")
		s.StringVar(&only, "only", "", "jobs, separated by commas; empty: all")
		s.StringVar(&lines, "lines", "", "file to which each line that a run prints is added")
		s.StringVar(&at.brokers, "brokers", "", "for W1: brokers that have the tweets; empty: one is started, with -n tweets")
		s.StringVar(&at.topic, "topic", "twitter", "for W1, with -brokers: the topic")
		s.IntVar(&at.records, "n", 200_000, "for W1: how many tweets")
	})
	if err != nil {
		return err
	}
	var chosen []rule
	for _, r := range rules {
		if only != "" && !slices.Contains(strings.Split(only, ","), r.ours.job) || r.other.external && at.peers == "" || r.other.isJava() && !java {
			continue
		}
		chosen = append(chosen, r)
	}
	if at.brokers == "" && slices.ContainsFunc(chosen, func(r rule) bool { return r.ours.job == "W1" }) {
		own, stop, err := tweetsAtBroker(at.records)
		if err != nil {
			return err
		}
		defer stop()
		at.brokers, at.topic = own.brokers, own.topic
	}
	results, err := measure(chosen, rounds, at, lines)
	if err != nil {
		return err
	}
	return printTable(os.Stdout, chosen, results)
}

// isJava says that a peer takes half a minute or more, and gigabytes.
func (s spec) isJava() bool {
	return s.external && !strings.HasPrefix(s.peer, "go") && !strings.HasPrefix(s.peer, "ro")
}

// specs are all that rules need, each once.
func specs(rules []rule) (all []spec) {
	for _, r := range rules {
		for _, s := range []spec{r.ours, r.other} {
			if !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b spec) int { return cmp.Compare(a.job, b.job) })
	return all
}

func measure(rules []rule, rounds int, at place, lines string) (map[spec][]Result, error) {
	results := map[spec][]Result{}
	for round := range rounds {
		for _, s := range specs(rules) {
			if s.isJava() && round >= 3 { // each takes half a minute or more
				continue
			}
			fmt.Fprintf(os.Stderr, "round %d of %d: %s\n", round+1, rounds, s)
			r, line, err := s.run(at)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s, err)
			}
			results[s] = append(results[s], r)
			if lines != "" {
				if err := appendLine(lines, line); err != nil {
					return nil, err
				}
			}
		}
	}
	return results, nil
}

func appendLine(name string, line []byte) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(line)
	return err
}

// place is where other peers are, and the tweets.
type place struct {
	peers, brokers, topic string
	records               int
}

// run runs it in a process of its own.
func (s spec) run(at place) (r Result, line []byte, err error) {
	var command *exec.Cmd
	args := append([]string{s.job, s.peer}, strings.Fields(s.args)...)
	if s.external {
		command = exec.Command(filepath.Join(at.peers, "run.sh"), args...)
	} else {
		self, err := os.Executable()
		if err != nil {
			return r, nil, err
		}
		if s.job == "W1" {
			args = append(args, "-brokers", at.brokers, "-topic", at.topic, "-n", fmt.Sprint(at.records))
		}
		command = exec.Command(self, args...)
	}
	var stderr bytes.Buffer
	command.Stderr = &stderr
	line, err = command.Output()
	if err != nil {
		return r, nil, fmt.Errorf("%w: %s", err, stderr.Bytes())
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return r, nil, fmt.Errorf("it printed %q: %w", line, err)
	}
	if strings.Contains(r.Check, "WRONG") {
		return r, nil, fmt.Errorf("it counts wrongly: %s", line)
	}
	return r, line, nil
}

func median(results []Result, of func(Result) float64) float64 {
	var all []float64
	for _, r := range results {
		all = append(all, of(r))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func printTable(w io.Writer, rules []rule, results map[spec][]Result) error {
	var out bytes.Buffer
	fmt.Fprintln(&out, "| job | by | runs | records/s | CPU µs a record | bytes a record | allocations a record | batch ms p50 | p99 | memory MB |")
	fmt.Fprintln(&out, "|---|---|---|---|---|---|---|---|---|---|")
	extra := func(name string) func(Result) float64 { return func(r Result) float64 { return r.number(name) } }
	for _, s := range specs(rules) {
		all := results[s]
		number := func(of func(Result) float64) string {
			if n := median(all, of); n != 0 {
				return short(n)
			}
			return "-"
		}
		fmt.Fprintf(&out, "| %s | %s | %d | %s | %s | %s | %s | %s | %s | %s |\n", strings.TrimSpace(s.job+" "+s.args), s.peer, len(all),
			number(perSecond.of), number(cpuPerRecord.of), number(extra("bytes_per_record")), number(extra("allocs_per_record")),
			number(func(r Result) float64 { return r.P50 }), number(func(r Result) float64 { return r.P99 }), number(memory.of))
	}
	fmt.Fprintln(&out, "\n| job | against | what | ratio | must be | holds |\n|---|---|---|---|---|---|")
	for _, r := range rules {
		ratio := median(results[r.ours], r.metric.of) / median(results[r.other], r.metric.of)
		must, holds := "≤ ", ratio <= r.limit
		if !r.metric.less {
			must, holds = "≥ ", ratio >= r.limit
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s | %v |\n", strings.TrimSpace(r.ours.job+" "+r.ours.args), r.other, r.metric.name, short(ratio), must+short(r.limit), yes(holds))
	}
	_, err := w.Write(out.Bytes())
	return err
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "**no**"
}

// short writes a number with three digits.
func short(n float64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.3gM", n/1e6)
	case n >= 1e4:
		return fmt.Sprintf("%.3gk", n/1e3)
	default:
		return fmt.Sprintf("%.3g", n)
	}
}
