package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Sim is a disk in memory that knows what has been synced. Each call, and each
// Write, Sync and Close of a file, is a step. Tests make a step fail, kill the
// process there or cut the power, and go on with what [Sim.Restart] returns.
//
// After a loss of power a file has what was synced and, chosen by the seed, a part
// of what was not, the end of which may be zeros. A folder has the names as they
// were at its last Sync with any of the changes since. What a failed Sync has not
// brought to the disk, no later Sync will: a kernel drops such pages.
type Sim struct {
	mu     sync.Mutex
	seed   uint64
	random *rand.Rand
	root   *node
	locks  map[*node]bool
	trace  []string

	fails  map[int]error
	failed struct { // every step from one on
		from int
		err  error
	}
	stop  int // the step at which the process ends, 0 for none
	power bool
}

// ErrStopped is what every call returns after the process was killed or the power
// cut.
var ErrStopped = errors.New("the process has ended")

// NewSim returns an empty disk. What it chooses by chance depends on the seed and
// the calls alone.
func NewSim(seed uint64) *Sim {
	s := &Sim{root: &node{names: map[string]*node{}, lasting: map[string]*node{}}}
	s.start(seed)
	return s
}

func (s *Sim) start(seed uint64) {
	s.seed, s.random = seed, rand.New(rand.NewPCG(seed, 0))
	s.locks, s.fails = map[*node]bool{}, map[int]error{}
}

// Steps is how many there have been.
func (s *Sim) Steps() int { return len(s.Trace()) }

// Trace has the steps, as "rename /x/y". The nth of them is step n, from 1.
func (s *Sim) Trace() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.trace)
}

// FailAt lets step n fail. A Write that fails has written a part, as chance
// decides; nothing else that fails has an effect.
func (s *Sim) FailAt(n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails[n] = err
}

// FailFrom lets step n and all after it fail. A nil error ends that.
func (s *Sim) FailFrom(n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed.from, s.failed.err = n, err
}

// KillAt ends the process at step n, CutAt the power of the machine. That step
// may have happened or not, or a Write in part; it and all after it return
// ErrStopped.
func (s *Sim) KillAt(n int) { s.stopAt(n, false) }

// CutAt is told at KillAt.
func (s *Sim) CutAt(n int) { s.stopAt(n, true) }

func (s *Sim) stopAt(n int, power bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop, s.power = n, power
}

// Restart returns the disk as the next process finds it: no locks, no faults,
// steps counted anew. After CutAt it has what was synced and some of the rest,
// whether the step was reached or not; otherwise it has everything. The old disk
// returns ErrStopped from now on.
func (s *Sim) Restart() *Sim {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := &Sim{root: s.root}
	if s.power {
		next.root = s.root.afterPowerLoss(s.random, map[*node]*node{})
	}
	next.start(s.seed + 1)
	s.stop = -1
	return next
}

// node is a file or a folder.
type node struct {
	names   map[string]*node // of a folder; nil for a file
	lasting map[string]*node // as they are on the disk
	changes []change         // since then

	data   []byte
	synced []byte
	spoilt bool // by a failed Sync
}

// change gives names nodes, or takes them away where the node is nil. All of it
// reaches the disk, or nothing.
type change map[string]*node

func (n *node) apply(c change) {
	n.changes = append(n.changes, c)
	c.to(n.names)
}

func (c change) to(names map[string]*node) {
	for name, n := range c {
		if n == nil {
			delete(names, name)
		} else {
			names[name] = n
		}
	}
}

func (n *node) sync() {
	switch {
	case n.names != nil:
		n.lasting, n.changes = maps.Clone(n.names), nil
	case !n.spoilt:
		n.synced = slices.Clone(n.data)
	}
}

