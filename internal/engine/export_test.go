package engine

import (
	"time"

	"github.com/godstream/godstream/window"
)

// Needed is the ticks from one on and before another that must run, for windows
// over batches that are filled.
func Needed(windows []window.Window, filled []time.Time, from, before time.Time) []time.Time {
	r := run{Config: Config{Windows: windows, Interval: time.Second}, filled: filled}
	return r.needed(from, before)
}
