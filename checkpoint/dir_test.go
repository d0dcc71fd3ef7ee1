package checkpoint_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/internal/crashpoint"
	"github.com/godstream/godstream/internal/disk"
)

func open(t *testing.T, store checkpoint.Store) checkpoint.Session {
	t.Helper()
	s, err := store.Open(ctx)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestDirLogThatFailedIsAtItsEnd(t *testing.T) {
	d := disk.NewSim(1)
	s := open(t, checkpoint.On(d, place))
	require.NoError(t, s.Append(ctx, "log", []byte("1")))
	d.FailAt(d.Steps()+1, syscall.ENOSPC)
	require.EqualError(t, s.Append(ctx, "log", []byte("2345")), "checkpoint: write "+file("log")+": no space left on device")
	again := "checkpoint: append " + file("log") + ": an Append to this log has failed before; begin another log"
	require.EqualError(t, s.Append(ctx, "log", []byte("6")), again)
	require.NoError(t, s.Append(ctx, "log-2", []byte("6")), "another log")
	require.NoError(t, s.Delete(ctx, "log"))
	require.EqualError(t, s.Append(ctx, "log", nil), again)
	require.NoError(t, s.Close())
	s = open(t, checkpoint.On(d, place))
	require.NoError(t, s.Append(ctx, "log", []byte("7")), "the next session")
}

// file is how a message names a file.
func file(name string) string { return filepath.Join(place, name) }

func TestDirPutIsTriedAgain(t *testing.T) {
	for step := 1; step <= 7; step++ { // the last is the sync of the directory, when the name is there
		d := disk.NewSim(1)
		s := open(t, checkpoint.On(d, place))
		d.FailAt(d.Steps()+step, syscall.EIO)
		require.ErrorIs(t, s.Put(ctx, "blob", []byte("first")), syscall.EIO, step)
		require.NoError(t, s.Put(ctx, "blob", []byte("again")), step)
		require.Equal(t, map[string]string{"blob": "again"}, read(t, s, "again"))
	}
}

func TestDirErrors(t *testing.T) {
	for name, test := range map[string]struct {
		step int // of Open, a Put and an Append
		err  error
		want string
	}{
		"no room for the directory": {8, syscall.ENOSPC, "checkpoint: mkdir " + filepath.Clean(place) + ": no space left on device"},
		"directory is read-only":    {10, syscall.EROFS, "checkpoint: lock " + file(".lock") + ": read-only file system"},
		"directory can't be read":   {11, syscall.EACCES, "checkpoint: list " + filepath.Clean(place) + ": permission denied"},
		"no file can be made":       {14, syscall.EACCES, "checkpoint: create " + file("blob") + ": permission denied"},
		"disk full":                 {15, syscall.ENOSPC, "checkpoint: write " + file("blob") + ": no space left on device"},
		"disk full at the fsync":    {16, syscall.ENOSPC, "checkpoint: sync " + file("blob") + ": no space left on device"},
		"close fails":               {17, syscall.EIO, "checkpoint: close " + file("blob") + ": input/output error"},
		"rename fails":              {18, syscall.EIO, "checkpoint: rename " + file("blob") + ": input/output error"},
		"fsync of the directory":    {19, syscall.EIO, "checkpoint: sync " + file("blob") + ": input/output error"},
		"no log can be made":        {21, syscall.EMFILE, "checkpoint: open " + file("log") + ": too many open files"},
		"disk full for the log":     {22, syscall.ENOSPC, "checkpoint: write " + file("log") + ": no space left on device"},
	} {
		t.Run(name, func(t *testing.T) {
			d := disk.NewSim(1)
			d.FailAt(test.step, test.err)
			s, err := checkpoint.On(d, place).Open(ctx)
			if err == nil {
				defer func() { require.NoError(t, s.Close()) }()
				err = s.Put(ctx, "blob", []byte("data"))
			}
			if err == nil {
				err = s.Append(ctx, "log", []byte("data"))
			}
			require.EqualError(t, err, test.want)
			require.ErrorIs(t, err, test.err)
		})
	}
}

func TestDirThatCanNotBe(t *testing.T) {
	_, err := checkpoint.Dir("").Open(ctx)
	require.EqualError(t, err, "checkpoint: the path of the directory is empty")

	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte("x"), 0o666))
	for _, place := range []string{path, filepath.Join(path, "below"), filepath.Join(path, "far", "below")} {
		_, err = checkpoint.Dir(place).Open(ctx)
		require.ErrorContains(t, err, path)
	}
	require.Equal(t, "directory "+path, fmt.Sprint(checkpoint.Dir(path)))
}

