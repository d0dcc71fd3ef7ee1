package stream_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
	"github.com/godstream/godstream/stream/streamtest"
	"github.com/godstream/godstream/window"
)

// What a program may change between two runs on one checkpoint, and what not.

// generation is one version of a program. It prints what a stream holds after
// its last batch.
type generation struct {
	name    string // of the App, "shop" if empty
	declare func(app *stream.App, sales stream.Stream[sale], show func(fmt.Stringer))
	opts    []checkpoint.Option
}

type sale = stream.Pair[string, int]

type last struct {
	name string
	of   func() string
}

func (l last) String() string { return l.name + " " + l.of() }

// lastOf is what a stream held in the last batch.
func lastOf[T any](name string, s stream.Stream[T]) fmt.Stringer {
	all := streamtest.Collect(s)
	return last{name, func() string {
		if n := len(all.Batches()); n > 0 {
			return fmt.Sprint(all.Batch(n - 1))
		}
		return "none"
	}}
}

// sell runs a version of the program on a day more than it had before.
func (g generation) sell(t *testing.T, store checkpoint.Store, days int) (shown []string, was stream.Recovered, err error) {
	t.Helper()
	var in [][]sale
	for day := range days {
		in = append(in, []sale{stream.P("tea", 1), stream.P("rye", 10*(day+1))})
	}
	var all []fmt.Stringer
	app, err := stream.GetOrCreate(store, func() (*stream.App, error) {
		name := g.name
		if name == "" {
			name = "shop"
		}
		app := streamtest.New(stream.Config{Name: name})
		g.declare(app, stream.From(app, source.Queue(in...)), func(s fmt.Stringer) { all = append(all, s) })
		return app, nil
	}, g.opts...)
	if err != nil {
		return nil, was, err
	}
	was = app.Recovered()
	require.NoError(t, app.Run(t.Context()))
	for _, s := range all {
		shown = append(shown, s.String())
	}
	return shown, was, nil
}

func sum(values []int, old stream.Opt[int]) stream.Opt[int] {
	for _, v := range values {
		old.Value += v
	}
	return stream.Some(old.Value)
}

func totals(sales stream.Stream[sale], name string) fmt.Stringer {
	return lastOf(name, stream.UpdateStateByKey(sales, sum, stream.Name(name)))
}

type account struct {
	Sold int
	Note string
}

// book keeps a state of any type that is made of a number.
func book[S any](sales stream.Stream[sale], add func(S, int) S) fmt.Stringer {
	return lastOf("book", stream.UpdateStateByKey(sales, func(values []int, old stream.Opt[S]) stream.Opt[S] {
		for _, v := range values {
			old.Value = add(old.Value, v)
		}
		return stream.Some(old.Value)
	}, stream.Name("book")))
}

func accounts(_ *stream.App, sales stream.Stream[sale], show func(fmt.Stringer)) {
	show(book(sales, func(a account, v int) account { return account{a.Sold + v, "ok"} }))
}

func plain(_ *stream.App, sales stream.Stream[sale], show func(fmt.Stringer)) {
	show(totals(sales, "totals"))
}

// rolling is a program with windows of so many days.
func rolling(days int) func(*stream.App, stream.Stream[sale], func(fmt.Stringer)) {
	w := window.Sliding(time.Duration(days)*time.Second, time.Second)
	return func(_ *stream.App, sales stream.Stream[sale], show func(fmt.Stringer)) {
		add, subtract := func(a, b int) int { return a + b }, func(a, b int) int { return a - b }
		show(lastOf("count", stream.CountByWindow(sales, w, stream.Name("count"))))
		show(lastOf("by key", stream.ReduceByKeyAndWindow(sales, add, w, stream.Name("by key"))))
		show(lastOf("inverse", stream.ReduceByKeyAndWindowInverse(sales, add, subtract, w, stream.Name("inverse"))))
	}
}

