package source

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// entry is a file that was found.
type entry struct {
	path string
	info fs.FileInfo
}

// miss is a file or directory at which one could not look.
type miss struct {
	path string
	err  error
}

// list returns the files to read, those first that were changed first.
func (s *files[R]) list() (found []entry, missed []miss) {
	roots, err := s.roots()
	if err != nil {
		return nil, []miss{{s.path, err}}
	}
	for _, root := range roots {
		found, missed = s.look(root, found, missed)
	}
	slices.SortFunc(found, func(a, b entry) int {
		return cmp.Or(a.info.ModTime().Compare(b.info.ModTime()), strings.Compare(a.path, b.path))
	})
	return found, missed
}

// roots are the directories, or the file, that the path names.
func (s *files[R]) roots() ([]string, error) {
	info, err := os.Stat(s.path)
	switch isFile := s.kind == "File"; {
	case err == nil && isFile && !info.Mode().IsRegular():
		return nil, fmt.Errorf("it is not a regular file but %v; for a directory there is Dir, for a pipe Func", info.Mode().Type())
	case err == nil && !isFile && !info.IsDir():
		return nil, errors.New("it is not a directory; for one file there is File")
	case err == nil:
		return []string{s.path}, nil
	case isFile || !strings.ContainsAny(s.path, "*?["):
		return nil, err
	}
	all, err := filepath.Glob(s.path)
	return slices.DeleteFunc(all, func(path string) bool {
		info, err := os.Stat(path)
		return err != nil || !info.IsDir()
	}), err
}

// look adds what is in path.
func (s *files[R]) look(path string, found []entry, missed []miss) ([]entry, []miss) {
	if s.kind == "File" {
		return s.lookAt(path, found, missed)
	}
	entries, err := os.ReadDir(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		missed = append(missed, miss{path, err})
	}
	for _, e := range entries {
		path := filepath.Join(path, e.Name())
		switch {
		case e.IsDir():
			if s.recursive && !strings.HasPrefix(e.Name(), ".") && !strings.HasPrefix(e.Name(), "_") {
				found, missed = s.look(path, found, missed)
			}
		case s.match != nil && s.match(path), s.match == nil && !unfinished(e.Name()):
			found, missed = s.lookAt(path, found, missed)
		}
	}
	return found, missed
}

// lookAt adds the file at path, if it is one: opening a pipe would block.
func (s *files[R]) lookAt(path string, found []entry, missed []miss) ([]entry, []miss) {
	switch info, err := os.Stat(path); { // of what a symbolic link leads to
	case errors.Is(err, fs.ErrNotExist): // deleted just now, or the link leads nowhere
	case err != nil:
		missed = append(missed, miss{path, err})
	case info.Mode().IsRegular():
		found = append(found, entry{path, info})
	}
	return found, missed
}

// unfinished says whether a file's name looks as if it were still written, or
// were not for others: those that Hadoop's tools leave out too, and ".tmp".
func unfinished(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") ||
		strings.HasSuffix(name, ".tmp") || strings.HasSuffix(name, "._COPYING_")
}
