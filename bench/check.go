package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
)

func init() { commands["check"] = check }

// recorded are the ratios of short runs as they were when somebody last ran check
// with -record.
//
//go:embed recorded.json
var recorded []byte

// slack is how many times a ratio may be what it was.
const slack = 1.5

// small are short forms of the jobs, ours and the loop beside it.
var small = []struct {
	name        string
	ours, other spec
}{
	{"W1", ours("W1", ""), loop("W1", "loop", "")},
	{"W2", ours("W2", "-batches 60"), loop("W2", "loop", "-batches 60")},
	{"W2s", ours("W2s", "-batches 20"), loop("W2s", "loop", "-batches 20")},
	{"W3", ours("W3", "-window 100 -batches 300"), loop("W3", "loop", "-window 100 -batches 300")},
	{"W3r", ours("W3r", "-window 100 -batches 300"), loop("W3", "loop", "-window 100 -batches 300")},
	{"W4", ours("W4", "-keys 200000 -batches 40"), loop("W4", "loop-exchange", "-keys 200000 -batches 40")},
	{"W4u", ours("W4u", "-keys 200000 -batches 40"), loop("W4u", "loop-dense", "-keys 200000 -batches 40")},
}

// check fails if something takes more of the processor than it did, compared with
// the loop beside it.
func check(args []string) error {
	var rounds int
	var record bool
	err := flags("check", args, func(s *flag.FlagSet) {
		s.IntVar(&rounds, "rounds", 5, "how often each one runs, in turn; the least counts")
		s.BoolVar(&record, "record", false, "write the ratios to bench/recorded.json")
	})
	if err != nil {
		return err
	}
	var was map[string]float64
	if err := json.Unmarshal(recorded, &was); err != nil {
		return fmt.Errorf("recorded.json: %w", err)
	}
	at, stop, err := tweetsAtBroker(200_000)
	if err != nil {
		return err
	}
	defer stop()
	ratios := map[string]float64{}
	var faults []error
	for _, s := range small {
		mine, theirs := math.Inf(1), math.Inf(1)
		for range rounds {
			m, _, err := s.ours.run(at)
			if err != nil {
				return fmt.Errorf("%s: %w", s.ours, err)
			}
			t, _, err := s.other.run(at)
			if err != nil {
				return fmt.Errorf("%s: %w", s.other, err)
			}
			mine, theirs = min(mine, cpuPerRecord.of(m)), min(theirs, cpuPerRecord.of(t))
		}
		ratio := round(mine / theirs)
		ratios[s.name] = ratio
		fmt.Printf("%-4s %.3f µs a record, the loop %.3f: ratio %.2f, recorded %.2f\n", s.name, mine, theirs, ratio, was[s.name])
		if err := judge(s.name, ratio, was); err != nil {
			faults = append(faults, err)
		}
	}
	if !record {
		return errors.Join(faults...)
	}
	text := "{\n"
	for i, name := range slices.Sorted(maps.Keys(ratios)) {
		comma := ","
		if i == len(ratios)-1 {
			comma = ""
		}
		text += fmt.Sprintf("\t%q: %.2f%s\n", name, ratios[name], comma)
	}
	return os.WriteFile("bench/recorded.json", []byte(text+"}\n"), 0o666)
}

// judge says that a ratio is more than it may be, after what was recorded.
func judge(name string, ratio float64, was map[string]float64) error {
	before, ok := was[name]
	switch {
	case !ok:
		return fmt.Errorf("%s is not in bench/recorded.json: record it with go run ./bench check -record", name)
	case ratio > slack*before:
		return fmt.Errorf("%s takes %.2f times the processor time of the loop beside it, and took %.2f times: find out why, or record it with go run ./bench check -record", name, ratio, before)
	}
	return nil
}
