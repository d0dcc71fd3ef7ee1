//go:build unix

package cost

import (
	"runtime"
	"syscall"
	"time"
)

// Used is the CPU time that the process has taken so far.
func Used() time.Duration {
	u := usage()
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// MaxRSS is how many bytes of memory the process has had at most.
func MaxRSS() int64 {
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return int64(usage().Maxrss)
	}
	return int64(usage().Maxrss) << 10
}

func usage() (u syscall.Rusage) {
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u
}
