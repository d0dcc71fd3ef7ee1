package sink

import (
	"io"
	"io/fs"
	"os"
	"runtime"
)

// disk is all that [Files] asks of a file system. Tests make it fail.
type disk interface {
	Mkdir(path string) error
	Create(path string) (file, error)
	Sync(dir string) error // makes the names in a folder last
	Rename(from, to string) error
	Remove(path string) error // with everything in it; what is not there is fine
	Stat(path string) (fs.FileInfo, error)
	Names(dir string) ([]string, error)
}

type file interface {
	io.WriteCloser
	Sync() error
}

// realDisk is the disk of the operating system.
type realDisk struct{}

func (realDisk) Mkdir(path string) error               { return os.Mkdir(path, 0o777) }
func (realDisk) Create(path string) (file, error)      { return os.Create(path) }
func (realDisk) Rename(from, to string) error          { return os.Rename(from, to) }
func (realDisk) Remove(path string) error              { return os.RemoveAll(path) }
func (realDisk) Stat(path string) (fs.FileInfo, error) { return os.Stat(path) }

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

func (realDisk) Names(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}
