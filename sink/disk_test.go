package sink_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/sink"
)

// brokenDisk is a disk where calls fail as a test says. It notes those that
// change something.
type brokenDisk struct {
	sink.Disk
	mu     sync.Mutex
	broken func(n int, call, path string) error // of the nth call
	calls  []string
}

// fail lets each call of a kind fail for paths with that in them.
func (d *brokenDisk) fail(call, part string) {
	d.set(func(_ int, c, path string) error {
		if c == call && strings.Contains(path, part) {
			return syscall.ENOSPC
		}
		return nil
	})
}

func (d *brokenDisk) mend() { d.set(nil) }

func (d *brokenDisk) set(broken func(int, string, string) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken = broken
}

func (d *brokenDisk) call(call, path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, call+" "+path)
	if d.broken != nil {
		if err := d.broken(len(d.calls), call, path); err != nil {
			return &fs.PathError{Op: call, Path: path, Err: err}
		}
	}
	return nil
}

func (d *brokenDisk) Mkdir(path string) error {
	if err := d.call("mkdir", path); err != nil {
		return err
	}
	return d.Disk.Mkdir(path)
}

func (d *brokenDisk) Create(path string) (sink.File, error) {
	if err := d.call("create", path); err != nil {
		return nil, err
	}
	f, err := d.Disk.Create(path)
	return &brokenFile{f, d, path}, err
}

func (d *brokenDisk) Sync(dir string) error {
	if err := d.call("sync", dir); err != nil {
		return err
	}
	return d.Disk.Sync(dir)
}

func (d *brokenDisk) Rename(from, to string) error {
	if err := d.call("rename", from); err != nil {
		return err
	}
	return d.Disk.Rename(from, to)
}

func (d *brokenDisk) Remove(path string) error {
	if err := d.call("remove", path); err != nil {
		return err
	}
	return d.Disk.Remove(path)
}

type brokenFile struct {
	sink.File
	disk *brokenDisk
	path string
}

// Write writes a half when it fails.
func (f *brokenFile) Write(b []byte) (int, error) {
	err := f.disk.call("write", f.path)
	if err == nil {
		return f.File.Write(b)
	}
	n, _ := f.File.Write(b[:len(b)/2])
	if strings.HasSuffix(err.Error(), io.ErrShortWrite.Error()) {
		err = nil // a broken file system may not even say so
	}
	return n, err
}

func (f *brokenFile) Sync() error {
	if err := f.disk.call("fsync", f.path); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *brokenFile) Close() error {
	err := f.disk.call("close", f.path)
	if e := f.File.Close(); err == nil {
		err = e
	}
	return err
}

// scene is a place for files in which an earlier batch is complete.
func scene(t *testing.T, gzip bool) (dir string, d *brokenDisk, w sink.Writer[string]) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "out")
	d = &brokenDisk{Disk: sink.RealDisk}
	w, err := sink.OnDisk(sink.Files(sink.FilesConfig{Dir: dir, Gzip: gzip}, sink.Text[string]), d).Open(context.Background(), sink.Options{})
	require.NoError(t, err)
	require.NoError(t, w.Write(context.Background(), earlier))
	d.calls = nil
	return dir, d, w
}

var (
	earlier = func() sink.Batch[string] {
		b := noon([]string{"before"})
		b.Time = b.Time.Add(-1e9)
		return b
	}()
	big   = strings.Repeat("b", 100_000) // more than is written at once
	batch = noon([]string{"a", big}, nil, []string{"c"})
)

func TestFilesOrderOfCalls(t *testing.T) {
	dir, d, w := scene(t, false)
	require.NoError(t, w.Write(context.Background(), noon([]string{"a"}, nil)))
	require.NoError(t, w.Close())
	var got []string
	for _, c := range d.calls {
		got = append(got, strings.ReplaceAll(filepath.ToSlash(c), filepath.ToSlash(dir), "DIR"))
	}
	hidden := "DIR/.1714564800000.tmp"
	require.Equal(t, []string{
		"remove " + hidden, "mkdir " + hidden,
		"create " + hidden + "/part-00000", "write " + hidden + "/part-00000", "fsync " + hidden + "/part-00000", "close " + hidden + "/part-00000",
		"create " + hidden + "/part-00001", "fsync " + hidden + "/part-00001", "close " + hidden + "/part-00001",
		"sync " + hidden, "rename " + hidden, "sync DIR",
	}, got, "what is visible must be on the disk before, and its name before Write returns")
}

// fault is how calls of a disk fail.
type fault struct {
	reason error
	lasts  bool // until it is mended; otherwise one call fails
}

// TestFilesFailureAtEachCall fails one call of a batch after the other.
func TestFilesFailureAtEachCall(t *testing.T) {
	for name, f := range map[string]fault{
		"disk full":          {reason: syscall.ENOSPC},
		"disk full for long": {reason: syscall.ENOSPC, lasts: true},
		"permission denied":  {reason: syscall.EACCES, lasts: true},
		"input/output error": {reason: syscall.EIO},
		"short write":        {reason: io.ErrShortWrite},
	} {
		for _, gzip := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/gzip=%t", name, gzip), func(t *testing.T) {
				for n := 1; failAt(t, n, f, gzip); n++ {
				}
			})
		}
	}
}

