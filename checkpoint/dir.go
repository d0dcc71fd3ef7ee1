package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/godstream/godstream/internal/crashpoint"
	"github.com/godstream/godstream/internal/disk"
)

// Dir keeps checkpoints in a directory, which Open makes if it is missing, with
// those above it. Each blob and each log is a file of that name.
//
// Put writes a temporary file, syncs it, renames it and syncs the directory.
// Append keeps the file of a log open until the log is deleted or the session
// closed. The first Get of a name in a session syncs its file.
//
// The lock is that of the operating system on the file .lock, so it ends with
// its process, however that ends. The file holds the pid and stays. On a network
// file system the lock is as good as the flock of that; use a local disk, or one
// that a single machine has mounted. Other files in the directory, if their
// names are none of a blob, are left alone; it should not have any.
//
// Errors name the file and the step:
//
//	checkpoint: write /x/state-17: no space left on device
//
// On Windows a name can't end with a "." or be that of a device, such as nul, and
// a name that was just made may be lost with the power: folders can't be synced.
func Dir(path string) Store { return On(disk.Real, path) }

// On is [Dir] on another disk, for the tests of this module.
func On(d disk.Disk, path string) Store { return dir{d, path} }

type dir struct {
	disk disk.Disk
	path string
}

func (d dir) String() string { return "directory " + d.path }

const (
	lockName   = ".lock"
	tempSuffix = ".tmp"
)

// tempName is where a blob is written before it has its name.
func tempName(name string) string { return "." + name + tempSuffix }

func isTemp(name string) bool {
	name, dot := strings.CutPrefix(name, ".")
	name, tmp := strings.CutSuffix(name, tempSuffix)
	return dot && tmp && validName(name)
}

func (d dir) Open(ctx context.Context) (Session, error) {
	if d.path == "" {
		return nil, errors.New("checkpoint: the path of the directory is empty")
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("checkpoint: open %s: %w", d.path, context.Cause(ctx))
	}
	if err := d.mkdir(d.path); err != nil {
		return nil, err
	}
	unlock, err := d.lock()
	if err != nil {
		return nil, err
	}
	if err := d.tidy(); err != nil {
		return nil, errors.Join(err, unlock())
	}
	return &session{dir: d, unlock: unlock, logs: map[string]disk.File{}, broken: map[string]bool{}, safe: map[string]bool{}}, nil
}

// mkdir makes a directory whose name lasts. One that is there may have been made
// by a process that ended before it had seen to that; those above it last, since
// they did before it was made.
func (d dir) mkdir(path string) error {
	above := filepath.Dir(path)
	if above == path {
		return nil
	}
	exists, err := d.disk.Exists(path)
	if err != nil {
		return failed("mkdir", path, err)
	}
	if !exists {
		if err := d.mkdir(above); err != nil {
			return err
		}
		if err := d.disk.Mkdir(path); err != nil && !errors.Is(err, fs.ErrExist) { // another process was faster
			return failed("mkdir", path, err)
		}
	}
	err = d.disk.Sync(above)
	if exists && errors.Is(err, fs.ErrPermission) {
		return nil // made by somebody else, who may write there
	}
	return failed("sync", above, err)
}

func (d dir) lock() (func() error, error) {
	unlock, err := d.disk.Lock(filepath.Join(d.path, lockName))
	var locked *disk.Locked
	switch {
	case !errors.As(err, &locked):
		return unlock, failed("lock", filepath.Join(d.path, lockName), err)
	case locked.Holder == 0:
		return nil, fmt.Errorf("checkpoint: open %s: %w; stop that or give this one a place of its own", d.path, ErrLocked)
	default:
		return nil, fmt.Errorf("checkpoint: open %s: %w (pid %d); stop that or give this one a place of its own", d.path, ErrLocked, locked.Holder)
	}
}

// tidy removes what a crash may have left, and makes the names that it sees last.
func (d dir) tidy() error {
	names, err := d.disk.Names(d.path)
	if err != nil {
		return failed("list", d.path, err)
	}
	for _, name := range names {
		if isTemp(name) {
			if err := d.remove(filepath.Join(d.path, name)); err != nil {
				return err
			}
		}
	}
	return failed("sync", d.path, d.disk.Sync(d.path))
}

// remove removes a file, nil if it is not there.
func (d dir) remove(path string) error {
	if err := d.disk.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return failed("remove", path, err)
	}
	return nil
}

// list returns the names of blobs and logs.
func (d dir) list() ([]string, error) {
	names, err := d.disk.Names(d.path)
	if err != nil {
		return nil, failed("list", d.path, err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !validName(name) })
	slices.Sort(names)
	return names, nil
}

func (d dir) read(name string) ([]byte, error) {
	path := filepath.Join(d.path, name)
	data, err := d.disk.Read(path)
	return data, failed("read", path, err)
}

// session is a directory that is locked.
type session struct {
	dir
	unlock func() error // nil when closed
	logs   map[string]disk.File
	broken map[string]bool // logs with a failed Append
	safe   map[string]bool // names whose contents are on the disk
}

// file returns where a name is stored, or why a step must do nothing.
func (s *session) file(ctx context.Context, step, name string) (path string, err error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	path = filepath.Join(s.path, name)
	return path, s.ready(ctx, step, path)
}

