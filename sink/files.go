package sink

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// FilesConfig says where [Files] writes, and in which form.
type FilesConfig struct {
	// Dir is where the folders of the batches are. It is made if it is missing,
	// with those above it. It can't be empty.
	Dir string

	// Prefix and Suffix stand around the time in the name of a folder:
	// "tweets-1704103200000.txt". Without them the name is just the time. Prefix
	// does not end in "-".
	Prefix, Suffix string

	// Gzip compresses the parts; their names end with ".gz".
	Gzip bool

	// SkipEmpty leaves out the batches that have no elements.
	SkipEmpty bool
}

// Files writes each batch to a folder of its own, named as Spark's
// saveAsTextFiles does: by the batch time in milliseconds since the epoch, with
// [FilesConfig].Prefix before and Suffix after it. The folder has a file for
// each partition, empty ones included:
//
//	out/tweets-1704103200000.txt/part-00000
//	out/tweets-1704103200000.txt/part-00001
//
// An element is what encode appends, and a newline. [Text] and the Encode of a
// codec are such functions; to have each element on one line, encode must write
// no newline of its own.
//
// A folder is visible when it is complete and safe from a power failure, not
// before: it is written beside its place under a name that begins with ".", and
// renamed. One that is there already is the batch, written before a crash; it is
// kept, not written again (Idempotent). So a program that is started anew, to
// write other things, needs a new or an emptied Dir; that a folder was kept is
// logged. When a batch fails, what was written of it is removed, or else at the
// next attempt or Open.
//
// Copies of a program that share a source have batches of the same times, but not
// of the same elements: each needs a name, kafka.Config.Member, which follows Prefix
// in the names of its folders.
//
// Two sinks may share a Dir if Prefix or Suffix tell them apart. Within a process
// that is checked; see to it that no second process writes the same folders.
func Files[T any](c FilesConfig, encode func(dst []byte, element T) ([]byte, error)) Sink[T] {
	return files[T]{c, encode, realDisk{}}
}

// Text is an encoding for [Files]: what fmt.Print prints of an element. As with
// Spark, newlines in it stay as they are, so that it takes several lines; where
// elements must be told apart again, use a codec such as codec.JSON.
func Text[T any](dst []byte, element T) ([]byte, error) { return fmt.Append(dst, element), nil }

// name is that of the folder of a time.
func (c FilesConfig) name(ms string) string {
	if c.Prefix != "" {
		ms = c.Prefix + "-" + ms
	}
	if c.Suffix != "" {
		ms += "." + c.Suffix
	}
	return ms
}

// temporary is the name of a folder while it is written.
func temporary(name string) string { return "." + name + ".tmp" }

// isTemporary says whether that is the temporary name of one of our folders.
func (c FilesConfig) isTemporary(name string) bool {
	before, after, _ := strings.Cut(temporary(c.name("\x00")), "\x00")
	name, ok := strings.CutPrefix(name, before)
	name, too := strings.CutSuffix(name, after)
	_, err := strconv.ParseInt(name, 10, 64)
	return ok && too && err == nil
}

type files[T any] struct {
	FilesConfig
	encode func([]byte, T) ([]byte, error)
	disk   disk
}

