//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd || windows)

package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
)

func lock(path string) (*os.File, error) {
	return nil, &fs.PathError{Op: "lock", Path: path, Err: fmt.Errorf("%w on %s", errors.ErrUnsupported, runtime.GOOS)}
}
