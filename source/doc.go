// Package source is the contract of a source, and the sources that need no
// library.
//
//	source.Socket("localhost:9999")       lines of a TCP server
//	source.Dir("logs")                    lines of files, as they come and grow
//	source.DirFiles("in")                 whole files
//	source.DirRecords("in", 16)           records of 16 bytes
//	source.File("access.log.gz")          lines of one file, to its end
//	source.Func(f)                        elements of an iterator
//	source.Queue(monday, tuesday)         batches that are there
//
// A [Source] describes where records of type R come from; App.Run opens it into
// a [Reader], which is asked at each tick to fix the slice of that batch:
//
//	lines := stream.Map(stream.From(app, source.Dir("logs")), source.Line.Text)
//
// A source of one's own lets a [Buffer] bound, cut and account for its records;
// what is left to write is a loop that calls [Feed.Put]. Package sourcetest holds
// the contract as a test suite.
//
// The promise that is easy to get wrong: a record that a Reader has taken in is
// in exactly one slice, slices of a partition follow one another without a gap
// or an overlap, and only Close may give up what has not been cut.
package source
