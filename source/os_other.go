//go:build !unix

package source

import (
	"io/fs"
	"os"
)

// openFile opens a file to read it.
func openFile(path string) (*os.File, error) { return os.Open(path) }

// fileNumber is what files must have in common to be the same: the numbers that
// they have can't be asked for here.
type fileNumber struct{}

func number(fs.FileInfo) fileNumber { return fileNumber{} }