func TestChangesThatGoOn(t *testing.T) {
	tests := map[string]struct {
		before, after        func(*stream.App, stream.Stream[sale], func(fmt.Stringer))
		opts                 []checkpoint.Option
		want                 []string
		kept, fresh, givenUp []string
	}{
		"nothing": {
			before: plain, after: plain,
			want: []string{"totals [(tea, 3) (rye, 60)]"}, kept: []string{"totals", "from-1"},
		},
		"operators without state come": {
			before: plain,
			after: func(_ *stream.App, sales stream.Stream[sale], show func(fmt.Stringer)) {
				large := stream.Filter(sales, func(s sale) bool { return s.Key != "tea" })
				show(lastOf("count", stream.Count(large)))
				show(totals(stream.Union(stream.MapValues(large, func(i int) int { return i }), sales), "totals"))
			},
			want: []string{"count [1]", "totals [(tea, 3) (rye, 90)]"}, kept: []string{"totals", "from-1"},
		},
		"operators without state go": {
			before: func(_ *stream.App, sales stream.Stream[sale], show func(fmt.Stringer)) {
				show(lastOf("keys", stream.Distinct(stream.Map(sales, func(s sale) string { return s.Key }))))
				show(totals(stream.Filter(sales, func(s sale) bool { return s.Key == "tea" }), "totals"))
			},
			after: plain,
			want:  []string{"totals [(tea, 3) (rye, 30)]"}, kept: []string{"totals", "from-1"},
		},
		"another function": {
			before: plain,
			after: func(_ *stream.App, sales stream.Stream[sale], show func(fmt.Stringer)) {
				show(lastOf("totals", stream.UpdateStateByKey(sales, func(values []int, old stream.Opt[int]) stream.Opt[int] {
					return stream.Some(old.Value * 100)
				}, stream.Name("totals"))))
			},
			want: []string{"totals [(tea, 200) (rye, 3000)]"}, kept: []string{"totals", "from-1"},
		},
		"operators with state change places": {
			before: func(_ *stream.App, sales stream.Stream[sale], show func(fmt.Stringer)) {
				show(totals(sales, "a"))
				show(totals(stream.MapValues(sales, func(i int) int { return -i }), "b"))
			},
			after: func(_ *stream.App, sales stream.Stream[sale], show func(fmt.Stringer)) {
				show(totals(stream.MapValues(sales, func(i int) int { return -i }), "b"))
				show(totals(sales, "a"))
			},
			want: []string{"b [(tea, -3) (rye, -60)]", "a [(tea, 3) (rye, 60)]"}, kept: []string{"a", "b", "from-1"},
		},
		"another operator with state": {
			before: plain,
			after: func(app *stream.App, sales stream.Stream[sale], show func(fmt.Stringer)) {
				show(totals(sales, "more"))
				plain(app, sales, show)
			},
			want: []string{"more [(tea, 1) (rye, 30)]", "totals [(tea, 3) (rye, 60)]"}, kept: []string{"totals", "from-1"}, fresh: []string{"more"},
		},
		"a field more": {
			before: accounts,
			after: func(_ *stream.App, sales stream.Stream[sale], show func(fmt.Stringer)) {
				type account struct {
					Returned int
					Sold     int
					Note     string
				}
				show(book(sales, func(a account, v int) account { return account{a.Returned + 1, a.Sold + v, a.Note} }))
			},
			want: []string{"book [(tea, {1 3 ok}) (rye, {1 60 ok})]"}, kept: []string{"book", "from-1"},
		},
		"a field less, accepted": {
			before: accounts,
			after: func(_ *stream.App, sales stream.Stream[sale], show func(fmt.Stringer)) {
				type account struct{ Sold int }
				show(book(sales, func(a account, v int) account { return account{a.Sold + v} }))
			},
			opts: []checkpoint.Option{checkpoint.AcceptLoss("book")},
			want: []string{"book [(tea, {3}) (rye, {60})]"}, kept: []string{"book", "from-1"},
		},
		"the name of a type": {
			before: accounts,
			after: func(_ *stream.App, sales stream.Stream[sale], show func(fmt.Stringer)) {
				type ledger account
				show(book(sales, func(a ledger, v int) ledger { return ledger{a.Sold + v, a.Note} }))
			},
			want: []string{"book [(tea, {3 ok}) (rye, {60 ok})]"}, kept: []string{"book", "from-1"},
		},
		"an operator with state goes, given up": {
			before: plain, after: accounts,
			opts: []checkpoint.Option{checkpoint.Drop("totals")},
			want: []string{"book [(tea, {1 ok}) (rye, {30 ok})]"}, kept: []string{"from-1"}, fresh: []string{"book"}, givenUp: []string{"totals"},
		},
		"an operator begins anew": {
			before: plain, after: plain,
			opts: []checkpoint.Option{checkpoint.Drop("totals")},
			want: []string{"totals [(tea, 1) (rye, 30)]"}, kept: []string{"from-1"}, fresh: []string{"totals"}, givenUp: []string{"totals"},
		},
		"a longer window": {
			before: rolling(2), after: rolling(3),
			want: []string{"count [6]", "by key [(tea, 3) (rye, 60)]", "inverse [(tea, 3) (rye, 60)]"},
			kept: []string{"count", "by key", "inverse", "from-1"},
		},
		"a shorter window": {
			before: rolling(3), after: rolling(2),
			want: []string{"count [4]", "by key [(tea, 2) (rye, 50)]", "inverse [(tea, 2) (rye, 50)]"},
			kept: []string{"count", "by key", "inverse", "from-1"},
		},
		"another source": {
			before: plain,
			after: func(app *stream.App, sales stream.Stream[sale], show func(fmt.Stringer)) {
				returns := stream.From(app, source.Queue([]sale{stream.P("tea", -100)}), stream.Name("returns"))
				show(totals(stream.Union(sales, returns), "totals"))
			},
			want: []string{"totals [(tea, -97) (rye, 60)]"}, kept: []string{"totals", "from-1"}, fresh: []string{"returns"},
		},
		"a source goes, given up": {
			before: func(app *stream.App, sales stream.Stream[sale], show func(fmt.Stringer)) {
				returns := stream.From(app, source.Queue([]sale{stream.P("tea", -100)}), stream.Name("returns"))
				show(totals(stream.Union(sales, returns), "totals"))
			},
			after: plain,
			opts:  []checkpoint.Option{checkpoint.Drop("returns")},
			want:  []string{"totals [(tea, -97) (rye, 60)]"}, kept: []string{"totals", "from-1"}, givenUp: []string{"returns"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			store := checkpoint.Dir(t.TempDir())
			_, was, err := generation{declare: test.before}.sell(t, store, 2)
			require.NoError(t, err)
			require.Zero(t, was.Time)
			got, was, err := generation{declare: test.after, opts: test.opts}.sell(t, store, 3)
			require.NoError(t, err)
			require.Equal(t, test.want, got)
			require.EqualValues(t, 2, was.Time.Unix())
			require.Zero(t, was.Pending)
			require.Empty(t, was.Damaged)
			require.ElementsMatch(t, test.kept, was.Kept)
			require.ElementsMatch(t, test.fresh, was.New)
			require.ElementsMatch(t, test.givenUp, was.Dropped)

			// what was taken over is kept from then on, without any option
			_, was, err = generation{declare: test.after}.sell(t, store, 4)
			require.NoError(t, err)
			require.Empty(t, was.New)
			require.Empty(t, was.Dropped)
		})
	}
}