// failAt fails the nth call; false if there are not so many.
func failAt(t *testing.T, n int, f fault, gzip bool) bool {
	dir, d, w := scene(t, gzip)
	defer func() { require.NoError(t, w.Close()) }()
	failed := ""
	d.set(func(i int, call, path string) error {
		if i < n || i > n && !f.lasts || f.reason == io.ErrShortWrite && call != "write" {
			return nil
		}
		if failed == "" {
			failed = call
		}
		return f.reason
	})
	err := w.Write(context.Background(), batch)
	if failed == "" {
		require.NoError(t, err)
		return len(d.calls) >= n
	}
	at := fmt.Sprintf("after a failure of call %d, %s", n, failed)
	require.ErrorIs(t, err, f.reason, at)
	require.ErrorContains(t, err, "sink: ", at)
	if f.reason != io.ErrShortWrite {
		require.ErrorContains(t, err, dir, at)
	}

	visible, err := lines(dir)
	require.NoError(t, err)
	if failed == "sync" && len(visible) > 1 { // of Dir, after the rename: complete, but not safe
		require.Equal(t, []string{"before", "a", big, "c"}, visible, at)
	} else {
		require.Equal(t, []string{"before"}, visible, at)
		if !f.lasts && failed != "remove" {
			require.Len(t, names(t, dir), 2, "nothing may be left on the disk %s", at)
		}
	}

	d.mend()
	d.calls = []string{""}
	require.NoError(t, w.Write(context.Background(), batch), "again %s", at)
	require.Equal(t, "sync "+dir, d.calls[len(d.calls)-1], "the name must be safe %s", at)
	visible, err = lines(dir)
	require.NoError(t, err)
	require.Equal(t, []string{"before", "a", big, "c"}, visible, "again %s", at)
	return true
}

func TestFilesCrashAtEachCall(t *testing.T) {
	done := false
	for n := 1; !done; n++ {
		dir, d, w := scene(t, false)
		d.set(func(i int, _, _ string) error { // no call after the nth has an effect: the process is dead
			if i >= n {
				return syscall.EIO
			}
			return nil
		})
		done = w.Write(context.Background(), batch) == nil
		require.NoError(t, w.Close())
		visible, err := lines(dir)
		require.NoError(t, err)
		require.Contains(t, [][]string{{"before"}, {"before", "a", big, "c"}}, visible, "crash at call %d", n)

		write(t, sink.Files(sink.FilesConfig{Dir: dir}, sink.Text[string]))
		for _, name := range names(t, dir) {
			require.NotContains(t, name, "tmp", "Open must remove what a crash at call %d left", n)
		}
		write(t, sink.Files(sink.FilesConfig{Dir: dir}, sink.Text[string]), earlier, batch) // recovery
		visible, err = lines(dir)
		require.NoError(t, err)
		require.Equal(t, []string{"before", "a", big, "c"}, visible, "crash at call %d", n)
	}
}

func TestFilesOpenFails(t *testing.T) {
	dir := t.TempDir()
	d := &brokenDisk{Disk: sink.RealDisk}
	open := func(path string) error {
		w, err := sink.OnDisk(sink.Files(sink.FilesConfig{Dir: path}, sink.Text[int]), d).Open(context.Background(), sink.Options{})
		if err == nil {
			require.NoError(t, w.Close())
		}
		return err
	}
	taken := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(taken, nil, 0o666))
	require.EqualError(t, open(taken), "sink: mkdir "+taken+": not a directory")
	require.ErrorIs(t, open(filepath.Join(taken, "out")), syscall.ENOTDIR)

	out := filepath.Join(dir, "new", "out")
	for _, call := range []string{"mkdir", "sync"} {
		d.fail(call, "new")
		require.ErrorIs(t, open(out), syscall.ENOSPC, call)
		d.mend()
	}
	require.NoError(t, open(out), "it can be opened when there is room again")

	require.NoError(t, os.Mkdir(filepath.Join(out, ".17.tmp"), 0o777))
	d.fail("remove", ".17.tmp")
	require.ErrorIs(t, open(out), syscall.ENOSPC)
	d.mend()
	require.NoError(t, open(out))
	require.Empty(t, names(t, out))
}

func TestFilesWhereAFolderShouldBeIsAFile(t *testing.T) {
	dir, _, w := scene(t, false)
	path := filepath.Join(dir, "1714564800000")
	require.NoError(t, os.WriteFile(path, nil, 0o666))
	require.EqualError(t, w.Write(context.Background(), batch), "sink: mkdir "+path+": not a directory")
	require.NoError(t, os.Remove(path))
	require.NoError(t, w.Write(context.Background(), batch))
	require.NoError(t, w.Close())
}

// TestFilesOnAFullDisk fills a small file system that is mounted for it.
func TestFilesOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("can't mount a small file system here: %v: %s", err, out)
	}
	defer func() { require.NoError(t, exec.Command("umount", dir).Run()) }()
	fill := filepath.Join(dir, "fill")
	require.NoError(t, os.WriteFile(fill, make([]byte, 128<<10), 0o666))

	w, err := sink.Files(sink.FilesConfig{Dir: filepath.Join(dir, "out")}, sink.Text[string]).Open(context.Background(), sink.Options{})
	require.NoError(t, err)
	require.NoError(t, w.Write(context.Background(), earlier))
	large := noon([]string{big}, []string{big})
	for range 2 {
		err = w.Write(context.Background(), large)
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.ErrorContains(t, err, "part-00001: no space left on device")
		visible, err := lines(filepath.Join(dir, "out"))
		require.NoError(t, err)
		require.Equal(t, []string{"before"}, visible)
	}

	require.NoError(t, os.Remove(fill))
	require.NoError(t, w.Write(context.Background(), large))
	visible, err := lines(filepath.Join(dir, "out"))
	require.NoError(t, err)
	require.Equal(t, []string{"before", big, big}, visible)
	require.NoError(t, w.Close())
}
