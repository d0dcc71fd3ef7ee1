//go:build unix

package source

import (
	"io/fs"
	"os"
	"syscall"
)

// openFile opens a file to read it. It does not wait for somebody to write, if the
// file has become a pipe.
func openFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

func number(info fs.FileInfo) (n fileNumber) {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		n = fileNumber{uint64(s.Dev), uint64(s.Ino)}
	}
	return n
}
