// Package batch is one batch of a stream: elements of type T in partitions, and
// the operators on them. It is what stream.Transform and stream.ForEachBatch
// hand out, and what the operators of package stream are made of.
//
//	words := batch.FlatMap(lines, strings.FieldsSeq)
//	top := batch.Top(batch.CountByValue(words), 10, batch.ByValue)
//
// Operators that look at one element at a time (Map, Filter, FlatMap and their
// like) only note what is to be done: nothing runs and nothing is stored until
// an operator needs all elements, or they are read. Reading such a batch twice
// runs its functions twice; [Store] runs them once and keeps the elements.
//
// The promise that is easy to get wrong: a Batch is a sequence, that of its
// partitions one after the other, and every operator is defined on the
// sequence. How many partitions there are and how many of them are computed at
// once never changes what comes out, nor in which order. Keyed operators give
// their keys in the order in which they first appear. Keys are equal as in a Go
// map: NaN equals nothing, and of -0 and 0 the one that appears first comes out.
//
// A function of the caller may run for several partitions at once. If it
// panics, the operator panics with a [*Panic] that says where.
package batch
