package source_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/source"
)

// open opens a source until the end of the test.
func open[R any](t testing.TB, s source.Source[R], o source.Options) source.Reader[R] {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	r, err := s.Open(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

// cut returns what is there: for files, all that is in them, as texts.
func cut[R source.Record](t testing.TB, r source.Reader[R]) []string {
	t.Helper()
	s, err := r.Cut(t.Context(), source.Request{Mode: source.Arrived})
	require.NoError(t, err)
	return texts(s)
}

func texts[R source.Record](s source.Slice[R]) []string {
	got := []string{}
	for _, p := range s.Parts {
		for _, record := range p.Records {
			got = append(got, string(record.Payload()))
		}
	}
	return got
}

// all returns all records of a source that ends.
func all[R source.Record](t testing.TB, r source.Reader[R]) []string {
	t.Helper()
	got := []string{}
	for {
		s, err := r.Cut(t.Context(), source.Request{Mode: source.Filled})
		require.NoError(t, err)
		got = append(got, texts(s)...)
		if s.End {
			return got
		}
	}
}

// bare is a range without its mark.
func bare(r source.Range) source.Range {
	r.Mark = ""
	return r
}

// fails returns the error with which a source that ends does so.
func fails[R any](t testing.TB, r source.Reader[R]) error {
	t.Helper()
	for {
		s, err := r.Cut(t.Context(), source.Request{Mode: source.Filled})
		if err != nil {
			return err
		}
		require.False(t, s.End, "it ended without an error")
	}
}

// add appends to a file.
func add(t testing.TB, path, content string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(content)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// age makes a file look as if it had been changed that long ago.
func age(t testing.TB, path string, d time.Duration) {
	t.Helper()
	at := time.Now().Add(-d)
	require.NoError(t, os.Chtimes(path, at, at))
}

// journal keeps what is logged.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func newJournal() (*journal, *slog.Logger) {
	j := &journal{}
	return j, slog.New(slog.NewTextHandler(j, nil))
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// eventually waits until it is so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(30 * time.Second)
	for !so() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("never: " + what)
		}
	}
}

func count(text, part string) int { return strings.Count(text, part) }

func name(i int) string { return fmt.Sprintf("%05d.txt", i) }
