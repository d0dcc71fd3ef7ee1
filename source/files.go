package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"
)

// Dir reads the lines of the files in a directory, of those that are there and of
// those that come:
//
//	lines := stream.From(app, source.Dir("/var/log/nginx", source.Match(func(path string) bool {
//		return strings.HasSuffix(path, ".log")
//	})))
//
// path is a directory or a pattern of directories, as for filepath.Glob
// ("logs/*/in"). It is looked through whenever a live batch is made; in a batch,
// files that were changed earlier come first, then those with the lesser path.
// Names ending in ".gz" are unpacked.
//
// Nothing that is in a file is left out, however slowly it gets there. A file is
// read as far as it goes and read on when it has grown; a last line without an
// end is given when the file has not changed for the time of [Settle], and what is
// added to it later, but for that end, is a line of its own. A renamed file is known
// again, so logs may be rotated (but one that is packed then is a new file: leave
// it out with [Match]). One that shrinks or is written anew, or whose place another
// file has taken, is read from the start, which is logged and counted in
// Stats.Replaced; what was deleted before it was read is counted in Stats.Lost, in
// bytes. What can't be read is logged and tried again at every look, and counted in
// Stats.Retries.
//
// Whether a file was written anew is told by what was read of it: by all of that
// if the file was changed and has not grown, or else by the first 4 KiB and the
// last KiB. So it can't be told if these are the same and the file is longer, as
// when lines repeat themselves, or if neither size nor time of change differ; and
// of what [NewOnly] has left out, these ends are all that is known. Move a file into
// its place instead of writing it anew.
//
// A batch waits at most 10 s for a file system that is slow; but Close, and so the
// end of the App, waits for a call to it that is under way, also for one that never
// returns, as when the server of a hard NFS mount is gone.
//
// An App with Ticks Step waits for whole batches, so give it [Once].
//
// In a program with a checkpoint, files are read on after a restart where its
// batches ended, also those that were renamed while it was down; what was written
// anew then or deleted is noted as above. A batch that is run again has the same
// records; if a file no longer has them, that is an error. Leave files in place
// until what was read of them is in the checkpoint: all batches since the last
// save run again after a crash (stream.Config.SaveEvery). What [NewOnly] leaves out
// is told by the first start that had a batch.
//
// In a replay by record time, and with [Once], what is there at the start is read,
// and then the source ends. What can't be read then ends the App, since the
// replay would not be complete; but a file that is written anew before its turn
// comes is read as it is then, up to the size that it had. Each file is cut by itself, so the logs of
// several machines fit together; this keeps as many files open as overlap in time.
//
// Options: [Once], [NewOnly], [Recursive], [Match], [Settle], [MaxRecord], [Time].
func Dir(path string, opts ...Option) Source[Line] {
	s := newFiles[Line]("Dir", path, settings{settle: 10 * time.Second, maxRecord: 1 << 20}, opts)
	s.next = nextLine
	return s
}

// DirFiles is [Dir] with each file as one record. A file is read when it has not
// changed for the time of [Settle]; one that changes after that is read again, and
// counted as replaced.
//
// Options: [Once], [NewOnly], [Recursive], [Match], [Settle], [MaxRecord], [Time].
func DirFiles(path string, opts ...Option) Source[Blob] {
	s := newFiles[Blob]("DirFiles", path, settings{settle: 10 * time.Second, maxRecord: 64 << 20}, opts)
	s.next, s.whole = nextFile, true
	return s
}

// DirRecords is [Dir] with records of n bytes each. Bytes that are left at the end
// of a file wait for the rest of their record; when the file has not changed for
// the time of [Settle], they are counted in Stats.Rejected.
//
// Options: [Once], [NewOnly], [Recursive], [Match], [Settle], [Time].
func DirRecords(path string, n int, opts ...Option) Source[Blob] {
	s := newFiles[Blob]("DirRecords", path, settings{settle: 10 * time.Second, maxRecord: n}, opts)
	s.next, s.length = nextRecord, n
	if n <= 0 {
		s.fault("the length of a record is not positive: %d", n)
	}
	return s
}

// File reads the lines of one file, up to its size when the App starts, and ends.
// A name ending in ".gz" is unpacked. A file that can't be read to its end ends
// the App. In a program with a checkpoint, a restart reads on where its batches
// ended, up to the size that the file has then.
//
//	lines := stream.From(app, source.File("access.log.gz"))
//
// Options: [MaxRecord], [Time].
func File(path string, opts ...Option) Source[Line] {
	s := newFiles[Line]("File", path, settings{once: true, maxRecord: 1 << 20}, opts)
	s.next = nextLine
	return s
}

// files is the source of records in files.
type files[R any] struct {
	settings
	path   string
	at     func(R) time.Time
	next   func(*opened) (r R, size int, err error) // io.EOF: no more for now
	whole  bool                                     // a record is a whole file
	length int                                      // of a record; 0 if that differs
	open   func(path string) (rawFile, error)
}

// rawFile is what is used of an [os.File].
type rawFile interface {
	io.ReadSeekCloser
	io.ReaderAt
	Stat() (fs.FileInfo, error)
}

