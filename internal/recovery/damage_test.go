package recovery_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/checkpoint/checkpointtest"
	"github.com/godstream/godstream/internal/recovery"
	"github.com/godstream/godstream/stream"
)

// left is a store that a program has left, and what it had shown.
type left struct {
	memory
	shown
}

// leftBehind returns stores that were left after a stop and after a crash, some
// with several generations and batches that run again.
func leftBehind(t *testing.T, want shown) map[string]left {
	t.Helper()
	steps := trace(t, want)
	all := map[string]left{}
	crash := func(name string, n int) {
		require.Positive(t, n)
		store, got := checkpointtest.NewFaulty(1), shown{}
		store.KillAt(n)
		require.ErrorIs(t, twice(store, got), checkpointtest.ErrStopped)
		all[name] = left{copied(t, store.Restart()), got}
	}
	nth := func(n int, step string) int {
		for i, s := range steps {
			if strings.HasPrefix(s, step) {
				if n--; n == 0 {
					return i + 1
				}
			}
		}
		return 0
	}
	crash("in the first batch", nth(2, "create /checkpoint/.save"))
	crash("in the middle", nth(9, "create /checkpoint/.save"))
	crash("late", nth(20, "create /checkpoint/.save"))

	store, got := checkpointtest.NewFaulty(1), shown{}
	_, err := run(store, got, batches/2)
	require.NoError(t, err)
	all["stopped"] = left{copied(t, store), got.clone()}

	store, got = checkpointtest.NewFaulty(1), shown{}
	_, err = run(store, got, 3)
	require.NoError(t, err)
	app, err := stream.GetOrCreate(store, program(got, time.Hour, func(at int64) error {
		if at > 15 {
			return errCrash
		}
		return nil
	}))
	require.NoError(t, err)
	require.ErrorIs(t, app.Run(t.Context()), errCrash)
	all["many batches run again"] = left{copied(t, store), got}
	return all
}

var errCrash = errors.New("crash")

// goOn runs a program on a damaged store until its end.
func (l left) goOn(m memory) (got shown, damaged []string, err error) {
	got = l.shown.clone()
	found, err := run(m, got, 0)
	return got, found.Damaged, err
}

// torn says whether damage at a byte of a file looks as if the program had
// crashed while it wrote that: the byte is of the log's last entry, and no save
// knows of that, or of a log that was begun for a save that was not written.
func torn(m memory, name string, at int) bool {
	if !strings.HasPrefix(name, "log-") {
		return false
	}
	if newest, err := recovery.ReadManifest(saves(m)[0], m[saves(m)[0]]); err != nil || name > recovery.LogName(newest.Logs[len(newest.Logs)-1].Number) {
		return err == nil
	}
	entries, err := recovery.ReadLog(name, m[name])
	if err != nil || len(entries) == 0 {
		return false
	}
	without, err := recovery.ReadLog(name, m[name][:at])
	return err == nil && len(without) == len(entries)-1
}

