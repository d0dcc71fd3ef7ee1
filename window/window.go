// Package window is the shapes of windows, as arithmetic on batch times.
//
//	lastMinute := window.Sliding(time.Minute, 5*time.Second)
//	counts := stream.CountByWindow(tweets, lastMinute)
//
// A window of a given length at batch time T covers the batches after T-length
// up to T. It is there at the multiples of its slide since the Unix epoch, not
// since the start of the program, so that copies of a program and a program
// that was restarted have the same windows.
package window

import (
	"fmt"
	"time"
)

// Window is the shape of a window.
type Window struct {
	Length time.Duration // of the time that it covers
	Slide  time.Duration // between one window and the next
}

// Sliding is a window of the given length at every multiple of slide. With a
// slide longer than the length, some batches are in no window.
func Sliding(length, slide time.Duration) Window { return Window{Length: length, Slide: slide} }

// Tumbling is windows of the given length side by side.
func Tumbling(length time.Duration) Window { return Window{Length: length, Slide: length} }

// Check says what is wrong with a window over a stream that has a batch every
// period: length and slide must be positive multiples of it.
func (w Window) Check(period time.Duration) error {
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"length", w.Length}, {"slide", w.Slide}} {
		switch {
		case d.value <= 0:
			return fmt.Errorf("the window's %s is not positive: %v", d.name, d.value)
		case period <= 0 || d.value%period != 0:
			return fmt.Errorf("the window's %s, %v, is not a multiple of %v, the time between the batches of its stream", d.name, d.value, period)
		}
	}
	return nil
}

// Covers says whether the window at a batch time holds the batch of another.
func (w Window) Covers(at, batch time.Time) bool {
	return !batch.After(at) && batch.After(at.Add(-w.Length))
}

func (w Window) String() string {
	if w.Length == w.Slide {
		return fmt.Sprintf("tumbling %v", w.Length)
	}
	return fmt.Sprintf("%v every %v", w.Length, w.Slide)
}
