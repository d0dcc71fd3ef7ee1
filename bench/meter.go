package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"time"

	"github.com/godstream/godstream/internal/cost"
)

// Result is the line that a run prints.
type Result struct {
	Peer          string         `json:"peer"`
	Workload      string         `json:"workload"`
	Records       int64          `json:"records"`
	Seconds       float64        `json:"seconds"`
	RecordsPerSec float64        `json:"records_per_s"`
	P50           float64        `json:"p50_batch_ms"`
	P99           float64        `json:"p99_batch_ms"`
	MaxRSS        int64          `json:"max_rss_mb"`
	CPU           float64        `json:"cpu_s"` // of the whole process
	Check         string         `json:"check,omitempty"`
	Extra         map[string]any `json:"extra,omitempty"`
}

func (r Result) print(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// meter measures batches: their times, and the processor time and the memory
// that the process takes from start to result.
type meter struct {
	records int64
	batches []time.Duration
	cpu     time.Duration
	memory  runtime.MemStats
	at      time.Time // end of the batch before
}

// profile is where a profile goes, of all from start to result, and allocations
// where one goes of what the process has allocated; "" for none.
var profile, allocations string

// start begins to measure, after what is to be left out.
func (m *meter) start() {
	if profile != "" {
		if f, err := os.Create(profile); err != nil {
			fmt.Fprintln(os.Stderr, "bench: no profile:", err)
		} else if err := pprof.StartCPUProfile(f); err != nil {
			fmt.Fprintln(os.Stderr, "bench: no profile:", err)
		}
	}
	runtime.ReadMemStats(&m.memory)
	m.cpu = cost.Used()
	m.at = time.Now()
}

// batch counts a batch of so many records that took so long.
func (m *meter) batch(records int, took time.Duration) {
	m.records += int64(records)
	m.batches = append(m.batches, took)
}

// lap counts a batch that has taken all of the time since the one before.
func (m *meter) lap(records int) {
	now := time.Now()
	m.batch(records, now.Sub(m.at))
	m.at = now
}

func writeAllocations() error {
	f, err := os.Create(allocations)
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("allocs").WriteTo(f, 0), f.Close())
}

func (m *meter) result(peer, workload, check string, extra map[string]any) Result {
	used := cost.Used() - m.cpu
	pprof.StopCPUProfile()
	if allocations != "" {
		if err := writeAllocations(); err != nil {
			fmt.Fprintln(os.Stderr, "bench: no profile:", err)
		}
	}
	var after runtime.MemStats
	runtime.ReadMemStats(&after)
	var wall time.Duration
	for _, b := range m.batches {
		wall += b
	}
	n := float64(m.records)
	r := Result{
		Peer: peer, Workload: workload, Records: m.records, Seconds: round(wall.Seconds()), RecordsPerSec: round(n / wall.Seconds()),
		P50: ms(quantile(m.batches, .5)), P99: ms(quantile(m.batches, .99)), MaxRSS: cost.MaxRSS() >> 20, CPU: round(cost.Used().Seconds()), Check: check,
		Extra: map[string]any{
			"cpu_us_per_record": round(float64(used.Nanoseconds()) / 1e3 / n),
			"cpu_ms_per_batch":  round(used.Seconds() * 1e3 / float64(len(m.batches))),
			"mean_batch_ms":     round(wall.Seconds() * 1e3 / float64(len(m.batches))),
			"bytes_per_record":  round(float64(after.TotalAlloc-m.memory.TotalAlloc) / n),
			"allocs_per_record": round(float64(after.Mallocs-m.memory.Mallocs) / n),
			"collections":       after.NumGC - m.memory.NumGC,
		},
	}
	for k, v := range extra {
		r.Extra[k] = v
	}
	return r
}

// quantile is the q-th of the times, by nearest rank.
func quantile(times []time.Duration, q float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}

func ms(d time.Duration) float64 { return round(float64(d.Nanoseconds()) / 1e6) }
func round(f float64) float64    { return math.Round(f*1e4) / 1e4 }
func verdict(right bool) string {
	if right {
		return "ok"
	}
	return "WRONG"
}