// saves is the names of all saves, newest first.
func saves(m memory) (names []string) {
	for name := range m {
		if strings.HasPrefix(name, "save-") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	slices.Reverse(names)
	return names
}

func TestFlippedBits(t *testing.T) {
	want := uninterrupted(t)
	for situation, l := range leftBehind(t, want) {
		t.Run(situation, func(t *testing.T) {
			size := 0
			for _, data := range l.memory {
				size += len(data)
			}
			place, fell, refused := 0, 0, 0
			for _, name := range slices.Sorted(maps.Keys(l.memory)) {
				for at := range l.memory[name] {
					if place++; place%each(size, 150) != 0 && at != 16 { // there the first part of a save begins
						continue
					}
					m, bit := maps.Clone(l.memory), (at+place)%8
					m[name] = bytes.Clone(m[name])
					m[name][at] ^= 1 << bit
					got, damaged, err := l.goOn(m)
					where := fmt.Sprintf("bit %d of byte %d of %s (%d bytes)", bit, at, name, len(l.memory[name]))
					if err != nil {
						require.ErrorIs(t, err, checkpoint.ErrCorrupt, where)
						require.ErrorContains(t, err, name, where)
						require.True(t, strings.HasPrefix(name, "log-") || len(saves(m)) == 1, "there is an older checkpoint: %s: %v", where, err)
						refused++
						continue
					}
					require.Equal(t, want, got, where)
					if !torn(l.memory, name, at) {
						require.Contains(t, strings.Join(damaged, "\n"), name, where)
						fell++
					}
				}
			}
			t.Logf("%d files, %d bytes: went on with damage reported %d times, refused %d times", len(l.memory), size, fell, refused)
		})
	}
}

// A file that is cut short anywhere, emptied, or gone.
func TestTruncatedAndMissingFiles(t *testing.T) {
	want := uninterrupted(t)
	for situation, l := range leftBehind(t, want) {
		t.Run(situation, func(t *testing.T) {
			for _, name := range slices.Sorted(maps.Keys(l.memory)) {
				size := len(l.memory[name])
				for at := -1; at < size; at += each(size, 10) {
					m := maps.Clone(l.memory)
					m[name] = m[name][:max(at, 0)]
					where := fmt.Sprintf("%s has %d of %d bytes", name, at, size)
					if at < 0 {
						delete(m, name)
						where = name + " is missing"
					}
					got, damaged, err := l.goOn(m)
					if err != nil {
						require.ErrorIs(t, err, checkpoint.ErrCorrupt, where)
						require.ErrorContains(t, err, name, where)
						continue
					}
					require.Equal(t, want, got, where)
					if strings.HasPrefix(name, "save-") && (at >= 0 || name != saves(l.memory)[0]) {
						require.Contains(t, strings.Join(damaged, "\n"), name, where)
					}
				}
			}
		})
	}
}

// Two files that are damaged at the same time never lead to a wrong result.
func TestTwoDamagedFiles(t *testing.T) {
	want := uninterrupted(t)
	for situation, l := range leftBehind(t, want) {
		t.Run(situation, func(t *testing.T) {
			names := slices.Sorted(maps.Keys(l.memory))
			for i, a := range names {
				for _, b := range names[:i] {
					m := maps.Clone(l.memory)
					for k, name := range []string{a, b} {
						m[name] = bytes.Clone(m[name])
						m[name][(i*131+k*977)%len(m[name])] ^= 4
					}
					got, _, err := l.goOn(m)
					if err != nil {
						require.ErrorIs(t, err, checkpoint.ErrCorrupt)
						continue
					}
					require.Equal(t, want, got, "%s and %s", a, b)
				}
			}
		})
	}
}

func TestNothingReadableIsNoFreshStart(t *testing.T) {
	want := uninterrupted(t)
	for _, l := range leftBehind(t, want) {
		m, without := maps.Clone(l.memory), maps.Clone(l.memory)
		for _, name := range saves(m) {
			m[name] = []byte("nothing")
			delete(without, name)
		}
		_, _, err := l.goOn(m)
		require.ErrorIs(t, err, checkpoint.ErrCorrupt)
		require.ErrorContains(t, err, "no checkpoint can be read")
		_, _, err = l.goOn(without)
		require.ErrorIs(t, err, checkpoint.ErrCorrupt)
		require.ErrorContains(t, err, "there is no save-000000000001")
	}
}

func TestNewerFormat(t *testing.T) {
	want := uninterrupted(t)
	l := leftBehind(t, want)["in the middle"]
	for name := range l.memory {
		m := maps.Clone(l.memory)
		m[name] = bytes.Clone(m[name])
		binary.LittleEndian.PutUint16(m[name][10:], 2)
		binary.LittleEndian.PutUint32(m[name][12:], crc32.Checksum(m[name][:12], crc32.MakeTable(crc32.Castagnoli)))
		_, _, err := l.goOn(m)
		require.ErrorContains(t, err, name+" has format version 2, this program reads up to 1: it was written by a newer release; use that, or begin in an empty place")
		require.NotErrorIs(t, err, checkpoint.ErrCorrupt)
	}
}

// A program that has gone on from an older checkpoint reports the damage once, and
// then has all that it needs.
func TestDamageIsMendedByGoingOn(t *testing.T) {
	want := uninterrupted(t)
	for situation, l := range leftBehind(t, want) {
		for _, name := range saves(l.memory) {
			if len(saves(l.memory)) == 1 {
				continue // there is nothing to go on from
			}
			m := maps.Clone(l.memory)
			m[name] = bytes.Clone(m[name])
			m[name][len(m[name])-30] ^= 1
			got := l.shown.clone()
			found, err := run(m, got, 0)
			require.NoError(t, err)
			require.NotEmpty(t, found.Damaged, situation)
			found, err = run(m, got, 0)
			require.NoError(t, err)
			require.Empty(t, found.Damaged, "%s: %s", situation, name)
			require.Equal(t, want, got)
		}
	}
}
