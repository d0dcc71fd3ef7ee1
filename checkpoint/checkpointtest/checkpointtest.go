// Package checkpointtest holds the contract of package checkpoint as a test
// suite, for every implementation of it:
//
//	func TestStore(t *testing.T) {
//		checkpointtest.Run(t, func(t testing.TB) checkpoint.Store { return checkpoint.Dir(t.TempDir()) })
//	}
//
// Failures and crashes that only the store's author can make happen are for tests
// beside it. What is built on a store is tested with a [Faulty] one.
package checkpointtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/godstream/godstream/checkpoint"
)

// Run tests the contract. It calls fresh for an empty store, many times; what
// fresh starts is ended by t.Cleanup.
func Run(t *testing.T, fresh func(t testing.TB) checkpoint.Store) {
	tests := map[string]func(*check){
		"an empty store":                            isEmpty,
		"blobs are kept":                            keepsBlobs,
		"a blob is never replaced":                  replacesNothing,
		"a large blob":                              keepsLarge,
		"a log grows, from session to session":      appends,
		"several logs at a time":                    appendsToSeveral,
		"what is not there":                         missesNothing,
		"what is deleted is gone, its name is free": deletes,
		"names":                          checksNames,
		"bytes belong to whom has them":  copies,
		"a store has one session":        locks,
		"a session that is closed":       closes,
		"ctx has ended":                  givesUp,
		"ctx of Open ends after it":      outlivesOpen,
		"as a model, for random actions": nil,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test == nil {
				isLikeModel(t, fresh)
				return
			}
			c := &check{t: t, store: fresh(t)}
			c.open()
			test(c)
			c.close()
		})
	}
}

func isEmpty(c *check) {
	c.has(nil)
	c.reopen()
	c.has(nil)
}

func keepsBlobs(c *check) {
	want := map[string]string{"b": "2", "a": "1", "a.b-c": "3", "0": "", "z9": "\x00\n\xff"}
	for name, data := range want {
		c.put(name, data)
	}
	c.has(want)
	c.reopen()
	c.has(want)
	if err := c.Put(ctx, "nil", nil); err != nil {
		c.t.Errorf("Put of nil: %v", err)
	}
	want["nil"] = ""
	c.has(want)
}

func replacesNothing(c *check) {
	c.put("blob", "old")
	c.append("log", "old")
	for range 2 {
		for _, name := range []string{"blob", "log"} {
			if err := c.Put(ctx, name, []byte("new")); !errors.Is(err, fs.ErrExist) {
				c.t.Errorf("Put to a name that is there returned %v, want fs.ErrExist", err)
			}
		}
		c.has(map[string]string{"blob": "old", "log": "old"})
		c.reopen()
	}
	c.append("log", "er")
	c.has(map[string]string{"blob": "old", "log": "older"})
}

func keepsLarge(c *check) {
	large := strings.Repeat("0123456789abcde\n", 5<<20/16)
	c.put("large", large)
	c.append("log", large)
	c.append("log", "end")
	c.reopen()
	c.has(map[string]string{"large": large, "log": large + "end"})
}

func appends(c *check) {
	want := ""
	for session := range 3 {
		for i := range 4 {
			data := strings.Repeat(fmt.Sprintf("%d.%d ", session, i), i)
			c.append("log", data)
			want += data
			c.has(map[string]string{"log": want})
		}
		c.reopen()
		c.has(map[string]string{"log": want})
	}
}

func appendsToSeveral(c *check) {
	for range 3 {
		c.append("a", "1")
		c.append("b", "2")
		c.put("blob", "3")
		c.delete("blob")
	}
	c.reopen()
	c.append("b", "2")
	c.append("a", "1")
	c.append("empty", "")
	c.has(map[string]string{"a": "1111", "b": "2222", "empty": ""})
}

func missesNothing(c *check) {
	if _, err := c.Get(ctx, "nothing"); !errors.Is(err, fs.ErrNotExist) {
		c.t.Errorf("Get of what is not there returned %v, want fs.ErrNotExist", err)
	}
	c.delete("nothing")
	c.has(nil)
}

func deletes(c *check) {
	c.put("blob", "1")
	c.append("log", "2")
	c.put("other", "3")
	c.delete("blob")
	c.delete("log")
	c.has(map[string]string{"other": "3"})
	c.delete("blob")
	c.reopen()
	c.has(map[string]string{"other": "3"})
	c.append("blob", "4")
	c.put("log", "5")
	c.delete("other")
	c.append("other", "6")
	c.delete("other")
	c.append("other", "7")
	c.has(map[string]string{"blob": "4", "log": "5", "other": "7"})
}