// The messages are here word for word, for a look at how they read.
func TestChangesThatAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		before, after generation
		want          string
	}{
		"an operator with state goes": {
			before: generation{declare: plain}, after: generation{declare: accounts},
			want: `no operator is named "totals" (there are "book", "from-1"); give the one that kept this data its name back with stream.Name, or give the data up with checkpoint.Drop("totals")`,
		},
		"a field goes": {
			before: generation{declare: accounts},
			after: generation{declare: func(_ *stream.App, sales stream.Stream[sale], show func(fmt.Stringer)) {
				type account struct{ Sold int }
				show(book(sales, func(a account, v int) account { return account{a.Sold + v} }))
			}},
			want: `operator "book" was kept as string, struct{Sold int; Note string} and is string, struct{Sold int}: shape: account.Note: the checkpoint has this field (struct{Sold int; Note string}), the program does not (struct{Sold int}); give it back, or accept with checkpoint.AcceptLoss that what it holds is lost; change the type back, or give the data up with checkpoint.Drop("book")`,
		},
		"a field gets another kind": {
			before: generation{declare: accounts},
			after: generation{declare: func(_ *stream.App, sales stream.Stream[sale], show func(fmt.Stringer)) {
				type account struct {
					Sold string
					Note string
				}
				show(book(sales, func(a account, v int) account { return a }))
			}},
			want: `operator "book" was kept as string, struct{Sold int; Note string} and is string, struct{Sold string; Note string}: shape: account.Sold: the checkpoint has int, the program string; what is of another kind needs another name; change the type back, or give the data up with checkpoint.Drop("book")`,
		},
		"the loss of a field is accepted, and another gets another kind": {
			before: generation{declare: accounts},
			after: generation{opts: []checkpoint.Option{checkpoint.AcceptLoss("book")}, declare: func(_ *stream.App, sales stream.Stream[sale], show func(fmt.Stringer)) {
				type account struct{ Sold []string }
				show(book(sales, func(a account, v int) account { return a }))
			}},
			want: `operator "book" was kept as string, struct{Sold int; Note string} and is string, struct{Sold []string}: shape: account.Sold: the checkpoint has int, the program []string; what is of another kind needs another name; change the type back, or give the data up with checkpoint.Drop("book")`,
		},
		"the state gets another kind": {
			before: generation{declare: plain},
			after: generation{declare: func(_ *stream.App, sales stream.Stream[sale], show func(fmt.Stringer)) {
				show(lastOf("totals", stream.UpdateStateByKey(sales, func([]int, stream.Opt[float64]) stream.Opt[float64] { return stream.Some(1.5) }, stream.Name("totals"))))
			}},
			want: `operator "totals" was kept as string, int and is string, float64: shape: float64: the checkpoint has int, the program float64; what is of another kind needs another name; change the type back, or give the data up with checkpoint.Drop("totals")`,
		},
		"the key gets another kind": {
			before: generation{declare: plain},
			after: generation{declare: func(_ *stream.App, sales stream.Stream[sale], show func(fmt.Stringer)) {
				byLength := stream.Map(sales, func(s sale) stream.Pair[int, int] { return stream.P(len(s.Key), s.Value) })
				show(lastOf("totals", stream.UpdateStateByKey(byLength, sum, stream.Name("totals"))))
			}},
			want: `operator "totals" was kept as string, int and is int, int: shape: int: the checkpoint has string, the program int; what is of another kind needs another name; change the type back, or give the data up with checkpoint.Drop("totals")`,
		},
		"another operator has the name": {
			before: generation{declare: plain},
			after: generation{declare: func(_ *stream.App, sales stream.Stream[sale], show func(fmt.Stringer)) {
				_, states := stream.MapWithState(sales, func(string, stream.Opt[int], *stream.State[int]) stream.Opt[int] { return stream.Opt[int]{} }, stream.Name("totals"))
				show(lastOf("totals", states))
			}},
			want: `operator "totals" was updateStateByKey (string, int) and is mapWithState (string, int); give the new one another name, and the data up with checkpoint.Drop("totals")`,
		},
		"the App has another name": {
			before: generation{declare: plain},
			after:  generation{declare: plain, name: "store"},
			want:   `the checkpoint is of app "shop", this program is app "store"; give it its name back with Config.Name, or begin in an empty place`,
		},
		"a source goes": {
			before: generation{declare: func(app *stream.App, sales stream.Stream[sale], show func(fmt.Stringer)) {
				returns := stream.From(app, source.Queue([]sale{stream.P("tea", -100)}), stream.Name("returns"))
				show(totals(stream.Union(sales, returns), "totals"))
			}},
			after: generation{declare: plain},
			want:  `no source is named "returns" (there are "totals", "from-1"); give the one that kept this data its name back with stream.Name, or give the data up with checkpoint.Drop("returns")`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			store := checkpoint.Dir(dir)
			_, _, err := test.before.sell(t, store, 2)
			require.NoError(t, err)
			_, _, err = test.after.sell(t, store, 3)
			require.EqualError(t, err, "stream: app "+cmp.Or(test.after.name, "shop")+": restore directory "+dir+": "+test.want)

			// it is refused before anything is changed
			shown, _, err := test.before.sell(t, store, 3)
			require.NoError(t, err)
			require.NotEmpty(t, shown)
		})
	}
}

