package rate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/godstream/godstream/internal/rate"
)

func at(second float64) time.Time {
	return time.Unix(0, 0).Add(time.Duration(second * float64(time.Second)))
}

// Figures worked out by hand from the formula.
func TestPID(t *testing.T) {
	p := rate.PID{Proportional: 1, Integral: 0.2, Min: 20, Interval: time.Second}
	_, ok := p.Next(at(0), 0, time.Second, 0)
	require.False(t, ok, "nothing was processed")
	_, ok = p.Next(at(1), 1000, time.Second, 0)
	require.False(t, ok, "the first one only sets the rate")
	got, ok := p.Next(at(2), 500, time.Second, 0)
	require.True(t, ok)
	require.InDelta(t, 500, got, 1e-9, "1000 - (1000-500)")
	got, _ = p.Next(at(3), 500, time.Second, 2*time.Second)
	require.InDelta(t, 300, got, 1e-9, "500 - 0 - 0.2·(2·500/1)")
	got, _ = p.Next(at(4), 300, time.Second/10, 0)
	require.InDelta(t, 3000, got, 1e-9, "300 - (300-3000)")
	_, ok = p.Next(at(4), 300, time.Second, 0)
	require.False(t, ok, "not later than the last")
	got, _ = p.Next(at(5), 1, time.Second, time.Hour)
	require.InDelta(t, 20, got, 1e-9, "the minimum")

	d := rate.PID{Proportional: 1, Derivative: 0.5, Interval: time.Second}
	d.Next(at(1), 100, time.Second, 0)
	got, _ = d.Next(at(3), 60, time.Second, 0)
	require.InDelta(t, 100-40-0.5*(40/2.0), got, 1e-9)
}

// A program that can process so many records a second settles at that rate,
// whatever it began with.
func TestPIDSettles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		speed := rapid.Float64Range(200, 1e6).Draw(t, "records a second")
		p := rate.PID{Proportional: 1, Integral: 0.2, Min: 100, Interval: time.Second}
		limit, waits := speed*rapid.Float64Range(0.01, 20).Draw(t, "at first"), 0.0
		for i := range 500 {
			took := limit / speed
			if next, ok := p.Next(at(float64(i+1)), int64(max(1, limit)), time.Duration(took*1e9), time.Duration(waits*1e9)); ok {
				limit = next
			}
			waits = max(0, waits+took-1)
		}
		require.InEpsilon(t, speed, limit, 0.1)
		require.Less(t, waits, 1.0)
	})
}
