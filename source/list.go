package source

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
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
func (r *filesReader[R]) list() (found []entry, missed []miss) {
	roots := []string{r.files.path}
	if r.pattern {
		roots, missed = expand(r.files.path)
	}
	for _, root := range roots {
		found, missed = r.files.look(root, found, missed)
	}
	slices.SortFunc(found, func(a, b entry) int {
		return cmp.Or(a.info.ModTime().Compare(b.info.ModTime()), strings.Compare(a.path, b.path))
	})
	return found, missed
}

// isPattern says whether the path is that of many directories, not of one or of a
// file. That is decided once, lest a directory "a[1]" that goes away becomes a
// pattern which matches nothing.
func (s *files[R]) isPattern() (bool, error) {
	info, err := os.Stat(s.path)
	switch isFile := s.kind == "File"; {
	case err == nil && isFile && !info.Mode().IsRegular():
		return false, fmt.Errorf("it is not a regular file but %v; for a directory there is Dir, for a pipe Func", info.Mode().Type())
	case err == nil && !isFile && !info.IsDir():
		return false, errors.New("it is not a directory; for one file there is File")
	case err == nil || isFile || !hasMeta(s.path):
		return false, err
	}
	return true, nil
}

// hasMeta says whether a path means something else to filepath.Match.
func hasMeta(path string) bool {
	return strings.ContainsAny(path, "*?[") || runtime.GOOS != "windows" && strings.Contains(path, `\`)
}

// expand returns the directories that match a pattern. Unlike filepath.Glob, it
// tells where it could not look, so that what is there does not pass for deleted.
func expand(pattern string) (dirs []string, missed []miss) {
	parent, name := filepath.Split(pattern)
	parent = filepath.Clean(parent)
	parents, fixed := []string{parent}, !hasMeta(parent)
	if !fixed {
		parents, missed = expand(parent)
	}
	for _, parent := range parents {
		if !hasMeta(name) {
			dirs, missed = directory(filepath.Join(parent, name), dirs, missed)
			continue
		}
		entries, err := os.ReadDir(parent)
		if err != nil && (fixed || !gone(err)) {
			missed = append(missed, miss{parent, err})
		}
		for _, e := range entries {
			if matches, _ := filepath.Match(name, e.Name()); matches && (e.IsDir() || e.Type()&fs.ModeSymlink != 0) {
				dirs, missed = directory(filepath.Join(parent, e.Name()), dirs, missed)
			}
		}
	}
	return dirs, missed
}

// directory adds path, if it is one.
func directory(path string, dirs []string, missed []miss) ([]string, []miss) {
	switch info, err := os.Stat(path); {
	case err != nil && !gone(err):
		missed = append(missed, miss{path, err})
	case err == nil && info.IsDir():
		dirs = append(dirs, path)
	}
	return dirs, missed
}

// gone says that there is nothing at a path.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) // a file instead of a directory above it
}

// look adds what is in path.
func (s *files[R]) look(path string, found []entry, missed []miss) ([]entry, []miss) {
	if s.kind == "File" {
		return s.lookAt(path, found, missed)
	}
	entries, err := os.ReadDir(path)
	if err != nil && (path == s.path || !errors.Is(err, fs.ErrNotExist)) {
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
	case path != s.path && errors.Is(err, fs.ErrNotExist): // deleted just now, or the link leads nowhere
	case err != nil:
		missed = append(missed, miss{path, err})
	case info.Mode().IsRegular():
		found = append(found, entry{path, info})
	}
	return found, missed
}

// unfinished says whether a file's name looks as if it were still written, or
// were not for others: those that Hadoop's tools leave out too, and those of
// programs that copy or download.
func unfinished(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return true
	}
	return slices.ContainsFunc([]string{"._COPYING_", ".tmp", ".part", ".partial", ".filepart"}, func(end string) bool { return strings.HasSuffix(name, end) })
}
