package recovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/godstream/godstream/checkpoint"
)

// View is what is in a store.
type View struct {
	Checkpoints []Checkpoint // those whose manifest can be read, oldest first
	Newest      int          // the last one that is whole, or -1
	Damaged     []string     // files that can't be used, and why

	files  map[string][]byte
	logs   []logView // oldest first
	saves  int64     // highest number of a save
	next   int64     // highest number of a log
	broken error     // what is wrong with the logs
}

// Checkpoint is one of the checkpoints.
type Checkpoint struct {
	Manifest
	Size  int64  // of its file
	Fault string // why it can't be used, "" if it can
}

type logView struct {
	number  int64
	entries []Entry
}

// Look reads a store and checks every checksum.
func Look(ctx context.Context, s checkpoint.Session) (*View, error) {
	names, err := s.List(ctx)
	if err != nil {
		return nil, err
	}
	v := &View{Newest: -1, files: map[string][]byte{}}
	for _, name := range names {
		if n, ok := number(name, savePrefix); ok {
			v.saves = max(v.saves, n)
			if v.files[name], err = s.Get(ctx, name); err != nil {
				return nil, err
			}
		}
	}
	for _, name := range names { // in order, since the numbers have as many digits
		if n, ok := number(name, savePrefix); ok {
			m, err := readManifest(name, v.files[name])
			if err == nil && m.Number != n {
				err = damaged(name, "it says that it is number %d", m.Number)
			}
			if err != nil && !isDamaged(err) {
				return nil, err // newer than this program
			}
			if err != nil {
				v.Damaged = append(v.Damaged, err.Error())
				continue
			}
			v.Checkpoints = append(v.Checkpoints, Checkpoint{Manifest: m, Size: int64(len(v.files[name]))})
		}
		if n, ok := number(name, logPrefix); ok {
			v.next = max(v.next, n)
			data, err := s.Get(ctx, name)
			if err != nil {
				return nil, err
			}
			entries, _, err := readLog(name, data)
			if err != nil {
				v.Damaged = append(v.Damaged, err.Error())
				v.broken = err
			}
			v.logs = append(v.logs, logView{n, entries})
		}
	}
	for i := range v.Checkpoints {
		c := &v.Checkpoints[i]
		if c.Fault = v.fault(c.Manifest); c.Fault == "" {
			v.Newest = i
		} else if !slices.Contains(v.Damaged, c.Fault) {
			v.Damaged = append(v.Damaged, c.Fault)
		}
	}
	return v, nil
}

// fault says which part of a checkpoint can't be read.
func (v *View) fault(m Manifest) string {
	for _, o := range m.Operators {
		for _, p := range o.Parts {
			if _, err := v.part(p); err != nil {
				return err.Error()
			}
		}
	}
	return ""
}

func (v *View) part(p Part) ([]byte, error) {
	data, ok := v.files[saveName(p.Save)]
	if !ok {
		return nil, damaged(saveName(p.Save), "it is missing")
	}
	if err := checkHead(saveName(p.Save), data, 's'); err != nil {
		return nil, err
	}
	return p.cut(data)
}

// Entries returns what the logs say, oldest batch first. A batch that is in them
// several times, since writing it had failed, is there once.
func (v *View) Entries() (all []Entry) {
	for _, l := range v.logs {
		for _, e := range l.entries {
			if n := len(all); n > 0 && all[n-1].Batch >= e.Batch {
				i := slices.IndexFunc(all, func(a Entry) bool { return a.Batch >= e.Batch })
				all = all[:i]
			}
			all = append(all, e)
		}
	}
	return all
}

// After returns the batches after a given one.
func (v *View) After(done int64) ([]Entry, error) {
	var after []Entry
	for _, e := range v.Entries() {
		if e.Batch <= done {
			continue
		}
		if want := done + int64(len(after)) + 1; e.Batch != want {
			return nil, fmt.Errorf("the log has batch %d where %d should be: %w%s", e.Batch, want, checkpoint.ErrCorrupt, v.why())
		}
		after = append(after, e)
	}
	if v.broken != nil {
		return nil, fmt.Errorf("the log can't be read to its end, so it is not known which batches were begun: %w; restore the file from a copy, or begin anew in an empty place", v.broken)
	}
	return after, nil
}

func (v *View) why() string {
	if len(v.Damaged) == 0 {
		return ""
	}
	return ": " + strings.Join(v.Damaged, "; ")
}

func isDamaged(err error) bool { return errors.Is(err, checkpoint.ErrCorrupt) }