func checksNames(c *check) {
	good := []string{"a", "0", "-", "--", "a.b", "a..b", "0-9.z", strings.Repeat("a", 100), "lock", "tmp", "a.tmp"}
	want := map[string]string{}
	for _, name := range good {
		c.put(name, name)
		want[name] = name
	}
	c.has(want)
	bad := []string{"", ".", "..", ".a", "a/b", "/a", "../a", `a\b`, "A", "aB", "a b", "a_b", "a\x00", "ä", "a:b", "~", "a\n", strings.Repeat("a", 101)}
	for _, name := range bad {
		if err := c.Put(ctx, name, nil); err == nil {
			c.t.Errorf("Put to the name %q returned nil", name)
		}
		if err := c.Append(ctx, name, nil); err == nil {
			c.t.Errorf("Append to the name %q returned nil", name)
		}
		if err := c.Delete(ctx, name); err == nil {
			c.t.Errorf("Delete of the name %q returned nil", name)
		}
		if _, err := c.Get(ctx, name); err == nil {
			c.t.Errorf("Get of the name %q returned no error", name)
		}
	}
	c.has(want)
}

func copies(c *check) {
	data := []byte("data")
	if err := errors.Join(c.Put(ctx, "blob", data), c.Append(ctx, "log", data)); err != nil {
		c.t.Fatal(err)
	}
	if string(data) != "data" {
		c.t.Error("Put or Append has changed the data")
	}
	clear(data)
	want := map[string]string{"blob": "data", "log": "data"}
	c.has(want)
	for name := range want {
		got, err := c.Get(ctx, name)
		if err != nil {
			c.t.Fatal(err)
		}
		clear(got)
		_ = append(got, "more"...)
	}
	c.has(want)
	c.append("log", "+")
	want["log"] += "+"
	c.has(want)
}

func locks(c *check) {
	for range 2 {
		if s, err := c.store.Open(ctx); !errors.Is(err, checkpoint.ErrLocked) {
			c.t.Errorf("Open of a store that is open returned %v, want ErrLocked", err)
			if err == nil {
				_ = s.Close()
			}
		} else if err.Error() == checkpoint.ErrLocked.Error() {
			c.t.Error("ErrLocked does not name the place")
		}
	}
	c.put("blob", "1") // the first session has taken no harm
	c.reopen()
	c.has(map[string]string{"blob": "1"})
}

func closes(c *check) {
	c.append("log", "1")
	c.close()
	if err := c.Close(); err != nil {
		c.t.Errorf("the second Close returned %v", err)
	}
	c.fails("after Close", nil, c.Session)
	old := c.Session
	c.open()
	if err := old.Close(); err != nil {
		c.t.Errorf("the third Close returned %v", err)
	}
	if _, err := c.store.Open(ctx); !errors.Is(err, checkpoint.ErrLocked) {
		c.t.Errorf("a Close that is late has unlocked the session of another: Open returned %v", err)
	}
	c.has(map[string]string{"log": "1"})
}

func givesUp(c *check) {
	why := errors.New("why")
	ended, cancel := context.WithCancelCause(ctx)
	cancel(why)
	c.append("log", "1")
	c.fails("after ctx had ended", why, &withCtx{c.Session, ended})
	c.has(map[string]string{"log": "1"})
	c.append("log", "2")
	c.has(map[string]string{"log": "12"})
	c.close()
	if s, err := c.store.Open(ended); err == nil {
		c.t.Error("Open returned nil after ctx had ended")
		_ = s.Close()
	} else if !errors.Is(err, why) && !errors.Is(err, context.Canceled) {
		c.t.Errorf("Open returned %v after ctx had ended", err)
	}
	c.open()
}

// withCtx is a session with another ctx.
type withCtx struct {
	checkpoint.Session
	ctx context.Context
}

func (s *withCtx) Put(_ context.Context, name string, data []byte) error {
	return s.Session.Put(s.ctx, name, data)
}
func (s *withCtx) Get(_ context.Context, name string) ([]byte, error) {
	return s.Session.Get(s.ctx, name)
}
func (s *withCtx) List(context.Context) ([]string, error) { return s.Session.List(s.ctx) }
func (s *withCtx) Delete(_ context.Context, name string) error {
	return s.Session.Delete(s.ctx, name)
}
func (s *withCtx) Append(_ context.Context, log string, data []byte) error {
	return s.Session.Append(s.ctx, log, data)
}

func outlivesOpen(c *check) {
	c.close()
	opening, cancel := context.WithCancel(ctx)
	s, err := c.store.Open(opening)
	if err != nil {
		c.t.Fatal(err)
	}
	cancel()
	c.Session = s
	c.put("blob", "1")
	c.append("log", "2")
	c.has(map[string]string{"blob": "1", "log": "2"})
}

