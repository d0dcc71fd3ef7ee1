package main

import (
	"bytes"
	"encoding/csv"
	"flag"
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

func init() { commands["plot"] = plot }

// chart is how the cost of some ways to do a job grows with a size.
type chart struct {
	file, title, x, y string
	sizes             []int
	series            []series
	of                func(Result) float64
}

type series struct {
	name string
	spec func(size int) (s spec, ok bool) // not every one can take every size
}

func perBatch(r Result) float64 { return r.number("cpu_ms_per_batch") }

// sized is a spec with flags in which %d is the size, up to a greatest size.
func sized(job, peer, args string, most int) func(int) (spec, bool) {
	return func(size int) (spec, bool) {
		return spec{job: job, peer: peer, args: fmt.Sprintf(args, size)}, size <= most
	}
}

// records is a spec of W2 with about as many records in all whatever the batches are.
func records(job, peer string) func(int) (spec, bool) {
	return func(size int) (spec, bool) {
		return spec{job: job, peer: peer, args: fmt.Sprintf("-records %d -batches %d", size, max(5, 5_000_000/size))}, true
	}
}

var charts = []chart{
	{
		file: "w2", title: "W2: map, filter, count by value", x: "records in a batch", y: "CPU µs a record",
		sizes: []int{1000, 10_000, 100_000, 1_000_000}, of: cpuPerRecord.of,
		series: []series{
			{"numbers", records("W2", "ours")}, {"numbers, loop", records("W2", "loop")},
			{"strings", records("W2s", "ours")}, {"strings, loop", records("W2s", "loop")},
		},
	},
	{
		file: "w3", title: "W3: count by value and window, 10,000 records a batch", x: "batches that the window covers", y: "CPU ms a batch",
		sizes: []int{6, 60, 600, 2400}, of: perBatch,
		series: []series{
			{"with inverse", sized("W3", "ours", "-window %d", math.MaxInt)}, {"with inverse, loop", sized("W3", "loop", "-window %d", math.MaxInt)},
			{"without", sized("W3r", "ours", "-window %d", math.MaxInt)}, {"counted anew, loop", sized("W3r", "loop", "-batches 20 -window %d", math.MaxInt)},
		},
	},
	{
		file: "w4", title: "W4: state by key, 50,000 records a batch", x: "keys", y: "CPU ms a batch",
		sizes: []int{1000, 10_000, 100_000, 1_000_000, 4_000_000}, of: perBatch,
		series: []series{
			{"keys of the batch", sized("W4", "ours", "-keys %d", math.MaxInt)}, {"keys of the batch, loop", sized("W4", "loop-exchange", "-keys %d", math.MaxInt)},
			{"every key", sized("W4u", "ours", "-keys %d", math.MaxInt)}, {"every key, dense loop", sized("W4u", "loop-dense", "-keys %d", math.MaxInt)},
			{"every key, new map", sized("W4u", "loop-rebuild", "-batches 10 -keys %d", 1_000_000)},
		},
	},
}

// plot measures how cost grows and writes a picture and the numbers for each chart.
func plot(args []string) error {
	var out, only string
	var rounds int
	err := flags("plot", args, func(s *flag.FlagSet) {
		s.StringVar(&out, "out", ".", "directory for the pictures, made if it is not there")
		s.StringVar(&only, "only", "", "charts, separated by commas; empty: all")
		s.IntVar(&rounds, "rounds", 3, "how often each one runs, in turn; the least counts")
	})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o777); err != nil {
		return err
	}
	for _, c := range charts {
		if only != "" && !strings.Contains(","+only+",", ","+c.file+",") {
			continue
		}
		y, err := c.measure(rounds)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(out, c.file+".csv"), c.csv(y), 0o666); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(out, c.file+".svg"), c.svg(y), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// measure returns the least cost by series and size; NaN where there is none.
func (c chart) measure(rounds int) ([][]float64, error) {
	y := make([][]float64, len(c.series))
	for i := range y {
		y[i] = make([]float64, len(c.sizes))
		for j := range y[i] {
			y[i][j] = math.NaN()
		}
	}
	for range rounds {
		for j, size := range c.sizes {
			for i, s := range c.series {
				spec, ok := s.spec(size)
				if !ok {
					continue
				}
				fmt.Fprintln(os.Stderr, spec)
				r, _, err := spec.run(place{})
				if err != nil {
					return nil, fmt.Errorf("%s: %w", spec, err)
				}
				if v := c.of(r); !(y[i][j] <= v) {
					y[i][j] = v
				}
			}
		}
	}
	return y, nil
}

func (c chart) csv(y [][]float64) []byte {
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	head := []string{c.x}
	for _, s := range c.series {
		head = append(head, s.name+" ("+c.y+")")
	}
	_ = w.Write(head)
	for j, size := range c.sizes {
		line := []string{strconv.Itoa(size)}
		for i := range c.series {
			if math.IsNaN(y[i][j]) {
				line = append(line, "")
			} else {
				line = append(line, strconv.FormatFloat(y[i][j], 'g', 4, 64))
			}
		}
		_ = w.Write(line)
	}
	w.Flush()
	return out.Bytes()
}

// svg draws the series on logarithmic axes: ours as lines, loops dashed, in the
// colour of what they are beside.
func (c chart) svg(y [][]float64) []byte {
	const width, height, left, right, top, bottom = 760.0, 420.0, 70.0, 210.0, 40.0, 50.0
	colors := []string{"#0b62a4", "#c4501b", "#3f8f3f"}
	least, most := math.Inf(1), math.Inf(-1)
	for _, line := range y {
		for _, v := range line {
			if !math.IsNaN(v) {
				least, most = min(least, v), max(most, v)
			}
		}
	}
	low, high := math.Floor(math.Log10(least)), math.Ceil(math.Log10(most))
	first, last := math.Log10(float64(c.sizes[0])), math.Log10(float64(c.sizes[len(c.sizes)-1]))
	px := func(size float64) float64 { return left + (math.Log10(size)-first)/(last-first)*(width-left-right) }
	py := func(v float64) float64 { return height - bottom - (math.Log10(v)-low)/(high-low)*(height-top-bottom) }

	var out bytes.Buffer
	text := func(x, y float64, anchor, s string) {
		fmt.Fprintf(&out, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", x, y, anchor, html.EscapeString(s))
	}
	line := func(x1, y1, x2, y2 float64, style string) {
		fmt.Fprintf(&out, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" %s/>`+"\n", x1, y1, x2, y2, style)
	}
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintf(&out, `<rect width="%.0f" height="%.0f" fill="white"/>`+"\n", width, height)
	text(left, 22, "start", c.title)
	for e := low; e <= high; e++ {
		v := math.Pow(10, e)
		line(left, py(v), width-right, py(v), `stroke="#ddd"`)
		text(left-6, py(v)+4, "end", strconv.FormatFloat(v, 'g', 3, 64))
	}
	for _, size := range c.sizes {
		x := px(float64(size))
		line(x, top, x, height-bottom, `stroke="#ddd"`)
		text(x, height-bottom+18, "middle", strconv.Itoa(size))
	}
	text((left+width-right)/2, height-12, "middle", c.x)
	fmt.Fprintf(&out, `<text transform="translate(16 %.1f) rotate(-90)" text-anchor="middle">%s</text>`+"\n", (top+height-bottom)/2, html.EscapeString(c.y))

	color := -1
	for i, s := range c.series {
		dash := ""
		switch {
		case !strings.Contains(s.name, "loop") && !strings.Contains(s.name, "new map"):
			color++
		case strings.Contains(s.name, "new map"):
			dash = ` stroke-dasharray="2 3"`
		default:
			dash = ` stroke-dasharray="6 4"`
		}
		style := fmt.Sprintf(`stroke="%s" stroke-width="2" fill="none"%s`, colors[color%len(colors)], dash)
		var points []string
		for j, size := range c.sizes {
			if !math.IsNaN(y[i][j]) {
				points = append(points, fmt.Sprintf("%.1f,%.1f", px(float64(size)), py(y[i][j])))
			}
		}
		fmt.Fprintf(&out, `<polyline points="%s" %s/>`+"\n", strings.Join(points, " "), style)
		at := top + 10 + 20*float64(i)
		line(width-right+14, at, width-right+44, at, style)
		text(width-right+50, at+4, "start", s.name)
	}
	out.WriteString("</svg>\n")
	return out.Bytes()
}