func TestDirReadOnly(t *testing.T) {
	if os.Getuid() == 0 || runtime.GOOS == "windows" {
		t.Skip("nothing is read-only to root")
	}
	path := t.TempDir()
	require.NoError(t, os.Chmod(path, 0o555))
	_, err := checkpoint.Dir(path).Open(ctx)
	require.EqualError(t, err, "checkpoint: lock "+filepath.Join(path, ".lock")+": permission denied")
	_, err = checkpoint.Dir(filepath.Join(path, "new")).Open(ctx)
	require.EqualError(t, err, "checkpoint: mkdir "+filepath.Join(path, "new")+": permission denied")
}

func TestDirParentThatCanNotBeSynced(t *testing.T) {
	d := disk.NewSim(1)
	require.NoError(t, open(t, checkpoint.On(d, place)).Close())
	d.FailAt(d.Steps()+2, syscall.EACCES) // may be entered but not opened
	open(t, checkpoint.On(d, place))
}

func TestDirFilesOfOthers(t *testing.T) {
	path := t.TempDir()
	for _, name := range []string{".a.tmp", ".b.c.tmp", ".A.tmp", ".tmp", "..tmp", "README", ".hidden"} {
		require.NoError(t, os.WriteFile(filepath.Join(path, name), nil, 0o666))
	}
	require.NoError(t, os.Mkdir(filepath.Join(path, "folder"), 0o777))
	s := open(t, checkpoint.Dir(path))
	names, err := s.List(ctx)
	require.NoError(t, err)
	require.Empty(t, names)
	require.Equal(t, []string{"..tmp", ".A.tmp", ".hidden", ".lock", ".tmp", "README", "folder"}, files(t, path))
}