// isLikeModel compares a store with a map.
func isLikeModel(t *testing.T, fresh func(testing.TB) checkpoint.Store) {
	rapid.Check(t, func(rt *rapid.T) {
		c := &check{t: rt, store: fresh(t)}
		c.open()
		defer func() { _ = c.Close() }()
		model := map[string]string{}
		data := rapid.StringN(-1, -1, 50)
		blobs := rapid.SampledFrom([]string{"a", "b", "c.1"})
		logs := rapid.SampledFrom([]string{"l", "l-2"})
		names := rapid.OneOf(blobs, logs)
		for range rapid.IntRange(1, 15).Draw(rt, "actions") {
			switch rapid.SampledFrom([]string{"put", "append", "delete", "get", "reopen"}).Draw(rt, "action") {
			case "put":
				name, data := blobs.Draw(rt, "name"), data.Draw(rt, "data")
				_, there := model[name]
				if err := c.Put(ctx, name, []byte(data)); there && !errors.Is(err, fs.ErrExist) || !there && err != nil {
					rt.Fatalf("Put: %v", err)
				}
				if !there {
					model[name] = data
				}
			case "append":
				log, data := logs.Draw(rt, "log"), data.Draw(rt, "data")
				c.append(log, data)
				model[log] += data
			case "delete":
				name := names.Draw(rt, "name")
				c.delete(name)
				delete(model, name)
			case "get":
				name := names.Draw(rt, "name")
				want, there := model[name]
				got, err := c.Get(ctx, name)
				if there && (err != nil || string(got) != want) || !there && !errors.Is(err, fs.ErrNotExist) {
					rt.Fatalf("Get: %q, %v; want %q", got, err, want)
				}
			case "reopen":
				c.reopen()
			}
		}
		c.has(model)
		c.reopen()
		c.has(model)
	})
}

var ctx = context.Background()

// check is a session, of which some calls must succeed.
type check struct {
	checkpoint.Session
	t     rapid.TB
	store checkpoint.Store
}

func (c *check) open() {
	c.t.Helper()
	s, err := c.store.Open(ctx)
	if err != nil {
		c.t.Fatalf("Open: %v", err)
	}
	c.Session = s
}

func (c *check) close() {
	c.t.Helper()
	if err := c.Close(); err != nil {
		c.t.Errorf("Close: %v", err)
	}
}

func (c *check) reopen() {
	c.t.Helper()
	c.close()
	c.open()
}

func (c *check) put(name, data string) {
	c.t.Helper()
	if err := c.Put(ctx, name, []byte(data)); err != nil {
		c.t.Fatalf("Put of %s: %v", name, err)
	}
}

func (c *check) append(log, data string) {
	c.t.Helper()
	if err := c.Append(ctx, log, []byte(data)); err != nil {
		c.t.Fatalf("Append to %s: %v", log, err)
	}
}

func (c *check) delete(name string) {
	c.t.Helper()
	if err := c.Delete(ctx, name); err != nil {
		c.t.Fatalf("Delete of %s: %v", name, err)
	}
}

// has checks that this is what is stored.
func (c *check) has(want map[string]string) {
	c.t.Helper()
	names, err := c.List(ctx)
	if err != nil {
		c.t.Fatalf("List: %v", err)
	}
	if sorted := slices.Sorted(maps.Keys(want)); !slices.Equal(names, sorted) {
		c.t.Fatalf("List: %q, want %q", names, sorted)
	}
	for name, data := range want {
		got, err := c.Get(ctx, name)
		if err != nil {
			c.t.Fatalf("Get of %s: %v", name, err)
		}
		if !bytes.Equal(got, []byte(data)) {
			c.t.Fatalf("Get of %s: %d bytes %.100q, want %d bytes %.100q", name, len(got), got, len(data), data)
		}
	}
}

// fails checks that every call returns an error, which is why or that ctx was
// canceled, unless why is nil.
func (c *check) fails(when string, why error, s checkpoint.Session) {
	c.t.Helper()
	_, get := s.Get(ctx, "log")
	_, list := s.List(ctx)
	for call, err := range map[string]error{
		"Put": s.Put(ctx, "blob", nil), "Get": get, "List": list,
		"Delete": s.Delete(ctx, "log"), "Append": s.Append(ctx, "log", []byte("x")),
	} {
		if err == nil {
			c.t.Errorf("%s returned nil %s", call, when)
		} else if why != nil && !errors.Is(err, why) && !errors.Is(err, context.Canceled) {
			c.t.Errorf("%s returned %v %s, want %v", call, err, when, why)
		}
	}
}
