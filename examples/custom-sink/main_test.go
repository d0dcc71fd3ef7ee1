package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/godstream/godstream/sink"
	"github.com/godstream/godstream/sink/sinktest"
)

func TestMain(m *testing.M) {
	slog.SetLogLoggerLevel(slog.LevelError)
	goleak.VerifyTestMain(m)
}

// failures are what a server may do instead of its work.
var failures = map[string]func(s *server, w http.ResponseWriter, r *http.Request){
	"answers with an error": func(_ *server, w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "later", http.StatusServiceUnavailable)
	},
	"hangs up": func(*server, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	"stores the batch and hangs up": func(s *server, _ http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	},
	"sends the client elsewhere": func(_ *server, w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut { // a GET is answered, but nothing is stored
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}
	},
	"will do it later": func(_ *server, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) },
}

func TestArchiveKeepsTheContract(t *testing.T) {
	for name, failure := range failures {
		t.Run("a server that "+name, func(t *testing.T) {
			sinktest.Run(t, func(t *testing.T) sinktest.Place[string] {
				var broken atomic.Bool
				s := &server{bodies: map[string]string{}, holds: 100}
				web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if broken.Load() {
						failure(s, w, r)
						return
					}
					s.ServeHTTP(w, r)
				}))
				t.Cleanup(web.Close)
				return sinktest.Place[string]{
					Sink:   Archive[string]{URL: web.URL},
					Read:   func() ([]string, error) { return lines(s) },
					Atomic: true,
					Break: func() (mend func()) {
						broken.Store(true)
						return func() { broken.Store(false) }
					},
				}
			})
		})
	}
}

// lines is what a reader of the archive sees, batch after batch.
func lines(s *server) (all []string, err error) {
	paths, bodies := s.all()
	for _, path := range paths {
		for line := range strings.Lines(bodies[path]) {
			var element string
			if err := json.Unmarshal([]byte(line), &element); err != nil {
				return nil, err
			}
			all = append(all, element)
		}
	}
	return all, nil
}

func open[T any](t *testing.T, url string) sink.Writer[T] {
	t.Helper()
	w, err := Archive[T]{URL: url}.Open(t.Context(), sink.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	return w
}

func TestAServerThatIsGone(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	web.Close()
	err := open[string](t, web.URL).Write(t.Context(), sink.Batch[string]{ID: "b1"})
	require.ErrorContains(t, err, web.URL+"/b1")
}

func TestAnErrorStatusSaysWhy(t *testing.T) {
	web := httptest.NewServer(&server{bodies: map[string]string{}})
	defer web.Close()
	err := open[string](t, web.URL).Write(t.Context(), sink.Batch[string]{ID: "b1"})
	require.EqualError(t, err, "put "+web.URL+"/b1: 507 Insufficient Storage: the archive is full")
}

func TestCtxEndsWhileTheServerIsSilent(t *testing.T) {
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel(why)
		<-r.Context().Done() // until the client hangs up
	}))
	defer web.Close()
	began := time.Now()
	err := open[string](t, web.URL).Write(ctx, sink.Batch[string]{ID: "b1"})
	require.ErrorIs(t, err, why)
	require.Less(t, time.Since(began), 5*time.Second, "it waited for the client's own limit")
}

func TestAnElementThatIsNoJSON(t *testing.T) {
	w := open[func()](t, "http://127.0.0.1:1") // not reached
	err := w.Write(t.Context(), sink.Batch[func()]{ID: "b1", Parts: [][]func(){{}, {func() {}}}})
	require.EqualError(t, err, "element 0: json: unsupported type: func()")
}

func TestSettings(t *testing.T) {
	require.NoError(t, Archive[int]{URL: "http://127.0.0.1/totals"}.Check())
	for _, url := range []string{"", "totals", "http://", "http://[::1"} {
		require.ErrorContains(t, Archive[int]{URL: url}.Check(), "archive: URL is ")
	}
}

func TestTheProgram(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	got := regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(out.String(), "host")
	require.Equal(t, `first run: stream: app custom-sink: batch 2024-05-01T11:00:00Z: output to-1: put http://host/totals/2024-05-01T11:00:00.000000000Z: 507 Insufficient Storage: the archive is full
second run: done

/totals/2024-05-01T09:00:00.000000000Z
{"Goods":"tea","Cents":640}
{"Goods":"rye","Cents":450}

/totals/2024-05-01T10:00:00.000000000Z
{"Goods":"rye","Cents":450}

/totals/2024-05-01T11:00:00.000000000Z
{"Goods":"tea","Cents":960}
`, got)
}