func files(t *testing.T, path string) []string {
	t.Helper()
	entries, err := os.ReadDir(path)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestView(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	_, err := checkpoint.View(path)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoDirExists(t, path)

	s := open(t, checkpoint.Dir(path))
	require.NoError(t, s.Put(ctx, "blob", []byte("1")))
	require.NoError(t, s.Append(ctx, "log", []byte("2")))
	temp := filepath.Join(path, ".x.tmp")
	require.NoError(t, os.WriteFile(temp, nil, 0o666))

	v, err := checkpoint.View(path) // while the session is open
	require.NoError(t, err)
	require.Equal(t, map[string]string{"blob": "1", "log": "2"}, read(t, v, "in a view"))
	require.NoError(t, s.Append(ctx, "log", []byte("3")))
	require.Equal(t, map[string]string{"blob": "1", "log": "23"}, read(t, v, "in a view"))
	for _, err := range []error{v.Put(ctx, "new", nil), v.Append(ctx, "log", []byte("4")), v.Delete(ctx, "blob")} {
		require.ErrorContains(t, err, ": this is a view, which changes nothing")
		require.ErrorContains(t, err, path)
	}
	_, err = v.Get(ctx, "new")
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = v.Get(ctx, "../x")
	require.ErrorContains(t, err, "the name")
	require.NoError(t, v.Close())
	_, err = v.Get(ctx, "log")
	require.ErrorIs(t, err, fs.ErrClosed)
	require.FileExists(t, temp)
	require.Equal(t, map[string]string{"blob": "1", "log": "23"}, read(t, s, "after a view"))

	canceled, cancel := context.WithCancel(ctx)
	cancel()
	v, err = checkpoint.View(path)
	require.NoError(t, err)
	_, err = v.List(canceled)
	require.ErrorIs(t, err, context.Canceled)
}

// TestViewChangesNothing sees which steps a view takes.
func TestViewChangesNothing(t *testing.T) {
	d := disk.NewSim(1)
	s := open(t, checkpoint.On(d, place))
	require.NoError(t, s.Append(ctx, "log", []byte("1")))
	before := d.Steps()
	v, err := checkpoint.ViewOn(d, place)
	require.NoError(t, err)
	read(t, v, "in a view")
	require.NoError(t, v.Close())
	for _, step := range d.Trace()[before:] {
		require.Contains(t, []string{"list", "read"}, strings.Fields(step)[0])
	}
}

// children are what this binary does when a test starts it as another process.
var children = map[string]func(path string){
	"hold": func(path string) {
		_, err := checkpoint.Dir(path).Open(ctx)
		fmt.Println(err)
		_, _ = io.Copy(io.Discard, os.Stdin) // until killed, or the test has ended
	},
	"open": func(path string) {
		_, err := checkpoint.Dir(path).Open(ctx)
		fmt.Println(err)
	},
	"work": func(path string) { // says what it has done
		s, err := checkpoint.Dir(path).Open(ctx)
		done := func(what string, err error) {
			if err != nil {
				what = err.Error()
			}
			fmt.Println(what)
		}
		done("open", err)
		done("put", s.Put(ctx, "blob", []byte("blob")))
		done("append", s.Append(ctx, "log", []byte("1")))
		done("append again", s.Append(ctx, "log", []byte("2")))
		done("delete", s.Delete(ctx, "log"))
		done("close", s.Close())
	},
}

func child(t *testing.T, what, path string, env ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(append(os.Environ(), "CHECKPOINT_CHILD="+what, "CHECKPOINT_DIR="+path), env...)
	cmd.Stderr = os.Stderr
	return cmd
}

func TestDirOfTwoProcesses(t *testing.T) {
	path := t.TempDir()
	holder := child(t, "hold", path)
	stdin, err := holder.StdinPipe()
	require.NoError(t, err)
	defer stdin.Close()
	stdout, err := holder.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, holder.Start())
	defer func() { _ = holder.Process.Kill() }()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "<nil>\n", line)

	_, err = checkpoint.Dir(path).Open(ctx)
	require.ErrorIs(t, err, checkpoint.ErrLocked)
	pid := fmt.Sprintf(" (pid %d)", holder.Process.Pid)
	if runtime.GOOS == "windows" {
		pid = "" // can't be read there
	}
	want := "checkpoint: open " + path + ": in use by another App or process" + pid + "; stop that or give this one a place of its own"
	require.EqualError(t, err, want)
	out, err := child(t, "open", path).Output()
	require.NoError(t, err)
	require.Equal(t, want+"\n", string(out), "a third process")

	require.NoError(t, holder.Process.Kill())
	require.Error(t, holder.Wait())
	s := open(t, checkpoint.Dir(path)) // the lock has ended with its process
	require.NoError(t, s.Put(ctx, "blob", nil))
	out, err = child(t, "open", path).Output()
	require.NoError(t, err)
	require.Contains(t, string(out), fmt.Sprint(checkpoint.ErrLocked))
	require.NoError(t, s.Close())
	out, err = child(t, "open", path).Output()
	require.NoError(t, err)
	require.Equal(t, "<nil>\n", string(out))
}

// TestDirProcessKilledAtEachCrashpoint kills a process at each place that package
// crashpoint knows, so it also sees that each of them is reached.
func TestDirProcessKilledAtEachCrashpoint(t *testing.T) {
	type left = map[string]string
	want := map[string]struct {
		said string
		left left
	}{
		"put.write":        {"open", left{}},
		"put.written":      {"open", left{}},
		"put.synced":       {"open", left{}},
		"put.renamed":      {"open", left{"blob": "blob"}},
		"put.done":         {"open", left{"blob": "blob"}},
		"append.write":     {"open put", left{"blob": "blob", "log": ""}},
		"append.written":   {"open put", left{"blob": "blob", "log": "1"}},
		"append.synced":    {"open put", left{"blob": "blob", "log": "1"}},
		"append.done":      {"open put", left{"blob": "blob", "log": "1"}},
		"append.write:2":   {"open put append", left{"blob": "blob", "log": "1"}},
		"append.written:2": {"open put append", left{"blob": "blob", "log": "12"}},
		"delete.done":      {"open put append append again", left{"blob": "blob"}},
	}
	for _, name := range crashpoint.OfStore {
		require.Contains(t, want, name)
	}
	for name, w := range want {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir()
			if !strings.Contains(name, ":") {
				name += ":1"
			}
			out, err := child(t, "work", path, "GODSTREAM_CRASH="+name).Output()
			require.Error(t, err, "it must have been killed")
			require.Equal(t, w.said, strings.Join(strings.Fields(string(out)), " "))
			s := open(t, checkpoint.Dir(path))
			require.Equal(t, w.left, read(t, s, name))
			for _, name := range files(t, path) {
				require.NotContains(t, name, ".tmp", "Open must remove what the crash has left")
			}
		})
	}
}
