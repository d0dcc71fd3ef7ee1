// Package cost measures what code costs, for tests that hold limits and for
// benchmarks.
package cost

import "time"

// CPU is the CPU time that the process takes while do runs.
func CPU(do func()) time.Duration {
	before := Used()
	do()
	return Used() - before
}
