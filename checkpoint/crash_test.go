package checkpoint_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/internal/disk"
)

const place = "/var/godstream/checkpoint"

var ctx = context.Background()

// story is what a program has done to a store.
type story struct {
	tried   map[string]string // blobs
	stored  map[string]bool   // those whose Put returned nil
	deleted map[string]bool   // those for which Delete was called
	logs    map[string]string // what Append returned nil for
	rest    map[string]string // what the Append that failed was for
	errs    []error
}

// tell runs a program with calls of all kinds. After an error it goes on, as the
// contract lets it.
func tell(store checkpoint.Store) *story {
	st := &story{map[string]string{}, map[string]bool{}, map[string]bool{}, map[string]string{}, map[string]string{}, nil}
	for i := range 2 {
		if s, err := store.Open(ctx); !st.failed(err) {
			st.session(s, i)
		}
	}
	return st
}

func (st *story) session(s checkpoint.Session, n int) {
	blob := func(name string) string { return fmt.Sprintf("%s.%d", name, n) }
	st.put(s, blob("state"), strings.Repeat("state", 100))
	st.put(s, blob("empty"), "")
	st.append(s, "log", "begin ")
	st.append(s, "log", "go on ")
	st.append(s, blob("log"), "other")
	st.put(s, blob("gone"), "soon")
	st.deleted[blob("gone")] = true
	st.failed(s.Delete(ctx, blob("gone")))
	st.append(s, "log", "end ")
	_, err := s.Get(ctx, "log")
	if !errors.Is(err, fs.ErrNotExist) {
		st.failed(err)
	}
	_, err = s.List(ctx)
	st.failed(err)
	st.failed(s.Close())
}

func (st *story) failed(err error) bool {
	if err != nil {
		st.errs = append(st.errs, err)
	}
	return err != nil
}

func (st *story) put(s checkpoint.Session, name, data string) {
	st.tried[name] = data
	for range 2 { // a second time after an error
		if !st.failed(s.Put(ctx, name, []byte(data))) {
			st.stored[name] = true
			return
		}
	}
}

func (st *story) append(s checkpoint.Session, log, data string) {
	if st.rest[log] != "" {
		return // the caller begins another log
	}
	if st.failed(s.Append(ctx, log, []byte(data))) {
		st.rest[log] = data
		return
	}
	st.logs[log] += data
}

// check compares a store with what the program knows. It returns what is there.
func (st *story) check(t *testing.T, store checkpoint.Store, at string) map[string]string {
	t.Helper()
	s, err := store.Open(ctx)
	require.NoError(t, err, at)
	there := read(t, s, at)
	require.NoError(t, s.Close(), at)
	for name, data := range st.tried {
		got, ok := there[name]
		if st.stored[name] && !st.deleted[name] {
			require.True(t, ok, "%s is lost %s", name, at)
		}
		if ok {
			require.Equal(t, data, got, "%s %s", name, at)
		}
	}
	for log, data := range st.logs {
		require.Truef(t, strings.HasPrefix(there[log], data), "%s lacks what was appended %s: %q, want %q", log, at, there[log], data)
	}
	for name, got := range there {
		if _, blob := st.tried[name]; blob {
			continue
		}
		rest := strings.TrimPrefix(got, st.logs[name])
		require.LessOrEqual(t, len(rest), len(st.rest[name]), "%s %s: %q", name, at, got)
		for i := range rest {
			require.Contains(t, []byte{st.rest[name][i], 0}, rest[i], "%s %s: %q", name, at, got)
		}
	}
	return there
}

func read(t *testing.T, s checkpoint.Session, at string) map[string]string {
	t.Helper()
	names, err := s.List(ctx)
	require.NoError(t, err, at)
	there := map[string]string{}
	for _, name := range names {
		data, err := s.Get(ctx, name)
		require.NoError(t, err, at)
		there[name] = string(data)
	}
	return there
}

// lose cuts the power and starts again.
func lose(d *disk.Sim) *disk.Sim {
	d.CutAt(d.Steps() + 1)
	return d.Restart()
}

// each calls f for each step of the story, with a few seeds.
func each(t *testing.T, f func(t *testing.T, d *disk.Sim, n int, at string)) {
	t.Helper()
	d := disk.NewSim(0)
	require.Empty(t, tell(checkpoint.On(d, place)).errs)
	trace := d.Trace()
	require.Greater(t, len(trace), 50)
	for n := range trace {
		for seed := range uint64(20) {
			f(t, disk.NewSim(seed), n+1, fmt.Sprintf("at step %d, %s, seed %d", n+1, trace[n], seed))
		}
	}
}

func TestDirPowerCutAtEachStep(t *testing.T) {
	each(t, func(t *testing.T, d *disk.Sim, n int, at string) {
		d.CutAt(n)
		st := tell(checkpoint.On(d, place))
		require.NotEmpty(t, st.errs)
		for _, err := range st.errs {
			require.ErrorIs(t, err, disk.ErrStopped)
		}
		next := d.Restart()
		there := st.check(t, checkpoint.On(next, place), at)
		noTemps(t, next, at)
		next = lose(next)
		require.Equal(t, there, st.check(t, checkpoint.On(next, place), at), "lost what Get had returned %s", at)
	})
}

