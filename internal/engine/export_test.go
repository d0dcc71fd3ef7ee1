package engine

import (
	"time"

	"github.com/godstream/godstream/window"
)

// Needed is the first tick from one on and before another that must run, for
// windows over batches that are filled.
func Needed(windows []window.Window, keepFor time.Duration, filled []time.Time, from, before time.Time) (time.Time, bool) {
	r := run{Config: Config{Windows: windows, KeepFor: keepFor}, filled: filled}
	return r.needed(from, before)
}
