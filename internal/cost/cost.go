//go:build unix

// Package cost measures what code costs, for tests that hold limits.
package cost

import (
	"syscall"
	"time"
)

// CPU is the CPU time that the process takes while do runs.
func CPU(do func()) time.Duration {
	before := Used()
	do()
	return Used() - before
}

// Used is the CPU time that the process has taken so far.
func Used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
