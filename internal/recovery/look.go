package recovery

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/godstream/godstream/checkpoint"
)

// View is what is in a store.
type View struct {
	Checkpoints []Checkpoint // those whose manifest can be read, oldest first
	Newest      int          // the last one that is whole, or -1
	Damaged     []string     // files that can't be used or are missing, and why
	Files       []File       // saves and logs, by name

	data  map[string][]byte // of saves
	logs  []logView         // oldest first
	found int               // saves, readable or not
	saves int64             // highest number of a save
	next  int64             // highest number of a log
}

// Checkpoint is one of the checkpoints.
type Checkpoint struct {
	Manifest
	Size  int64  // of its file
	Fault string // why it can't be used, "" if it can
}

// File is a file of a store.
type File struct {
	Name   string
	Size   int64
	Faults []string
}

type logView struct {
	number  int64
	size    int
	entries []Entry // all that can be read
	fault   error
}

// Look reads a store and checks every checksum. A file that is gone between the
// listing and the reading counts as missing.
func Look(ctx context.Context, s checkpoint.Session) (*View, error) {
	names, err := s.List(ctx)
	if err != nil {
		return nil, err
	}
	v := &View{Newest: -1, data: map[string][]byte{}}
	faults := map[string][]string{} // by file
	for _, name := range names {    // in order, since the numbers have as many digits
		save, isSave := number(name, savePrefix)
		log, isLog := number(name, logPrefix)
		if !isSave && !isLog {
			continue
		}
		data, err := s.Get(ctx, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		v.Files = append(v.Files, File{Name: name, Size: int64(len(data))})
		if isSave {
			v.found++
			v.saves = max(v.saves, save)
			v.data[name] = data
			m, err := readManifest(name, data)
			if err == nil && m.Number != save {
				err = damaged(name, "it says that it is number %d", m.Number)
			}
			if err == nil {
				v.Checkpoints = append(v.Checkpoints, Checkpoint{Manifest: m, Size: m.size})
			} else if !isDamaged(err) {
				return nil, err // newer than this program
			} else {
				faults[name] = append(faults[name], err.Error())
			}
		} else {
			v.next = max(v.next, log)
			l := logView{number: log, size: len(data)}
			if l.entries, l.fault = readLog(name, data); l.fault != nil && !isDamaged(l.fault) {
				return nil, l.fault
			}
			v.logs = append(v.logs, l)
		}
	}
	for i := range v.Checkpoints {
		c := &v.Checkpoints[i]
		if c.Fault = v.fault(&c.Manifest); c.Fault == "" {
			v.Newest = i
		}
	}
	v.report(faults)
	return v, nil
}

// report collects what is damaged. What is there and not named by the newest
// checkpoint is left over from a crash, and may be in any state, unless that is
// not the newest save: then what is newer had a meaning.
func (v *View) report(faults map[string][]string) {
	add := func(name, fault string) {
		if !slices.Contains(faults[name], fault) {
			faults[name] = append(faults[name], fault)
		}
	}
	var newest *Manifest
	if v.Newest >= 0 {
		newest = &v.Checkpoints[v.Newest].Manifest
	}
	current := newest != nil && newest.Number == v.saves
	for _, c := range v.Checkpoints {
		for _, o := range c.Operators {
			parts := o.Parts
			for _, p := range o.Image { // all of the newest one's is kept, of others what lies in files that are
				if v.data[saveName(p.Save)] != nil || current && c.Number == newest.Number {
					parts = append(slices.Clip(parts), p)
				}
			}
			for _, p := range parts {
				if _, err := v.part(p); err != nil && (!current || v.expected(newest, saveName(p.Save))) {
					add(saveName(p.Save), err.Error())
				}
			}
		}
	}
	for _, l := range v.logs {
		if name := logName(l.number); l.fault != nil && (!current || v.expected(newest, name)) {
			add(name, l.fault.Error())
		}
	}
	if newest != nil {
		for _, n := range newest.Saves {
			if name := saveName(n); v.data[name] == nil && current {
				add(name, damaged(name, "it is missing").Error())
			}
		}
		for _, ref := range newest.Logs {
			name, l := logName(ref.Number), v.log(ref.Number)
			switch {
			case l == nil && (current || ref.Number >= newest.log()):
				add(name, damaged(name, "it is missing").Error())
			case l != nil && l.fault == nil && last(l.entries) < ref.Last:
				add(name, damaged(name, "it ends after batch %d, and had batch %d", last(l.entries), ref.Last).Error())
			}
		}
	}
	for name := range faults {
		if current && !v.expected(newest, name) && name != saveName(newest.Number) {
			delete(faults, name)
		}
	}
	for i := range v.Files {
		v.Files[i].Faults = faults[v.Files[i].Name]
	}
	var names []string
	for name := range faults {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		v.Damaged = append(v.Damaged, faults[name]...)
	}
}

// expected says whether a checkpoint was written beside a file.
func (v *View) expected(m *Manifest, name string) bool {
	if n, ok := number(name, savePrefix); ok {
		return n == m.Number || slices.Contains(m.Saves, n)
	}
	n, _ := number(name, logPrefix)
	return slices.ContainsFunc(m.Logs, func(l LogRef) bool { return l.Number == n })
}

func (v *View) log(number int64) *logView {
	if i := slices.IndexFunc(v.logs, func(l logView) bool { return l.number == number }); i >= 0 {
		return &v.logs[i]
	}
	return nil
}

// fault says which part of a checkpoint can't be read.
func (v *View) fault(m *Manifest) string {
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
	data, ok := v.data[saveName(p.Save)]
	if !ok {
		return nil, damaged(saveName(p.Save), "it is missing")
	}
	return p.cut(data)
}

// After returns the batches that were begun after those of a checkpoint. The error
// says that they can't be known.
func (v *View) After(m *Manifest) ([]Entry, error) {
	if v.log(m.log()) == nil {
		return nil, fmt.Errorf("it is not known which batches were begun after batch %d: %w%s", m.Done, damaged(logName(m.log()), "it is missing"), wayOut)
	}
	begun := map[int64]Entry{}
	highest := m.Done
	for _, l := range v.logs {
		if l.number < m.log() {
			continue
		}
		for _, e := range l.entries { // a later log has the batches again that were not done
			begun[e.Batch] = e
			highest = max(highest, e.Batch)
		}
	}
	var after []Entry
	for n := m.Done + 1; n <= highest; n++ {
		e, ok := begun[n]
		if !ok {
			return nil, fmt.Errorf("the log lacks batch %d, and has batch %d: %w: %s%s", n, highest, checkpoint.ErrCorrupt, v.why(m, n), wayOut)
		}
		after = append(after, e)
	}
	return after, nil
}

const wayOut = "; restore the files from a copy, or begin anew in an empty place"

// why says which log a batch should be in.
func (v *View) why(m *Manifest, batch int64) string {
	var why []string
	for _, l := range v.logs {
		if l.fault != nil {
			why = append(why, l.fault.Error())
		}
	}
	for n := m.log(); n < v.next; n++ {
		if v.log(n) == nil {
			why = append(why, damaged(logName(n), "it is missing").Error())
		}
	}
	if len(why) == 0 {
		for _, l := range v.logs {
			if l.number >= m.log() && last(l.entries) < batch {
				why = append(why, damaged(logName(l.number), "it ends after batch %d", last(l.entries)).Error())
			}
		}
	}
	return strings.Join(why, "; ")
}

func isDamaged(err error) bool { return errors.Is(err, checkpoint.ErrCorrupt) }
