//go:build !unix

package source

import (
	"io/fs"
	"os"
)

// openFile opens a file to read it.
func openFile(path string) (*os.File, error) { return os.Open(path) }

// number is zero: the numbers that files have can't be asked for here.
func number(fs.FileInfo) fileNumber { return fileNumber{} }
