// Package bubble runs tests on the clock of testing/synctest, also under the race
// detector.
package bubble

import (
	"runtime"
	"testing"
	"testing/synctest"
)

// Test is [synctest.Test]. Under the race detector it leaves one processor to the
// whole program until f has returned, so a test that runs in parallel to others
// must not call it.
//
// The timers of a bubble share one context of the race detector, whichever thread
// they run on (runtime.unlockAndRun). On two threads at a time they spoil it, and
// the program ends with a SIGSEGV or a failed check inside ThreadSanitizer, seen up
// to Go 1.26.8 (https://go.dev/issue/78156). Races are found as before: they follow
// from what is ordered before what.
func Test(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	if raceDetector {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	}
	synctest.Test(t, f)
}
