// Package crashpoint lets a test kill a process at an exact place. A process
// whose environment has
//
//	GODSTREAM_CRASH=put.renamed:3
//
// ends by SIGKILL, as in a crash, when it comes to the place put.renamed the
// third time. Without the variable, or with another text, nothing happens.
//
// The places in the life of a batch are:
//
//	batch.cut        it has its records, and waits
//	batch.begun      it is in hand, and not logged
//	batch.logged     it is in the log, or was before
//	output.begun     an output is about to run
//	output.done      it has run
//	batch.done       all outputs have run; nothing says so yet
//	batch.saved      the checkpoint knows of it, or will with the next save
//	batch.committed  the sources know of it
//
// Those in a session of checkpoint.Dir are:
//
//	put.write       a blob's temporary file is made, and empty
//	put.written     it is written
//	put.synced      it is on the disk
//	put.renamed     it has its name
//	put.done        the name is on the disk; Put is about to return
//	append.write    a log is open, nothing of the data is written
//	append.written  the data is written
//	append.synced   it is on the disk
//	append.done     so is the name of a new log; Append is about to return
//	delete.done     a blob or log is removed; Delete is about to return
package crashpoint

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// OfBatch and OfStore are the places, in the order of the tables above.
var (
	OfBatch = []string{"batch.cut", "batch.begun", "batch.logged", "output.begun", "output.done", "batch.done", "batch.saved", "batch.committed"}
	OfStore = []string{"put.write", "put.written", "put.synced", "put.renamed", "put.done",
		"append.write", "append.written", "append.synced", "append.done", "delete.done"}
)

// Names are all of them.
var Names = slices.Concat(OfBatch, OfStore)

// target is read once, as the process starts; left counts down to the crash.
var (
	target string
	left   atomic.Int64
)

func init() {
	name, count, ok := strings.Cut(os.Getenv("GODSTREAM_CRASH"), ":")
	n, err := strconv.ParseInt(count, 10, 64)
	if ok && err == nil && n > 0 {
		target = name
		left.Store(n)
	}
}

// At ends the process if that is what the environment says. It may be called
// from several goroutines; otherwise it costs the comparison of two strings.
func At(name string) {
	if target == "" || name != target || left.Add(-1) != 0 {
		return
	}
	if p, err := os.FindProcess(os.Getpid()); err == nil {
		_ = p.Kill()
	}
	select {} // until the signal arrives
}
