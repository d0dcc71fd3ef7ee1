package checkpoint

import (
	"context"
	"errors"
	"fmt"
)

// Store says where the checkpoints of one program are kept. It is a value
// without resources until it is opened, and may be opened again after a Close.
// If it has a method String() string, it is described by that in logs and errors.
type Store interface {
	// Open takes the store for this App alone and makes what is missing.
	// The error is [ErrLocked], with the place and if possible the holder's
	// pid, if another App or process has the store. A store whose process
	// was killed is free. ctx is for Open alone.
	Open(ctx context.Context) (Session, error)
}

// Session is an opened store, to be used by one goroutine at a time.
//
// What is stored has a name: 1 to 100 of the characters a-z, 0-9, "." and "-",
// the first not a ".". Any other name is an error. A name is that of a blob, made
// by Put and never changed, or of a log, made by Append and growing. Which of
// the two the caller must know: Append to a blob need not be an error.
//
// A call does nothing and returns why if its ctx has ended or the Session is
// closed. Otherwise ctx may end a call early, which is then a call that failed.
type Session interface {
	// Put stores a blob under a new name: all of it or nothing. It lasts when
	// Put returns nil. After an error or a crash it may be there, whole, or
	// not; Put may be called again, and returns fs.ErrExist if it is there.
	// A name that is there stays as it is.
	// The price is that of two fsyncs at most.
	Put(ctx context.Context, name string, data []byte) error

	// Get returns a blob or a log; the bytes are the caller's. What is not
	// there is fs.ErrNotExist. What Get has returned lasts, even what a
	// crash had left unsafe, but for the end of a log whose Append failed.
	Get(ctx context.Context, name string) ([]byte, error)

	// List returns the names of all blobs and logs, sorted.
	List(ctx context.Context) ([]string, error)

	// Delete removes a blob or a log, nil if it is not there. After a crash
	// it may be there again.
	Delete(ctx context.Context, name string) error

	// Append adds data to the end of a log, which it makes if it is new.
	// It lasts when Append returns nil. After an error or a crash the log
	// may end with any part of the data; after a loss of power, bytes of
	// that part may be others. After an error no more can be appended to
	// this log in this session, deleted or not, and Append says so: begin
	// another log. A later session may append to it, after that part.
	// The price is that of one fsync, and of another for a new log.
	Append(ctx context.Context, log string, data []byte) error

	// Close gives the store back. It is called once or more often.
	Close() error
}

var (
	// ErrLocked says that a store is in use. Wait until the other program has
	// stopped, or give this one a store of its own: two programs, or two
	// instances of one, never share a store.
	ErrLocked = errors.New("in use by another App or process")

	// ErrCorrupt says that a file of a checkpoint is damaged: its checksum or
	// form is not what was written. A store does not look into its blobs; it
	// is the reader of a checkpoint that returns this. The message names the
	// file. Restore it from a copy, or start with an older checkpoint or an
	// empty store; what was written after that is computed anew. Look for
	// the cause, which is the disk or another program.
	ErrCorrupt = errors.New("damaged")
)

// maxName is the greatest length of a name, in bytes.
const maxName = 100

// validName says whether something may be stored under a name.
func validName(name string) bool {
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' {
			return false
		}
	}
	return name != "" && len(name) <= maxName && name[0] != '.'
}

// checkName is the error for a name under which nothing may be stored.
func checkName(name string) error {
	if validName(name) {
		return nil
	}
	return fmt.Errorf("checkpoint: the name %q is not 1 to %d of a-z, 0-9, \".\" and \"-\", the first not a \".\"", name, maxName)
}