func TestDirKilledAtEachStep(t *testing.T) {
	each(t, func(t *testing.T, d *disk.Sim, n int, at string) {
		d.KillAt(n)
		st := tell(checkpoint.On(d, place))
		require.NotEmpty(t, st.errs)
		next := d.Restart()
		there := st.check(t, checkpoint.On(next, place), at)
		noTemps(t, next, at)
		next = lose(next) // what the process after it has read is what counts
		require.Equal(t, there, st.check(t, checkpoint.On(next, place), at), "lost what Get had returned %s", at)
	})
}

func TestDirKilledAndThenPowerCutAtEachStep(t *testing.T) {
	each(t, func(t *testing.T, d *disk.Sim, n int, at string) {
		d.KillAt(n)
		st := tell(checkpoint.On(d, place))
		st.check(t, checkpoint.On(lose(d.Restart()), place), at)
	})
}

func TestDirFailureAtEachStep(t *testing.T) {
	for _, reason := range []error{syscall.ENOSPC, syscall.EIO, syscall.EACCES} {
		for _, lasts := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v/lasts=%t", reason, lasts), func(t *testing.T) {
				each(t, func(t *testing.T, d *disk.Sim, n int, at string) {
					if lasts {
						d.FailFrom(n, reason)
					} else {
						d.FailAt(n, reason)
					}
					st := tell(checkpoint.On(d, place))
					for _, err := range st.errs {
						require.Regexp(t, `^checkpoint: [a-z]+ /.*: .`, err.Error(), at)
						if !strings.Contains(err.Error(), "begin another log") && !errors.Is(err, fs.ErrExist) && !errors.Is(err, checkpoint.ErrLocked) {
							require.ErrorIs(t, err, reason, at)
						}
						require.NotErrorIs(t, err, checkpoint.ErrLocked, "a session that failed keeps the lock %s", at)
					}
					d.FailFrom(0, nil)
					st.check(t, checkpoint.On(d, place), at)
					noTemps(t, d, at)
					st.check(t, checkpoint.On(lose(d), place), at)
				})
			})
		}
	}
}

func noTemps(t *testing.T, d *disk.Sim, at string) {
	t.Helper()
	names, err := d.Names(place)
	require.NoError(t, err)
	for _, name := range names {
		require.NotContains(t, name, ".tmp", at)
	}
}

func TestDirOrderOfSteps(t *testing.T) {
	d := disk.NewSim(0)
	var seen int
	steps := func() []string {
		all := d.Trace()
		var got []string
		for _, step := range all[seen:] {
			got = append(got, strings.ReplaceAll(step, place, "DIR"))
		}
		seen = len(all)
		return got
	}
	s, err := checkpoint.On(d, place).Open(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{
		"stat DIR", "stat /var/godstream", "stat /var",
		"mkdir /var", "sync /", "mkdir /var/godstream", "sync /var", "mkdir DIR", "sync /var/godstream",
		"lock DIR/.lock", "list DIR", "sync DIR",
	}, steps(), "each folder lasts before the next is made")

	require.NoError(t, s.Put(ctx, "a", []byte("1")))
	require.Equal(t, []string{"stat DIR/a", "create DIR/.a.tmp", "write DIR/.a.tmp", "fsync DIR/.a.tmp", "close DIR/.a.tmp", "rename DIR/.a.tmp", "sync DIR"}, steps())
	require.NoError(t, s.Append(ctx, "l", []byte("1")))
	require.Equal(t, []string{"open DIR/l", "create DIR/l", "write DIR/l", "fsync DIR/l", "sync DIR"}, steps())
	require.NoError(t, s.Append(ctx, "l", []byte("1")))
	require.Equal(t, []string{"write DIR/l", "fsync DIR/l"}, steps())
	_, err = s.Get(ctx, "l")
	require.NoError(t, err)
	require.Equal(t, []string{"read DIR/l"}, steps())
	require.NoError(t, s.Delete(ctx, "a"))
	require.Equal(t, []string{"remove DIR/a"}, steps())
	require.NoError(t, s.Close())
	require.Equal(t, []string{"close DIR/l"}, steps())

	s, err = checkpoint.On(d, place).Open(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"stat DIR", "sync /var/godstream", "lock DIR/.lock", "list DIR", "sync DIR"}, steps())
	for range 2 {
		_, err = s.Get(ctx, "l")
		require.NoError(t, err)
	}
	require.Equal(t, []string{"open DIR/l", "fsync DIR/l", "close DIR/l", "read DIR/l", "read DIR/l"}, steps())
	require.NoError(t, s.Append(ctx, "l", []byte("1")))
	require.Equal(t, []string{"open DIR/l", "write DIR/l", "fsync DIR/l"}, steps())
	require.NoError(t, s.Close())
}
