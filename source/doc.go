// Package source is the contract of a source, and the sources that need no
// library.
//
// A [Source] describes where records of type R come from; App.Run opens it into
// a [Reader], which is asked at each tick to fix the slice of that batch:
//
//	messages := stream.From(app, source.Queue([]string{"tea", "rye"}, []string{"tea"}))
//
// Most sources fetch records all the time and let a [Buffer] bound, cut and
// account for them; what is left to write is a loop that calls [Feed.Put].
// Package sourcetest holds the contract as a test suite.
//
// The promise that is easy to get wrong: a record that a Reader has taken in is
// in exactly one slice, slices of a partition follow one another without a gap
// or an overlap, and only Close may give up what has not been cut.
package source
