// Package stream is Spark Streaming's model for Go programs: a stream is a
// sequence of small typed batches, transformed by ordinary functions.
//
//	app := stream.New(stream.Config{Interval: 5 * time.Second})
//	lines := stream.From(app, source.Queue([]string{"to be or", "not to be"}))
//	words := stream.FlatMap(lines, strings.FieldsSeq)
//	stream.Print(stream.CountByValue(words))
//	err := app.Run(ctx)
//
// A program is declared first: [From] makes a [Stream] of a source, operators
// make streams of streams, outputs ([Print], [ForEach], [ForEachBatch]) give it an
// effect. [App.Run] then makes a batch at each tick and runs all outputs on it.
// Declaring never fails: what is wrong with a program is collected and returned
// by Run, all of it at once, each fault with the line that caused it.
//
// Two promises are easy to get wrong. Functions of the caller run for several
// partitions of a batch at the same time, unless Config.Workers is 1, so they
// must not share variables without a lock; outputs are called one after the
// other. And within a batch a function is called once for each element, however
// many streams follow from it.
package stream