// ready says why a step must do nothing.
func (s *session) ready(ctx context.Context, step, path string) error {
	switch {
	case s.unlock == nil:
		return failed(step, path, fs.ErrClosed)
	case ctx.Err() != nil:
		return failed(step, path, context.Cause(ctx))
	}
	return nil
}

func (s *session) Put(ctx context.Context, name string, data []byte) error {
	path, err := s.file(ctx, "put", name)
	if err != nil {
		return err
	}
	// Nobody else can make the name between this and the rename.
	exists, err := s.disk.Exists(path)
	if exists {
		err = fs.ErrExist
	}
	if err != nil {
		return failed("put", path, err)
	}
	temp := filepath.Join(s.path, tempName(name))
	if step, err := s.write(temp, data); err != nil {
		_ = s.disk.Remove(temp) // or else Open removes it
		return failed(step, path, err)
	}
	if err := s.disk.Rename(temp, path); err != nil {
		_ = s.disk.Remove(temp)
		return failed("rename", path, err)
	}
	crashpoint.At("put.renamed")
	if err := s.disk.Sync(s.path); err != nil {
		_ = s.disk.Remove(path) // so that the name can be put again
		return failed("sync", path, err)
	}
	crashpoint.At("put.done")
	s.safe[name] = true
	return nil
}

// write writes a file to the disk, under a name that need not last. It returns
// the step that failed.
func (s *session) write(path string, data []byte) (step string, err error) {
	f, err := s.disk.Create(path)
	if err != nil {
		return "create", err
	}
	crashpoint.At("put.write")
	step = "write"
	if _, err = f.Write(data); err == nil {
		crashpoint.At("put.written")
		step, err = "sync", f.Sync()
	}
	if closing := f.Close(); err == nil && closing != nil {
		step, err = "close", closing
	}
	if err == nil {
		crashpoint.At("put.synced")
	}
	return step, err
}

func (s *session) Get(ctx context.Context, name string) ([]byte, error) {
	path, err := s.file(ctx, "read", name)
	if err != nil {
		return nil, err
	}
	if !s.safe[name] && !s.broken[name] {
		// The end of a log may be from a process that was killed before it
		// had synced that. Nobody may build on what a loss of power removes.
		f, err := s.disk.Append(path)
		if err != nil {
			return nil, failed("read", path, err)
		}
		err = f.Sync()
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, failed("sync", path, err)
		}
		s.safe[name] = true
	}
	return s.read(name)
}

func (s *session) List(ctx context.Context) ([]string, error) {
	if err := s.ready(ctx, "list", s.path); err != nil {
		return nil, err
	}
	return s.list()
}

func (s *session) Delete(ctx context.Context, name string) error {
	path, err := s.file(ctx, "remove", name)
	if err != nil {
		return err
	}
	if f := s.logs[name]; f != nil {
		delete(s.logs, name)
		_ = f.Close() // what is in it is on the disk, or given up
	}
	delete(s.safe, name)
	if err := s.remove(path); err != nil {
		return err
	}
	crashpoint.At("delete.done")
	return nil
}

func (s *session) Append(ctx context.Context, log string, data []byte) error {
	path, err := s.file(ctx, "append", log)
	if err != nil {
		return err
	}
	if s.broken[log] {
		return fmt.Errorf("checkpoint: append %s: an Append to this log has failed before; begin another log", path)
	}
	if step, err := s.append(path, log, data); err != nil {
		s.broken[log] = true
		if f := s.logs[log]; f != nil {
			delete(s.logs, log)
			_ = f.Close()
		}
		return failed(step, path, err)
	}
	crashpoint.At("append.done")
	s.safe[log] = true
	return nil
}

// append returns the step that failed.
func (s *session) append(path, log string, data []byte) (step string, err error) {
	f, made := s.logs[log], false
	if f == nil {
		if f, err = s.disk.Append(path); errors.Is(err, fs.ErrNotExist) {
			made = true
			f, err = s.disk.Create(path)
		}
		if err != nil {
			return "open", err
		}
		s.logs[log] = f
	}
	crashpoint.At("append.write")
	if _, err := f.Write(data); err != nil {
		return "write", err
	}
	crashpoint.At("append.written")
	if err := f.Sync(); err != nil {
		return "sync", err
	}
	crashpoint.At("append.synced")
	if made {
		return "sync", s.disk.Sync(s.path)
	}
	return "", nil // the name lasts since Open
}

func (s *session) Close() error {
	if s.unlock == nil {
		return nil
	}
	var errs []error
	for name, f := range s.logs {
		errs = append(errs, failed("close", filepath.Join(s.path, name), f.Close()))
	}
	errs = append(errs, failed("unlock", filepath.Join(s.path, lockName), s.unlock()))
	s.unlock, s.logs = nil, nil
	return errors.Join(errs...)
}

// failed is the error of a step, nil if there is none. The path and the call that
// package os adds are left out: they are said once.
func failed(step, path string, err error) error {
	if err == nil {
		return nil
	}
	var p *fs.PathError
	var l *os.LinkError
	switch {
	case errors.As(err, &p):
		err = p.Err
	case errors.As(err, &l):
		err = l.Err
	}
	return fmt.Errorf("checkpoint: %s %s: %w", step, path, err)
}
