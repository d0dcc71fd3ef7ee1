package streamtest_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
	"github.com/godstream/godstream/stream/streamtest"
)

// failing notes what a test would have failed with.
type failing struct {
	testing.TB
	text string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	if f.text == "" {
		f.text = fmt.Sprintf(format, args...)
	}
}

func TestEqual(t *testing.T) {
	tests := map[string]struct {
		got, want []int
		text      string
	}{
		"the same":        {got: []int{1, 2}, want: []int{1, 2}},
		"nothing and nil": {got: []int{}, want: nil},
		"another order":   {got: []int{2, 1}, want: []int{1, 2}, text: "got  [2 1]\nwant [1 2]"},
		"too few":         {got: []int{1}, want: []int{1, 2}, text: "got  [1]\nwant [1 2]"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var f failing
			streamtest.Equal(&f, test.got, test.want)
			require.Equal(t, test.text, f.text)
		})
	}
}

func TestSameElements(t *testing.T) {
	tests := map[string]struct {
		got, want []int
		text      string
	}{
		"another order": {got: []int{2, 1, 2}, want: []int{1, 2, 2}},
		"too few":       {got: []int{1}, want: []int{1, 1}, text: "missing [1]\nextra []\ngot [1]"},
		"too many":      {got: []int{1, 1}, want: []int{1}, text: "missing []\nextra [1]\ngot [1 1]"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var f failing
			streamtest.SameElements(&f, test.got, test.want)
			require.Equal(t, test.text, f.text)
		})
	}
}

func TestRunFailsTheTestIfTheProgramIsWrong(t *testing.T) {
	var f failing
	streamtest.Run(&f, streamtest.App(1))
	require.Contains(t, f.text, "the program has no output")
}

func TestBatches(t *testing.T) {
	got := streamtest.Batches(t, [][]int{{1, 2, 3}, nil}, 2, func(s stream.Stream[int]) stream.Stream[[]int] { return stream.Glom(s) })
	require.Equal(t, "[[[1] [2 3]] [[] []]]", fmt.Sprint(got))
}

func ExampleRun() {
	app := streamtest.App(2)
	sold := stream.From(app, source.Queue([]stream.Pair[string, int]{stream.P("tea", 3), stream.P("rye", 1), stream.P("tea", 4)}))
	totals := streamtest.Collect(stream.ReduceByKey(sold, func(a, b int) int { return a + b }))
	streamtest.Run(&testing.T{}, app) // the t of your test
	fmt.Println(totals.Batch(0))
	// Output: [(tea, 7) (rye, 1)]
}