// afterPowerLoss returns what is left. A file may have two names.
func (n *node) afterPowerLoss(random *rand.Rand, done map[*node]*node) *node {
	if left := done[n]; left != nil {
		return left
	}
	left := &node{}
	done[n] = left
	if n.names == nil {
		left.synced = n.contentLeft(random)
		left.data = slices.Clone(left.synced)
		return left
	}
	names := maps.Clone(n.lasting)
	ordered, until := random.IntN(2) == 0, random.IntN(len(n.changes)+1)
	for i, c := range n.changes {
		if ordered && i < until || !ordered && random.IntN(2) == 0 {
			c.to(names)
		}
	}
	left.names = map[string]*node{}
	for _, name := range slices.Sorted(maps.Keys(names)) { // in an order that the seed repeats
		left.names[name] = names[name].afterPowerLoss(random, done)
	}
	left.lasting = maps.Clone(left.names)
	return left
}

// contentLeft returns a part of the data that contains what was synced.
func (n *node) contentLeft(random *rand.Rand) []byte {
	safe := len(n.synced)
	if len(n.data) < safe || string(n.data[:safe]) != string(n.synced) { // was emptied since
		if random.IntN(2) == 0 {
			return slices.Clone(n.synced)
		}
		safe = 0
	}
	left := slices.Clone(n.data[:safe+random.IntN(len(n.data)-safe+1)])
	switch random.IntN(4) {
	case 0:
		return left[:safe]
	case 1:
		return slices.Clone(n.data)
	case 2: // the length was on the disk before the bytes
		clear(left[safe+random.IntN(len(left)-safe+1):])
	}
	return left
}

// step counts a step and says whether it fails, and if so, whether it happens
// nevertheless: then nobody learns of it.
func (s *Sim) step(call, path string) (happens bool, err error) {
	s.trace = append(s.trace, call+" "+filepath.ToSlash(path))
	n := len(s.trace)
	switch {
	case s.stop != 0 && n == s.stop:
		return s.random.IntN(2) == 0, &fs.PathError{Op: call, Path: path, Err: ErrStopped}
	case s.stop != 0 && n > s.stop:
		return false, &fs.PathError{Op: call, Path: path, Err: ErrStopped}
	case s.fails[n] != nil:
		return false, &fs.PathError{Op: call, Path: path, Err: s.fails[n]}
	case s.failed.err != nil && n >= s.failed.from:
		return false, &fs.PathError{Op: call, Path: path, Err: s.failed.err}
	}
	return true, nil
}

// do counts a step, and lets it happen unless it fails.
func (s *Sim) do(call, path string, happen func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	happens, err := s.step(call, path)
	if happens {
		if e := happen(); e != nil && err == nil {
			err = &fs.PathError{Op: call, Path: path, Err: e}
		}
	}
	return err
}

// find returns what is at a path. Relative paths begin at the root.
func (s *Sim) find(path string) (*node, error) {
	n := s.root
	for part := range strings.SplitSeq(filepath.ToSlash(filepath.Clean(path)), "/") {
		if part == "" || part == "." {
			continue
		}
		if n.names == nil {
			return nil, syscall.ENOTDIR
		}
		if n = n.names[part]; n == nil {
			return nil, fs.ErrNotExist
		}
	}
	return n, nil
}

func (s *Sim) folder(path string) (*node, error) {
	n, err := s.find(path)
	if err == nil && n.names == nil {
		err = syscall.ENOTDIR
	}
	return n, err
}

func (s *Sim) plain(path string) (*node, error) {
	n, err := s.find(path)
	if err == nil && n.names != nil {
		err = syscall.EISDIR
	}
	return n, err
}

// Mkdir makes a folder, whose name lasts when the one above is synced.
func (s *Sim) Mkdir(path string) error {
	return s.do("mkdir", path, func() error {
		if _, err := s.find(path); err == nil {
			return fs.ErrExist
		}
		dir, err := s.folder(filepath.Dir(path))
		if err == nil {
			dir.apply(change{filepath.Base(path): {names: map[string]*node{}, lasting: map[string]*node{}}})
		}
		return err
	})
}

