package main

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/source/sourcetest"
)

func TestMain(m *testing.M) {
	slog.SetLogLoggerLevel(slog.LevelError)
	goleak.VerifyTestMain(m)
}

func TestStationKeepsTheContract(t *testing.T) {
	var mu sync.Mutex // a server may answer when its reader is closed
	var all []Reading
	grow := func(_ testing.TB, parts [][]sourcetest.Record) {
		mu.Lock()
		defer mu.Unlock()
		for _, r := range parts[0] {
			all = append(all, Reading{ID: int64(len(all) + 1), Sensor: r.Value, At: r.Time})
		}
	}
	sourcetest.Run(t, sourcetest.Harness[Reading]{
		Source: func(t testing.TB, parts [][]sourcetest.Record) source.Source[Reading] {
			mu.Lock()
			all = nil
			mu.Unlock()
			grow(t, parts)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				now := slices.Clip(all)
				mu.Unlock()
				serve(now).ServeHTTP(w, r)
			}))
			t.Cleanup(server.Close)
			return Station{URL: server.URL, Every: time.Millisecond}
		},
		Grow:  grow, // when no reader is open
		Value: func(r Reading) string { return r.Sensor },
	})
}

func TestTheMorning(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	require.Equal(t, 4, strings.Count(out.String(), "Time: 2017-01-11 06:0"))
	require.Contains(t, out.String(), "Time: 2017-01-11 06:00:30\n"+strings.Repeat("-", 43)+"\nmean 0.8 °C\nhighest 1.5 °C\n\n")
}

func TestStationThatAnswersWithNonsense(t *testing.T) {
	var asked atomic.Int64
	up := serve(morning())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 { // the reading can be decoded in part
			w.Write([]byte(`[{"ID": 1, "Celsius": "warm", "Sensor": "roof"}]`))
			return
		}
		up.ServeHTTP(w, r)
	}))
	defer server.Close()
	r, err := Station{URL: server.URL, Every: time.Millisecond}.Open(t.Context(), source.Options{Replay: true})
	require.NoError(t, err)
	defer r.Close()
	s, err := r.Cut(t.Context(), source.Request{Mode: source.Filled})
	require.NoError(t, err)
	require.Equal(t, morning(), s.Parts[0].Records)
	require.EqualValues(t, 1, r.Stats().Retries)
}

func TestSettings(t *testing.T) {
	require.NoError(t, Station{URL: "http://127.0.0.1/readings", Every: time.Second}.Check())
	for _, s := range []Station{{}, {URL: "http://127.0.0.1"}, {URL: "readings", Every: 1}, {URL: "http://[::1", Every: 1}} {
		require.ErrorContains(t, s.Check(), "station: URL is ")
	}
}

func TestStationThatIsDownForAWhile(t *testing.T) {
	var asked atomic.Int64
	up := serve(morning())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) <= 3 {
			http.Error(w, "later", http.StatusServiceUnavailable)
			return
		}
		up.ServeHTTP(w, r)
	}))
	defer server.Close()
	r, err := Station{URL: server.URL, Every: time.Millisecond}.Open(t.Context(), source.Options{Replay: true})
	require.NoError(t, err)
	defer r.Close()
	s, err := r.Cut(t.Context(), source.Request{Mode: source.Filled})
	require.NoError(t, err)
	require.True(t, s.End)
	require.Len(t, s.Parts[0].Records, 120)
	require.EqualValues(t, 3, r.Stats().Retries)
}

func TestCloseDoesNotWaitForTheServer(t *testing.T) {
	asked := make(chan struct{}, 1)
	tests := map[string]struct {
		answer http.HandlerFunc
		wait   func(r source.Reader[Reading], logged <-chan struct{})
	}{
		"it is silent": {
			answer: func(_ http.ResponseWriter, r *http.Request) { asked <- struct{}{}; <-r.Context().Done() },
			wait:   func(source.Reader[Reading], <-chan struct{}) { <-asked },
		},
		"it is down and asked again in an hour": {
			answer: func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, "later", http.StatusServiceUnavailable)
			},
			wait: func(_ source.Reader[Reading], logged <-chan struct{}) { <-logged },
		},
		"it has more than there is room for": {
			answer: serve(morning()).ServeHTTP,
			wait: func(r source.Reader[Reading], _ <-chan struct{}) {
				_, err := r.Cut(t.Context(), source.Request{Mode: source.Filled, MaxBytes: 1})
				require.NoError(t, err)
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.answer)
			defer server.Close()
			before := goleak.IgnoreCurrent()
			logged := make(lines, 1)
			r, err := Station{URL: server.URL, Every: time.Hour}.Open(t.Context(), source.Options{Prefetch: 1, MaxBatchBytes: 1, Logger: slog.New(slog.NewTextHandler(logged, nil))})
			require.NoError(t, err)
			test.wait(r, logged)
			began := time.Now()
			require.NoError(t, r.Close())
			require.Less(t, time.Since(began), 5*time.Second)
			require.NoError(t, goleak.Find(before), "a connection is left open")
		})
	}
}

// lines gets a value for each line of a log.
type lines chan struct{}

func (l lines) Write(line []byte) (int, error) {
	l <- struct{}{}
	return len(line), nil
}
