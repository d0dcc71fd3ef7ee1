package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/kafka/embedded"
)

// Who does a job in another way comes to the same result.
func TestAllCountTheSame(t *testing.T) {
	tiny := map[string]string{
		"W2": "-batches 3 -records 1000", "W2s": "-batches 3 -records 1000", "W3": "-window 5 -batches 10 -records 500", "W3r": "-window 5 -batches 10 -records 500",
		"W4": "-keys 1000 -batches 5 -records 500", "W4u": "-keys 1000 -batches 5 -records 500", "save": "-keys 3000 -batches 20", "empty": "-batches 120", "long": "-batches 200 -records 100 -keys 300 -fresh 10",
	}
	for job, names := range jobs {
		if _, ok := tiny[job]; !ok {
			continue
		}
		results := map[string]string{}
		for name, contender := range names {
			r, err := contender(strings.Fields(tiny[job]))
			require.NoError(t, err, "%s %s", job, name)
			require.Positive(t, r.Records, "%s %s", job, name)
			results[r.Check] = name
		}
		require.Len(t, results, 1, "%s: %v", job, results)
		require.NotContains(t, results, "WRONG")
	}
}

// The delay of tweets that are sent at a rate.
func TestLatency(t *testing.T) {
	b, err := embedded.Start(embedded.Config{})
	require.NoError(t, err)
	defer b.Close()
	require.NoError(t, makeTopic(b.Addrs()[0], "live"))
	sent, enough := make(chan error, 1), make(chan struct{})
	go func() { sent <- sendTweets(b.Addrs()[0], "live", 1000, time.Minute, enough) }()
	r, err := jobs["latency"]["ours"]([]string{"-brokers", b.Addrs()[0], "-interval", "50ms", "-warm", "100ms", "-length", "400ms"})
	close(enough)
	require.NoError(t, err)
	require.NoError(t, <-sent)
	require.Positive(t, r.Records)
	require.Positive(t, r.number("delay_ms_p50"))
	require.LessOrEqual(t, r.number("delay_ms_p50"), r.number("delay_ms_p99"))
}

func TestTweetsAreCountedTheSame(t *testing.T) {
	const records = 3001
	b, err := embedded.Start(embedded.Config{Topics: map[string]int{"twitter": corpusPartitions}})
	require.NoError(t, err)
	defer b.Close()
	var lines bytes.Buffer
	require.NoError(t, newTweets().write(&lines, records))
	require.InDelta(t, 2200, lines.Len()/records, 200)
	_, err = b.Load(t.Context(), "twitter", &lines)
	require.NoError(t, err)
	results := map[string]bool{}
	for _, args := range []string{"ours", "ours -decoder std", "loop"} {
		f := strings.Fields(args)
		r, err := jobs["W1"][f[0]](append([]string{"-brokers", b.Addrs()[0], "-n", fmt.Sprint(records)}, f[1:]...))
		require.NoError(t, err)
		results[r.Check] = true
	}
	require.Len(t, results, 1)
	for check := range results {
		require.Regexp(t, `^valid=2998 invalid=3 distinct=\d+ user_00000=\d+$`, check)
	}
}

func TestFlagsThatAreNone(t *testing.T) {
	_, err := jobs["W2"]["ours"]([]string{"-batches", "3", "more"})
	require.ErrorContains(t, err, `"more" is no flag`)
	require.ErrorContains(t, run([]string{"W9"}), `there is no job "W9"`)
	require.ErrorContains(t, run([]string{"W3", "spark"}), "W3 is done by loop, ours")
}

func TestJudge(t *testing.T) {
	was := map[string]float64{"W2": 1}
	require.NoError(t, judge("W2", 1.5, was))
	require.ErrorContains(t, judge("W2", 1.51, was), "W2 takes 1.51 times the processor time of the loop beside it, and took 1.00 times")
	require.ErrorContains(t, judge("W3", 0.1, was), "W3 is not in bench/recorded.json")
	require.NoError(t, json.Unmarshal(recorded, &was))
	for _, s := range small {
		require.Positive(t, was[s.name], s.name)
	}
}

func TestTable(t *testing.T) {
	rules := []rule{{ours("W2", ""), loop("W2", "loop", ""), cpuPerRecord, 1.3}, {ours("W2", ""), peer("W2", "ro", ""), perSecond, 3}}
	results := map[spec][]Result{}
	for s, cpu := range map[spec][]float64{rules[0].ours: {9, 2, 1}, rules[0].other: {1, 1, 1}, rules[1].other: {8, 8, 8}} {
		for _, c := range cpu {
			results[s] = append(results[s], Result{RecordsPerSec: 100 / c, Extra: map[string]any{"cpu_us_per_record": c}})
		}
	}
	var out strings.Builder
	require.NoError(t, printTable(&out, rules, results))
	require.Contains(t, out.String(), "| W2 | ours | 3 | 50 | 2 |")
	require.Contains(t, out.String(), "| W2 | W2 loop | CPU | 2 | ≤ 1.3 | **no** |")
	require.Contains(t, out.String(), "| W2 | W2 ro | records/s | 4 | ≥ 3 | yes |")
}

func TestPicture(t *testing.T) {
	c := chart{title: "a < b", x: "size", y: "cost", sizes: []int{10, 1000}, series: []series{{name: "ours"}, {name: "ours, loop"}}}
	y := [][]float64{{1, 20}, {math.NaN(), 300}}
	require.Equal(t, "size,ours (cost),\"ours, loop (cost)\"\n10,1,\n1000,20,300\n", string(c.csv(y)))
	d := xml.NewDecoder(strings.NewReader(string(c.svg(y))))
	lines := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "polyline" {
			lines++
		}
	}
	require.Equal(t, 2, lines)
}
