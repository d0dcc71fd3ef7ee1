// Package sink is the contract of a sink, and the sinks that need no library.
//
// A [Sink] describes where the batches of a stream go; App.Run opens it into a
// [Writer], which is given batch after batch:
//
//	stream.To(lines, sink.Files(sink.FilesConfig{Dir: "out"}, sink.Text[string]))
//	stream.To(tweets, sink.Files(sink.FilesConfig{Dir: "tweets", Gzip: true}, codec.JSON[Tweet]().Encode))
//	stream.To(counts, sink.Func(sink.Idempotent, func(ctx context.Context, b sink.Batch[Count]) error {
//		return db.Replace(ctx, b.ID, b.Parts)
//	}))
//
// Package sinktest holds the contract as a test suite.
//
// The promise that is easy to get wrong: a Write that returns nil has made the
// whole batch last, and one that returns an error may be called again with the
// same batch, in this process or in the next one. What a reader then sees is
// what [Delivery] tells.
package sink
