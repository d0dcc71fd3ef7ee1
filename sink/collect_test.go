package sink_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/sink"
	"github.com/godstream/godstream/sink/sinktest"
)

func TestCollect(t *testing.T) {
	type item struct{ id string } // an element need not be a string
	sinktest.Run(t, func(*testing.T) sinktest.Place[item] {
		c := sink.Collect[item]()
		return sinktest.Place[item]{
			Sink:    c,
			Atomic:  true,
			Element: func(id string) item { return item{id} },
			Read: func() (read []string, _ error) {
				for _, b := range c.Batches() {
					for _, i := range slices.Concat(b.Parts...) {
						read = append(read, i.id)
					}
				}
				return read, nil
			},
		}
	})
}

func TestCollectOfTwoRuns(t *testing.T) {
	tests := map[string]struct {
		first, second [][]int
		batches       int
	}{
		"the same again":               {[][]int{{1, 2}, {3}}, [][]int{{1, 2}, {3}}, 1},
		"the same in other partitions": {[][]int{{1, 2}, {3}}, [][]int{{1}, {}, {2, 3}}, 1},
		"nothing, twice":               {nil, [][]int{{}, nil}, 1},
		"other elements":               {[][]int{{1, 2}}, [][]int{{3, 4}}, 2},
		"another order":                {[][]int{{1, 2}}, [][]int{{2, 1}}, 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := sink.Collect[int]()
			write(t, c, noon(test.first...))
			write(t, c, noon(test.second...))
			write(t, c, noon(test.second...))
			require.Len(t, c.Batches(), test.batches)
		})
	}
}

func TestCollectOfABatchThatIsTriedAgain(t *testing.T) {
	c := sink.Collect[int]()
	write(t, c, noon([]int{1}), noon([]int{2}))
	require.Equal(t, []sink.Batch[int]{noon([]int{1})}, c.Batches(), "as it was at first")
}

func TestCollectKeepsOutputsApart(t *testing.T) {
	c := sink.Collect[int]()
	for _, o := range []sink.Options{{App: "a", Name: "to-1"}, {App: "a", Name: "to-2"}, {App: "b", Name: "to-1"}, {App: "b", Name: "to-1"}} {
		w, err := c.Open(context.Background(), o)
		require.NoError(t, err)
		require.NoError(t, w.Write(context.Background(), sink.Batch[int]{ID: "one", Parts: [][]int{{1}, {}}}))
		require.NoError(t, w.Close())
	}
	b := sink.Batch[int]{ID: "one", Parts: [][]int{{1}, {}}}
	require.Equal(t, []sink.Batch[int]{b, b, b}, c.Batches(), "the last one was a second time")
}
