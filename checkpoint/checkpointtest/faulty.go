package checkpointtest

import (
	"context"

	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/internal/disk"
)

// ErrStopped is in what every call of a [Faulty] returns after its process was
// killed or lost power.
var ErrStopped = disk.ErrStopped

// Faulty is the store of [checkpoint.Dir] on a disk in memory that fails as a test
// says. A test counts the steps of a run without faults, and then lets one after
// the other fail:
//
//	for n := 1; n <= steps; n++ {
//		store := checkpointtest.NewFaulty(seed)
//		store.CutAt(n)
//		run(store)                  // fails with ErrStopped
//		run(store.Restart())        // finds what was durable, and some of the rest
//	}
//
// A step is a call of the file system, so a Put has several: one may fail when
// all of the data is written, or a part of it. All methods may be called while
// another goroutine uses the store.
type Faulty struct {
	store checkpoint.Store
	disk  *disk.Sim
}

// NewFaulty returns an empty store that does not fail until it is told to. What
// happens by chance depends on the seed and the calls alone.
func NewFaulty(seed uint64) *Faulty { return on(disk.NewSim(seed)) }

func on(d *disk.Sim) *Faulty { return &Faulty{checkpoint.On(d, "/checkpoint"), d} }

// Open is that of [checkpoint.Dir].
func (f *Faulty) Open(ctx context.Context) (checkpoint.Session, error) { return f.store.Open(ctx) }

// String describes the store.
func (f *Faulty) String() string { return "simulated directory" }

// Steps is how many there have been since NewFaulty or Restart.
func (f *Faulty) Steps() int { return f.disk.Steps() }

// Trace has the steps, for messages: "fsync /checkpoint/.state-1.tmp". The nth of
// them, counted from 1, is step n.
func (f *Faulty) Trace() []string { return f.disk.Trace() }

// FailAt lets step n fail with err, such as syscall.ENOSPC. A write that fails has
// written a part.
func (f *Faulty) FailAt(n int, err error) { f.disk.FailAt(n, err) }

// FailFrom lets step n and all after it fail, until FailFrom(0, nil).
func (f *Faulty) FailFrom(n int, err error) { f.disk.FailFrom(n, err) }

// KillAt kills the process at step n: that step has happened or not, a write in
// part, and it and all after it fail with [ErrStopped]. Restart finds everything
// that has happened.
func (f *Faulty) KillAt(n int) { f.disk.KillAt(n) }

// CutAt does the same with the power of the machine. Restart finds what was synced
// and some of what was not.
func (f *Faulty) CutAt(n int) { f.disk.CutAt(n) }

// Restart returns the store for the next process, without lock or faults. The old
// one fails with [ErrStopped] from now on. After a CutAt the power is lost, even
// if there were fewer steps; after KillAt or without either it is not.
func (f *Faulty) Restart() *Faulty { return on(f.disk.Restart()) }
