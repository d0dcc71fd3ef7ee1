// Package recovery keeps what a program needs to go on after a crash, in a
// checkpoint.Store: a log with the ranges of each batch that was begun, and saves
// of what operators keep. It knows operators and sources by name, and of their
// data only bytes. docs/CHECKPOINT_FORMAT.md has the format.
//
// A save is one file: the parts that are new, and a manifest that says which
// parts, of this file and of earlier ones, make up what each operator keeps. So a
// checkpoint is complete when its file is there, and the newest one counts. When
// what was added since outgrows it, and every hundredth time, a save writes
// everything anew: it begins a generation, which refers to no earlier file. The
// generation before is kept, with the log since its end, so that there is always
// a checkpoint that does not depend on any one file that is damaged.
//
// The promise that is easy to get wrong: a save names all files beside it, and only
// then is the rest deleted. So what it does not name is left over from a crash, and
// what it names and is not there is lost.
package recovery