func newFiles[R any](kind, path string, defaults settings, opts []Option) *files[R] {
	s := &files[R]{settings: configure(kind, defaults, opts), path: filepath.Clean(path)}
	s.open = func(path string) (rawFile, error) { return openFile(path) }
	s.at = typed[func(R) time.Time](&s.settings, "Time", s.time)
	if path == "" {
		s.fault("the path is empty")
	}
	if _, err := filepath.Match(path, ""); err != nil && kind != "File" {
		s.fault("path %q: %w", path, err)
	}
	if s.once && s.newOnly {
		s.fault("options Once and NewOnly together leave out everything")
	}
	return s
}

func (s *files[R]) String() string {
	if s.kind == "File" {
		return "file " + s.path
	}
	return "directory " + s.path
}

// Open implements [Source].
func (s *files[R]) Open(ctx context.Context, o Options) (Reader[R], error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	o = o.Defaults()
	r := &filesReader[R]{Buffer: NewBuffer[R](o), files: s, log: o.Logger.With("source", o.Name), prefetch: int(o.Prefetch)}
	r.Spread()
	r.feed, r.once = r.add(nil), s.once || o.Replay
	if o.Replay {
		r.stamp = s.at
	}
	err := context.Cause(ctx)
	if err == nil {
		r.pattern, err = s.isPattern()
	}
	if err == nil && r.once && s.newOnly {
		err = errors.New("option NewOnly leaves out all that a replay reads")
	}
	if err == nil && o.Positions == nil {
		err = r.begin(ctx)
	} else if err == nil {
		err = r.goOn(o.Positions)
	}
	if err != nil {
		r.Shut()
		return nil, fmt.Errorf("source: %s: %w", s, err)
	}
	return r, nil
}

// filesReader reads files, one after the other, with one goroutine.
type filesReader[R any] struct {
	*Buffer[R]
	files    *files[R]
	feed     *Feed[R]
	log      *slog.Logger
	prefetch int
	stamp    func(R) time.Time // nil if times do not matter, or are those of the files
	arena    arena
	rejects  rarely
	told     bool // what was rejected last was logged

	pattern bool // the path is one
	once    bool // what is there is read, and no more
	running bool // something is read ahead

	known map[string]*file // by path
	moved []*file          // those that have got other names
	since bool             // the checkpoint knows what is new
	kept  kept             // where files are to be read on
	asked chan struct{}    // holds one when there is to be a look; nil if there is just one
	looks rarely           // in vain
}

// begin begins to read ahead.
func (r *filesReader[R]) begin(ctx context.Context) error {
	if r.running {
		return nil
	}
	r.running = true
	if err := r.kept.unpack(); err != nil {
		return err
	}
	if r.once {
		return r.openOnce(ctx)
	}
	return r.openLive(ctx)
}

// openOnce fixes what is to be read, and begins to.
func (r *filesReader[R]) openOnce(ctx context.Context) error {
	found, missed := r.list()
	if len(missed) > 0 {
		return missed[0].err
	}
	r.known = make(map[string]*file, len(found))
	files := r.again(ctx, found)
	for i, e := range found {
		if files[i] == nil {
			files[i] = newFile(e)
		}
		r.known[e.path] = files[i]
	}
	if err := r.missing(nil); err != nil {
		return err
	}
	r.tellMoved()
	r.Go(func(ctx context.Context) error { return r.readOnce(ctx, files) })
	return nil
}

// openLive begins to look for files.
func (r *filesReader[R]) openLive(ctx context.Context) error {
	r.known, r.asked = map[string]*file{}, make(chan struct{}, 1)
	if r.files.newOnly && !r.since {
		if err := r.leaveOut(ctx); err != nil {
			return err
		}
	}
	r.Go(r.follow)
	return nil
}

// patience is how long a batch waits until a directory was looked through.
const patience = 10 * time.Second

// Cut implements [Reader]. What is there at a tick is in its batch, unless the
// file system is too slow.
func (r *filesReader[R]) Cut(ctx context.Context, q Request) (Slice[R], error) {
	if q.Mode == Exact {
		return r.exact(ctx, q)
	}
	if err := r.begin(ctx); err != nil {
		return Slice[R]{}, fmt.Errorf("source: %s: %w", r.files, err)
	}
	if r.asked == nil || q.Mode != Arrived {
		return r.Buffer.Cut(ctx, q)
	}
	r.feed.ask()
	select {
	case r.asked <- struct{}{}:
	default: // there will be a look anyway
	}
	limited, cancel := context.WithTimeoutCause(ctx, patience, errSlow)
	defer cancel()
	q.Mode = listed
	s, err := r.Buffer.Cut(limited, q)
	if err == errSlow {
		q.Mode = Arrived
		return r.Buffer.Cut(ctx, q)
	}
	return s, err
}

// Next implements [Reader].
func (r *filesReader[R]) Next(ctx context.Context) (time.Time, bool, error) {
	if err := r.begin(ctx); err != nil {
		return time.Time{}, false, fmt.Errorf("source: %s: %w", r.files, err)
	}
	return r.Buffer.Next(ctx)
}

// errSlow is why a batch does not wait any longer.
var errSlow = errors.New("the file system is slow")

// reject counts a record that is left out.
func (r *filesReader[R]) reject(f *file, what string, at, length int64) {
	r.Rejected()
	var times int
	if times, r.told = r.rejects.now(); r.told {
		r.log.Warn("source: "+what, "file", f.path, "byte", at, "length so far", length, "times", times)
	}
}
