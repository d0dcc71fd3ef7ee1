package main

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
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
	sourcetest.Run(t, sourcetest.Harness[Reading]{
		Source: func(t testing.TB, parts [][]sourcetest.Record) source.Source[Reading] {
			var all []Reading
			for i, r := range parts[0] {
				all = append(all, Reading{ID: int64(i + 1), Sensor: r.Value, At: r.Time})
			}
			server := httptest.NewServer(serve(all))
			t.Cleanup(server.Close)
			return Station{URL: server.URL, Every: time.Millisecond}
		},
		Value: func(r Reading) string { return r.Sensor },
	})
}

func TestTheMorning(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	require.Equal(t, 4, strings.Count(out.String(), "Time: 2017-01-11 06:0"))
	require.Contains(t, out.String(), "Time: 2017-01-11 06:00:30\n"+strings.Repeat("-", 43)+"\nmean 0.8 °C\nhighest 1.5 °C\n\n")
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