// Batches that were begun before a crash run again at their times, also if those
// are no multiples of the interval that the program has now.
func TestAnotherIntervalAfterACrash(t *testing.T) {
	store, days := checkpoint.Dir(t.TempDir()), [][]sale{{stream.P("tea", 1)}, {stream.P("tea", 2)}, {stream.P("tea", 3)}, {stream.P("tea", 4)}}
	sell := func(interval time.Duration, w window.Window, fail bool) (totals, counts []string, err error) {
		app, err := stream.GetOrCreate(store, func() (*stream.App, error) {
			app := streamtest.New(stream.Config{Interval: interval})
			sales := stream.From(app, source.Queue(days...))
			note := func(to *[]string) func(context.Context, stream.BatchInfo, batch.Batch[string]) error {
				return func(_ context.Context, at stream.BatchInfo, b batch.Batch[string]) error {
					if fail && at.Time.Unix() == 3 {
						return errors.New("crash")
					}
					*to = append(*to, fmt.Sprint(at.Time.Unix(), batch.Collect(b)))
					return nil
				}
			}
			text := func(s sale) string { return fmt.Sprint(s) }
			stream.ForEachBatch(stream.Map(stream.UpdateStateByKey(sales, sum), text), note(&totals))
			stream.ForEachBatch(stream.Map(stream.CountByWindow(sales, w), func(n int64) string { return fmt.Sprint(n) }), note(&counts))
			return app, nil
		})
		require.NoError(t, err)
		return totals, counts, app.Run(t.Context())
	}
	_, _, err := sell(time.Second, window.Sliding(2*time.Second, time.Second), true)
	require.Error(t, err)
	totals, counts, err := sell(2*time.Second, window.Sliding(4*time.Second, 4*time.Second), false)
	require.NoError(t, err)
	require.Equal(t, []string{"1 [(tea, 1)]", "2 [(tea, 3)]", "3 [(tea, 6)]", "4 [(tea, 10)]"}, totals)
	require.Equal(t, []string{"4 [4]"}, counts)
}