// Create makes a file or empties one.
func (s *Sim) Create(path string) (File, error) {
	f := &simFile{disk: s, path: path}
	err := s.do("create", path, func() (err error) {
		f.node, err = s.create(path)
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (s *Sim) create(path string) (*node, error) {
	n, err := s.plain(path)
	if errors.Is(err, fs.ErrNotExist) {
		var dir *node
		if dir, err = s.folder(filepath.Dir(path)); err == nil {
			n = &node{}
			dir.apply(change{filepath.Base(path): n})
		}
	}
	if err == nil {
		n.data = nil
	}
	return n, err
}

// Append opens a file to write at its end.
func (s *Sim) Append(path string) (File, error) {
	f := &simFile{disk: s, path: path}
	err := s.do("open", path, func() (err error) {
		f.node, err = s.plain(path)
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Rename gives a file another name in its folder, replacing what has it.
func (s *Sim) Rename(from, to string) error {
	return s.do("rename", from, func() error {
		n, err := s.plain(from)
		if err != nil {
			return err
		}
		if filepath.Dir(from) != filepath.Dir(to) {
			return fmt.Errorf("to %s: %w", to, errors.ErrUnsupported)
		}
		dir, err := s.folder(filepath.Dir(to))
		if err == nil {
			dir.apply(change{filepath.Base(from): nil, filepath.Base(to): n})
		}
		return err
	})
}

// Remove removes the name of a file.
func (s *Sim) Remove(path string) error {
	return s.do("remove", path, func() error {
		if _, err := s.plain(path); err != nil {
			return err
		}
		dir, err := s.folder(filepath.Dir(path))
		if err == nil {
			dir.apply(change{filepath.Base(path): nil})
		}
		return err
	})
}

// Exists says whether there is a file or folder.
func (s *Sim) Exists(path string) (exists bool, err error) {
	err = s.do("stat", path, func() error {
		_, err := s.find(path)
		exists = err == nil
		return nil
	})
	return exists && err == nil, err
}

// Read returns the data of a file, synced or not.
func (s *Sim) Read(path string) (data []byte, err error) {
	err = s.do("read", path, func() error {
		n, err := s.plain(path)
		if err == nil {
			data = append([]byte{}, n.data...)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return data, nil
}

// Names returns the names of the files in a folder, sorted.
func (s *Sim) Names(path string) (names []string, err error) {
	err = s.do("list", path, func() error {
		dir, err := s.folder(path)
		if err != nil {
			return err
		}
		for name, n := range dir.names {
			if n.names == nil {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return nil
	})
	return names, err
}

// Sync makes the names in a folder last.
func (s *Sim) Sync(path string) error {
	return s.do("sync", path, func() error {
		dir, err := s.folder(path)
		if err == nil {
			dir.sync()
		}
		return err
	})
}

// Lock takes a lock, which Restart frees too.
func (s *Sim) Lock(path string) (unlock func() error, err error) {
	var locked *Locked
	err = s.do("lock", path, func() error {
		n, err := s.plain(path)
		if errors.Is(err, fs.ErrNotExist) {
			n, err = s.create(path)
		}
		if err != nil {
			return err
		}
		if s.locks[n] {
			locked = &Locked{Holder: os.Getpid()}
			return locked
		}
		s.locks[n] = true
		unlock = func() error {
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.locks, n)
			return nil
		}
		return nil
	})
	if locked != nil {
		return nil, locked
	}
	if err != nil {
		return nil, err
	}
	return unlock, nil
}

type simFile struct {
	disk *Sim
	path string
	node *node
}

func (f *simFile) Write(b []byte) (int, error) {
	s := f.disk
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.step("write", f.path)
	n := len(b)
	if err != nil {
		n = 0
		if !errors.Is(err, ErrStopped) || len(s.trace) == s.stop { // else dead already
			n = s.random.IntN(len(b) + 1)
		}
	}
	f.node.data = append(f.node.data, b[:n]...)
	return n, err
}

func (f *simFile) Sync() error {
	err := f.disk.do("fsync", f.path, func() error { f.node.sync(); return nil })
	if err != nil && !errors.Is(err, ErrStopped) {
		f.disk.mu.Lock()
		defer f.disk.mu.Unlock()
		f.node.spoilt = true
	}
	return err
}

func (f *simFile) Close() error {
	return f.disk.do("close", f.path, func() error { return nil })
}