// Check returns everything that is wrong with the settings.
func (f files[T]) Check() error {
	var faults []error
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf("sink: "+format, args...))
		}
	}
	fault(f.encode == nil, "Files: the function encode is nil; for lines of text give sink.Text[%T]", *new(T))
	fault(f.Dir == "", "FilesConfig.Dir is empty")
	fault(strings.ContainsAny(f.Prefix, `/\`), "FilesConfig.Prefix is %q; folders belong into Dir", f.Prefix)
	fault(strings.ContainsAny(f.Suffix, `/\`), "FilesConfig.Suffix is %q; folders belong into Dir", f.Suffix)
	fault(strings.HasSuffix(f.Prefix, "-"), "FilesConfig.Prefix is %q; a \"-\" at its end would be taken for the sign of the time", f.Prefix)
	fault(strings.HasPrefix(f.Prefix, "."), "FilesConfig.Prefix is %q; names that begin with a dot are passed over by readers", f.Prefix)
	return errors.Join(faults...)
}

func (f files[T]) String() string { return "files " + filepath.Join(f.Dir, f.name("*")) }

func (f files[T]) Delivery() Delivery { return Idempotent }

// writing has the folders that a sink of this process writes, with its name.
// Two that write the same would each take the other's batches for their own.
var writing sync.Map

// Open makes Dir and removes what a crash may have left there.
func (f files[T]) Open(ctx context.Context, o Options) (Writer[T], error) {
	if o.Shared {
		if o.Member == "" {
			return nil, errors.New("sink: Files: the program shares its source with others, whose batches have the same times: name each of them (kafka.Config.Member); that becomes part of its folders' names")
		}
		f.Prefix = strings.TrimPrefix(f.Prefix+"-"+url.PathEscape(o.Member), "-")
	}
	if err := f.Check(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	dir, err := f.makeDir()
	if err != nil {
		return nil, fmt.Errorf("sink: %w", err)
	}
	path := filepath.Join(dir, f.name("*"))
	if other, taken := writing.LoadOrStore(path, o.Name); taken {
		return nil, fmt.Errorf("sink: %s is written by output %s already; set another Dir, Prefix or Suffix", path, other)
	}
	w := &filesWriter[T]{files: f, claim: path, log: o.Defaults().Logger, out: bufio.NewWriterSize(nil, 1<<16)}
	w.gzip = gzip.NewWriter(w.out)
	if err := w.clean(); err != nil {
		writing.Delete(path)
		return nil, fmt.Errorf("sink: %w", err)
	}
	return w, nil
}

// makeDir makes Dir and returns its one name, whatever links lead to it.
func (f files[T]) makeDir() (string, error) {
	if err := makeDir(f.disk, f.Dir); err != nil {
		return "", err
	}
	dir, err := filepath.Abs(f.Dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}

type filesWriter[T any] struct {
	files[T]
	claim string // in writing
	log   *slog.Logger
	told  bool // that a folder was kept

	line []byte
	out  *bufio.Writer
	gzip *gzip.Writer
}

func (w *filesWriter[T]) Close() error {
	writing.Delete(w.claim)
	return nil
}

// clean removes what a crash may have left.
func (w *filesWriter[T]) clean() error {
	names, err := w.disk.Names(w.Dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if w.isTemporary(name) {
			if err := w.disk.Remove(filepath.Join(w.Dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeDir makes a folder that lasts, with those above it.
func makeDir(d disk, dir string) error {
	if there, err := isDir(d, dir); there || err != nil {
		return err
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeDir(d, parent); err != nil {
			return err
		}
	}
	if err := d.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return d.Sync(parent)
}

// isDir says whether a folder is there. It is an error if it is something else.
func isDir(d disk, path string) (bool, error) {
	info, err := d.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err == nil && !info.IsDir():
		err = &fs.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR}
	}
	return err == nil, err
}

func (w *filesWriter[T]) Write(ctx context.Context, b Batch[T]) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if b.Time.Nanosecond()%int(time.Millisecond) != 0 {
		return fmt.Errorf("sink: batch time %s is not a whole number of milliseconds, by which folders are named; choose an Interval that is", b.ID)
	}
	if w.SkipEmpty && b.Len() == 0 {
		return nil
	}
	err := w.folder(ctx, w.name(strconv.FormatInt(b.Time.UnixMilli(), 10)), b.Parts)
	if err != nil && !errors.Is(err, context.Cause(ctx)) {
		err = fmt.Errorf("sink: %w", err)
	}
	return err
}

// folder makes sure that a folder is there, complete and for good.
func (w *filesWriter[T]) folder(ctx context.Context, name string, parts [][]T) error {
	path, hidden := filepath.Join(w.Dir, name), filepath.Join(w.Dir, temporary(name))
	there, err := isDir(w.disk, path)
	if err != nil {
		return err
	}
	if there {
		w.kept(path)
	} else if err := w.place(ctx, hidden, path, parts); err != nil {
		_ = w.disk.Remove(hidden) // room for others; the next attempt begins with that, too
		return err
	}
	return w.disk.Sync(w.Dir) // also if it was there: this may be what had failed
}

// kept logs that a folder was there: usual after a crash, but it may also be an
// old one where the user expects a new one.
func (w *filesWriter[T]) kept(path string) {
	level := slog.LevelWarn
	if w.told {
		level = slog.LevelDebug
	}
	w.told = true
	w.log.Log(context.Background(), level, "sink: kept the folder of a batch that was written before", "folder", path,
		"way out", "to have it written anew, remove it before the program starts")
}

// place writes the parts into a hidden folder and makes it visible.
func (w *filesWriter[T]) place(ctx context.Context, hidden, path string, parts [][]T) error {
	if err := w.disk.Remove(hidden); err != nil {
		return err
	}
	if err := w.disk.Mkdir(hidden); err != nil {
		return err
	}
	for p, elements := range parts {
		if err := w.part(ctx, filepath.Join(hidden, w.partName(p)), elements); err != nil {
			return err
		}
	}
	if err := w.disk.Sync(hidden); err != nil {
		return err
	}
	return w.disk.Rename(hidden, path)
}

func (w *filesWriter[T]) partName(p int) string {
	if w.Gzip {
		return fmt.Sprintf("part-%05d.gz", p)
	}
	return fmt.Sprintf("part-%05d", p)
}

// part writes one file, and gives up when ctx ends.
func (w *filesWriter[T]) part(ctx context.Context, path string, elements []T) (err error) {
	f, err := w.disk.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	w.out.Reset(f)
	to := io.Writer(w.out)
	if w.Gzip {
		w.gzip.Reset(to)
		to = w.gzip
	}
	for i, e := range elements {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if w.line, err = w.encode(w.line[:0], e); err != nil {
			return fmt.Errorf("write %s: encode element %d: %w", path, i, err)
		}
		w.line = append(w.line, '\n')
		if _, err := to.Write(w.line); err != nil {
			return err
		}
	}
	if w.Gzip {
		if err := w.gzip.Close(); err != nil {
			return err
		}
	}
	if err := w.out.Flush(); err != nil {
		return err
	}
	return f.Sync()
}
