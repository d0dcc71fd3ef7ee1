// Package disk is the seam between a store of checkpoints and the file system:
// the calls that a store needs, the [Real] disk, and a simulated one, [Sim],
// where tests make calls fail, kill the process and cut the power.
package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strconv"
)

// Disk is all that a store asks of a file system. Errors are those of package os.
type Disk interface {
	Mkdir(path string) error
	Create(path string) (File, error) // an empty file, whatever was there
	Append(path string) (File, error) // a file that is there, to write at its end
	Rename(from, to string) error
	Remove(path string) error
	Exists(path string) (bool, error)
	Read(path string) ([]byte, error)
	Names(dir string) ([]string, error)     // of the files in it, folders left out
	Sync(dir string) error                  // makes the names in a folder last
	Lock(path string) (func() error, error) // [Locked] if it is taken; the func gives it back
}

// File is open for writing.
type File interface {
	io.WriteCloser
	Sync() error
}

// Locked is the error of Lock when the lock is taken.
type Locked struct {
	Holder int // pid, 0 if not known
}

func (l *Locked) Error() string {
	if l.Holder == 0 {
		return "locked"
	}
	return "locked by pid " + strconv.Itoa(l.Holder)
}

// Real is the disk of the operating system.
var Real Disk = realDisk{}

type realDisk struct{}

func (realDisk) Mkdir(path string) error          { return os.Mkdir(path, 0o777) }
func (realDisk) Rename(from, to string) error     { return os.Rename(from, to) }
func (realDisk) Remove(path string) error         { return os.Remove(path) }
func (realDisk) Read(path string) ([]byte, error) { return os.ReadFile(path) }

func (realDisk) Create(path string) (File, error) {
	return opened(os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666))
}

func (realDisk) Append(path string) (File, error) {
	return opened(os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0))
}

// opened keeps a nil *os.File from becoming a File that is not nil.
func opened(f *os.File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (realDisk) Exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (realDisk) Names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

func (realDisk) Sync(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // folders can't be synced there
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (realDisk) Lock(path string) (func() error, error) {
	f, err := lock(path)
	if err != nil {
		return nil, err
	}
	// The pid is for messages: a lock without it is a lock.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f.Close, nil
}
