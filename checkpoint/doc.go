// Package checkpoint is the contract of a store of checkpoints, and the store in
// a directory.
//
// A [Store] says where the checkpoints of one program are kept; App.Run opens it
// into a [Session], which no other program can have at the same time:
//
//	store := checkpoint.Dir("/var/lib/tweets")
//	session, err := store.Open(ctx)
//	...
//	err = session.Put(ctx, "state-17", image) // lasts when it returns nil
//	err = session.Append(ctx, "log-17", line) // so does this
//
// Package checkpointtest holds the contract as a test suite, and a store whose
// disk fails and loses power as a test says.
//
// The promise that is easy to get wrong: what a call has stored when it returns
// nil is there after a crash of the process or a loss of power. A Put that did
// not return nil has stored all or nothing; an Append that did not may have
// stored any part, so what is in a log needs checksums.
package checkpoint