// A program whose operators can't be kept is refused before anything is read.
func TestProgramsThatCannotBeKept(t *testing.T) {
	const wayOut = "implement encoding.BinaryMarshaler and BinaryUnmarshaler, or give a codec with stream.StateCodec"
	for name, test := range map[string]struct {
		declare func(sales stream.Stream[sale]) (place string)
		want    string
	}{
		"two alike without a name": {func(sales stream.Stream[sale]) string {
			streamtest.Collect(stream.UpdateStateByKey(sales, sum))
			streamtest.Collect(stream.UpdateStateByKey(sales, sum))
			return lineBefore(1)
		}, "updateStateByKey-1 and updateStateByKey-2 keep the same kind of data (string, int), so that a change of the program could mix them up: give each a name with stream.Name"},
		"an unexported field within": {func(sales stream.Stream[sale]) string {
			type inner struct{ n int }
			type outer struct{ List map[string][]inner }
			return book0(sales, func() (o outer) { return outer{map[string][]inner{"": {{1}}}} })
		}, "updateStateByKey book can't be kept in a checkpoint: shape: outer.List[][].n: unexported field without a marshaler; export it, " + wayOut},
		"an interface": {func(sales stream.Stream[sale]) string {
			return book0(sales, func() (a any) { return a })
		}, "updateStateByKey book can't be kept in a checkpoint: shape: interface {}: an interface does not say what its value is; use a type of its own, or give a codec with stream.StateCodec"},
		"a function": {func(sales stream.Stream[sale]) string {
			type account struct{ Then []func() }
			return book0(sales, func() (a account) { return a })
		}, "updateStateByKey book can't be kept in a checkpoint: shape: account.Then[]: a value of kind func means nothing to another process; leave it out, " + wayOut},
		"a channel": {func(sales stream.Stream[sale]) string {
			type account struct{ More chan int }
			return book0(sales, func() (a account) { return a })
		}, "updateStateByKey book can't be kept in a checkpoint: shape: account.More: a value of kind chan means nothing to another process; leave it out, " + wayOut},
		"a pointer in a key": {func(sales stream.Stream[sale]) string {
			type customer struct{ Name *string }
			keyed := stream.Map(sales, func(s sale) stream.Pair[customer, int] { return stream.P(customer{&s.Key}, s.Value) })
			streamtest.Collect(stream.UpdateStateByKey(keyed, sum, stream.Name("book")))
			return lineBefore(1)
		}, "updateStateByKey book can't be kept in a checkpoint: shape: customer.Name: a pointer can't be part of a key: equal keys would not be found again; use a value"},
		"elements of a window": {func(sales stream.Stream[sale]) string {
			type click struct{ at int }
			clicks := stream.Map(sales, func(s sale) click { return click{s.Value} })
			streamtest.Collect(stream.Window(clicks, window.Tumbling(2*time.Second)))
			return lineBefore(1)
		}, "window window-1 can't be kept in a checkpoint: shape: click.at: unexported field without a marshaler; export it, " + wayOut},
	} {
		t.Run(name, func(t *testing.T) {
			place, dir := "", filepath.Join(t.TempDir(), "checkpoint")
			_, _, err := generation{declare: func(_ *stream.App, sales stream.Stream[sale], _ func(fmt.Stringer)) { place = test.declare(sales) }}.sell(t, checkpoint.Dir(dir), 1)
			require.EqualError(t, err, "stream: app shop: "+place+": "+test.want)
			var fault *stream.Fault
			require.ErrorAs(t, err, &fault)
			require.NoDirExists(t, dir)
		})
	}
}

// book0 keeps a state of any type and says where it is declared.
func book0[S any](sales stream.Stream[sale], state func() S) string {
	streamtest.Collect(stream.UpdateStateByKey(sales, func([]int, stream.Opt[S]) stream.Opt[S] { return stream.Some(state()) }, stream.Name("book")))
	return lineBefore(1)
}

// lineBefore is the place of a line of this file, so many before the call.
func lineBefore(lines int) string {
	_, file, line, _ := runtime.Caller(1)
	return fmt.Sprintf("%s:%d", file, line-lines)
}
