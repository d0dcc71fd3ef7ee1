package disk_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/godstream/godstream/internal/disk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestDisks makes the same calls of both disks: what holds for the simulated one
// says something about the real one only if they agree.
func TestDisks(t *testing.T) {
	for name, d := range map[string]disk.Disk{"real": disk.Real, "simulated": disk.NewSim(1)} {
		t.Run(name, func(t *testing.T) {
			root := "/top"
			if d == disk.Real {
				root = filepath.Join(t.TempDir(), "top")
			}
			at := func(name ...string) string { return filepath.Join(append([]string{root}, name...)...) }
			write := func(f disk.File, err error) func(string) {
				require.NoError(t, err)
				return func(data string) {
					n, err := f.Write([]byte(data))
					require.NoError(t, err)
					require.Equal(t, len(data), n)
					require.NoError(t, f.Sync())
					require.NoError(t, f.Close())
				}
			}
			holds := func(path, want string) {
				t.Helper()
				got, err := d.Read(path)
				require.NoError(t, err)
				require.Equal(t, want, string(got))
			}
			exists := func(path string, want bool) {
				t.Helper()
				got, err := d.Exists(path)
				require.NoError(t, err)
				require.Equal(t, want, got)
			}

			exists(root, false)
			require.ErrorIs(t, d.Mkdir(at("sub")), fs.ErrNotExist, "the folder above is missing")
			require.NoError(t, d.Mkdir(root))
			require.ErrorIs(t, d.Mkdir(root), fs.ErrExist)
			require.NoError(t, d.Mkdir(at("sub")))
			exists(at("sub"), true)
			require.NoError(t, d.Sync(root))
			require.ErrorIs(t, d.Sync(at("none")), fs.ErrNotExist)

			_, err := d.Append(at("a"))
			require.ErrorIs(t, err, fs.ErrNotExist)
			_, err = d.Create(at("none", "a"))
			require.ErrorIs(t, err, fs.ErrNotExist)
			write(d.Create(at("a")))("one")
			write(d.Append(at("a")))(" two")
			holds(at("a"), "one two")
			write(d.Create(at("a")))("new")
			holds(at("a"), "new")
			write(d.Create(at("b")))("other")

			require.NoError(t, d.Rename(at("a"), at("b")))
			holds(at("b"), "new")
			exists(at("a"), false)
			require.ErrorIs(t, d.Rename(at("a"), at("c")), fs.ErrNotExist)
			require.ErrorIs(t, d.Remove(at("a")), fs.ErrNotExist)
			_, err = d.Read(at("a"))
			require.ErrorIs(t, err, fs.ErrNotExist)

			unlock, err := d.Lock(at(".lock"))
			require.NoError(t, err)
			_, err = d.Lock(at(".lock"))
			var locked *disk.Locked
			require.True(t, errors.As(err, &locked), "%v", err)
			require.NoError(t, unlock())
			unlock, err = d.Lock(at(".lock"))
			require.NoError(t, err)
			require.NoError(t, unlock())
			_, err = d.Lock(at("none", ".lock"))
			require.ErrorIs(t, err, fs.ErrNotExist)

			names, err := d.Names(root)
			require.NoError(t, err)
			slices.Sort(names)
			require.Equal(t, []string{".lock", "b"}, names, "without the folder")
			_, err = d.Names(at("none"))
			require.ErrorIs(t, err, fs.ErrNotExist)
			require.NoError(t, d.Remove(at("b")))
			exists(at("b"), false)
		})
	}
}

// TestSimLosesAnyChangeOfNames sees that a rename survives, or not, without the
// changes before and after it.
func TestSimLosesAnyChangeOfNames(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(200) {
		d := disk.NewSim(seed)
		for _, name := range []string{"/a", "/b"} {
			f, err := d.Create(name)
			require.NoError(t, err)
			require.NoError(t, f.Close())
		}
		require.NoError(t, d.Rename("/b", "/c"))
		d.CutAt(d.Steps() + 1)
		names, err := d.Restart().Names("/")
		require.NoError(t, err)
		left := ""
		for _, name := range names {
			left += name
		}
		seen[left] = true
	}
	for _, left := range []string{"", "a", "b", "ab", "c", "ac"} {
		require.True(t, seen[left], "%q never happened", left)
	}
	require.Len(t, seen, 6)
}

func TestSimFailedSyncLosesItsData(t *testing.T) {
	for seed := range uint64(50) {
		d := disk.NewSim(seed)
		f, err := d.Create("/a")
		require.NoError(t, err)
		require.NoError(t, d.Sync("/"))
		_, err = f.Write([]byte("data"))
		require.NoError(t, err)
		d.FailAt(d.Steps()+1, fs.ErrInvalid)
		require.ErrorIs(t, f.Sync(), fs.ErrInvalid)
		require.NoError(t, f.Sync(), "the second says nothing, and does nothing")
		d.CutAt(d.Steps() + 1)
		got, err := d.Restart().Read("/a")
		require.NoError(t, err)
		if string(got) != "data" {
			return
		}
	}
	t.Error("a Sync after one that failed has always saved the data")
}
