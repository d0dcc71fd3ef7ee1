package recovery

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/source"
)

// Keeper is an operator that keeps data, without its types.
type Keeper struct {
	Name, Kind string
	Shapes     []string // of its key and state, or of its elements

	Keys func() int

	// Save returns how many of its oldest saved parts are no longer needed and
	// the parts to add; whole asks for everything anew, if it can.
	Save func(whole bool) (drop int, add [][]byte, err error)

	// Load takes in what was saved, oldest part first, in the given shapes. Where
	// there are no parts it is not called. accept is true if fields may be gone.
	Load func(shapes []string, accept bool, parts [][]byte) error

	// Check says whether Load could read these shapes.
	Check func(shapes []string, accept bool) error
}

// Config is what a journal must know of the program.
type Config struct {
	App       string
	Interval  time.Duration
	SaveEvery time.Duration
	Sources   []string // names
	Drop      []string // operators and sources whose data is given up
	Accept    []string // operators whose types may have lost fields
	Logger    *slog.Logger
}

// Journal is an opened checkpoint: where a program goes on, and where it notes
// what it does. One goroutine uses it.
type Journal struct {
	Report
	Pending []Entry // begun and not done when the program ended, oldest first

	config  Config
	session checkpoint.Session
	keepers []Keeper
	loads   map[string][][]byte // parts by operator, until Load

	newest   Manifest
	kept     []Manifest // checkpoints to fall back to, oldest first; the newest is the last
	logs     []logFile  // oldest first
	fresh    bool       // the next entry begins a log
	next     int64      // number of the next log
	saves    int64      // highest number of a save, readable or not
	sources  map[string]*positions
	saved    time.Time
	grown    int64             // bytes of this generation's saves after the first
	wholeNow bool              // the next save begins a generation
	opened   map[string][]byte // earlier saves that a save reads
}

type logFile struct {
	number int64
	last   int64 // batch
}

// positions is where a source is to be read on, by partition in order of
// appearance.
type positions struct {
	order []source.Position
	place map[string]int
}

// Report is what was found.
type Report struct {
	Fresh   bool      // there was no checkpoint
	Number  int64     // of the save that was read
	Batches int64     // that are in it
	Time    time.Time // of the last of them
	Saved   time.Time // when it was written
	Kept    []string  // names of operators and sources that go on with what they had
	New     []string  // that begin empty
	Dropped []string  // that are given up
	Damaged []string  // files that could not be used, and why
}

// Open reads the newest checkpoint that can be read and compares it with the
// program.
func Open(ctx context.Context, s checkpoint.Session, c Config, keepers []Keeper) (*Journal, error) {
	j := &Journal{config: c, session: s, keepers: keepers, fresh: true, loads: map[string][][]byte{}, sources: map[string]*positions{}}
	if err := j.read(ctx); err != nil {
		return nil, err
	}
	if err := j.compare(); err != nil {
		return nil, err
	}
	return j, nil
}

// read finds the newest checkpoint and the batches after it.
func (j *Journal) read(ctx context.Context) error {
	v, err := Look(ctx, j.session)
	if err != nil {
		return err
	}
	j.Damaged = v.Damaged
	j.saves, j.next = v.saves, v.next
	for _, l := range v.logs {
		j.logs = append(j.logs, logFile{l.number, last(l.entries)})
	}
	if v.saves == 0 {
		if n := len(v.Entries()); n > 0 {
			return fmt.Errorf("there is a log of %d batches and no checkpoint; the folder was not written by one program", n)
		}
		j.Fresh, j.wholeNow = true, true
		j.newest.ID = rand.Text()
		return nil
	}
	if v.Newest < 0 {
		return fmt.Errorf("no checkpoint can be read, of %d that are there: %s: %w; restore the files from a copy, or begin anew in an empty place",
			v.saves, strings.Join(v.Damaged, "; "), checkpoint.ErrCorrupt)
	}
	c := v.Checkpoints[v.Newest]
	j.newest = c.Manifest
	j.Number, j.Batches, j.Time, j.Saved = c.Number, c.Done, c.Time, c.Saved
	for _, o := range c.Operators {
		for _, p := range o.Parts {
			data, err := v.part(p)
			if err != nil {
				return err
			}
			j.loads[o.Name] = append(j.loads[o.Name], data)
		}
	}
	for _, s := range c.Sources {
		at := j.source(s.Name)
		for _, p := range s.Positions {
			at.set(p)
		}
	}
	for _, c := range v.Checkpoints[:v.Newest+1] {
		if c.Fault != "" {
			continue
		}
		j.kept = append(j.kept, c.Manifest)
		if c.Generation == j.newest.Generation && c.Number > c.Generation {
			j.grown += c.size
		}
	}
	if v.Newest < len(v.Checkpoints)-1 || len(v.Damaged) > 0 {
		j.wholeNow = true // nothing is to depend on what is damaged
	}
	pending, err := v.After(j.Batches)
	if err != nil {
		return err
	}
	j.Pending = pending
	return nil
}

// compare says what does not fit together.
func (j *Journal) compare() error {
	var faults []error
	was, c := j.newest, j.config
	if !j.Fresh && was.App != c.App {
		return fmt.Errorf("the checkpoint is of app %q, this program is app %q; give it its name back with Config.Name, or begin in an empty place", was.App, c.App)
	}
	unused := slices.Clone(c.Drop)
	drop := func(name string) bool {
		unused = slices.DeleteFunc(unused, func(d string) bool { return d == name })
		return slices.Contains(c.Drop, name)
	}
	var names []string
	for _, k := range j.keepers {
		names = append(names, k.Name)
	}
	names = append(names, c.Sources...)
	gone := func(what, name string) {
		if drop(name) {
			j.Dropped = append(j.Dropped, name)
			delete(j.loads, name)
			delete(j.sources, name)
			return
		}
		faults = append(faults, fmt.Errorf("no %s is named %q (there are %s); give the one that kept this data its name back with stream.Name, or give the data up with checkpoint.Drop(%q)",
			what, name, list(names), name))
	}
	for _, o := range was.Operators {
		i := slices.IndexFunc(j.keepers, func(k Keeper) bool { return k.Name == o.Name })
		if i < 0 {
			gone("operator", o.Name)
			continue
		}
		if drop(o.Name) {
			j.Dropped = append(j.Dropped, o.Name)
			delete(j.loads, o.Name)
			continue
		}
		k := j.keepers[i]
		if o.Kind != k.Kind {
			faults = append(faults, fmt.Errorf("operator %q was %s (%s) and is %s (%s); give the new one another name, and the data up with checkpoint.Drop(%q)",
				o.Name, o.Kind, strings.Join(o.Shapes, ", "), k.Kind, strings.Join(k.Shapes, ", "), o.Name))
			continue
		}
		if err := k.Check(o.Shapes, slices.Contains(c.Accept, o.Name)); err != nil {
			faults = append(faults, fmt.Errorf("operator %q was kept as %s and is %s: %w; change the type back, or give the data up with checkpoint.Drop(%q)",
				o.Name, strings.Join(o.Shapes, ", "), strings.Join(k.Shapes, ", "), err, o.Name))
			continue
		}
		j.Kept = append(j.Kept, o.Name)
		j.wholeNow = j.wholeNow || !slices.Equal(o.Shapes, k.Shapes) // all parts of an operator have one shape
	}
	for _, s := range was.Sources {
		switch {
		case !slices.Contains(c.Sources, s.Name):
			gone("source", s.Name)
		case drop(s.Name):
			j.Dropped = append(j.Dropped, s.Name)
			delete(j.sources, s.Name)
		default:
			j.Kept = append(j.Kept, s.Name)
		}
	}
	for _, name := range names {
		if !slices.Contains(j.Kept, name) {
			j.New = append(j.New, name)
		}
	}
	for _, name := range unused {
		j.config.Logger.Warn("checkpoint.Drop names nothing that is kept", "app", c.App, "name", name)
	}
	return errors.Join(faults...)
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(quoted, ", ")
}

// Load gives the operators what they kept.
func (j *Journal) Load() error {
	for _, k := range j.keepers {
		parts := j.loads[k.Name]
		if len(parts) == 0 {
			continue
		}
		i := slices.IndexFunc(j.newest.Operators, func(o Operator) bool { return o.Name == k.Name })
		if err := k.Load(j.newest.Operators[i].Shapes, slices.Contains(j.config.Accept, k.Name), parts); err != nil {
			return fmt.Errorf("operator %s: %w: %w", k.Name, checkpoint.ErrCorrupt, err)
		}
	}
	j.loads = nil
	return nil
}

// Positions is where a source is to be read on, nil if there is no checkpoint or
// it is not in it.
func (j *Journal) Positions(name string) []source.Position {
	if !slices.Contains(j.Kept, name) {
		return nil
	}
	at := j.source(name)
	all := append([]source.Position{}, at.order...)
	for _, e := range j.Pending { // what was read first after the checkpoint
		s, _ := e.Of(name)
		for _, r := range s.Ranges {
			if _, ok := at.place[r.Partition]; !ok && !slices.ContainsFunc(all, func(p source.Position) bool { return p.Partition == r.Partition }) {
				all = append(all, source.Position{Partition: r.Partition, Offset: r.From})
			}
		}
	}
	return all
}

func (j *Journal) source(name string) *positions {
	at := j.sources[name]
	if at == nil {
		at = &positions{place: map[string]int{}}
		j.sources[name] = at
	}
	return at
}

func (p *positions) set(at source.Position) {
	if i, ok := p.place[at.Partition]; ok {
		p.order[i] = at
		return
	}
	p.place[at.Partition] = len(p.order)
	p.order = append(p.order, at)
}

// Begin makes sure that there is a checkpoint, so that a program that crashes
// before its first save knows that it has been there.
func (j *Journal) Begin(ctx context.Context) error {
	if j.Fresh || j.wholeNow || len(j.Dropped) > 0 {
		return j.save(ctx)
	}
	j.saved = time.Now()
	return nil
}

// Log notes a batch before it runs; it lasts when Log returns.
func (j *Journal) Log(ctx context.Context, e Entry) error {
	var data []byte
	if j.fresh {
		j.next++
		j.logs = append(j.logs, logFile{number: j.next})
		data = head('l')
	}
	data, err := appendEntry(data, e)
	if err != nil {
		return err
	}
	l := &j.logs[len(j.logs)-1]
	j.fresh = true // unless it goes well: what follows a part of an entry is not read
	if err := j.session.Append(ctx, logName(l.number), data); err != nil {
		return err
	}
	j.fresh, l.last = false, e.Batch
	return nil
}

// Done notes that a batch is done, and saves if it is time.
func (j *Journal) Done(ctx context.Context, e Entry) error {
	for _, s := range e.Sources {
		at := j.source(s.Name)
		for _, r := range s.Ranges {
			at.set(source.Position{Partition: r.Partition, Offset: r.Until, Mark: r.Mark})
		}
	}
	j.newest.Done, j.newest.Time = e.Batch, e.Time
	if time.Since(j.saved) < j.config.SaveEvery {
		return nil
	}
	return j.save(ctx)
}

// End saves what has not been saved.
func (j *Journal) End(ctx context.Context) error {
	if len(j.kept) > 0 && j.kept[len(j.kept)-1].Done == j.newest.Done {
		return nil
	}
	return j.save(ctx)
}

const (
	maxGeneration = 100     // saves
	minGeneration = 1 << 20 // bytes that a generation may have at least
)

// save writes what has changed, or all of it if it is time to begin a generation.
func (j *Journal) save(ctx context.Context) error {
	m := j.newest
	j.saves++
	m.Number, m.Saved, m.App, m.Interval = j.saves, time.Now().UTC().Truncate(time.Millisecond), j.config.App, j.config.Interval
	first := slices.IndexFunc(j.kept, func(k Manifest) bool { return k.Number == m.Generation })
	whole := j.wholeNow || first < 0 || j.grown > max(minGeneration, j.kept[first].size) || m.Number-m.Generation >= maxGeneration
	if whole {
		m.Generation = m.Number
	}
	data := head('s')
	add := func(part []byte) Part {
		p := Part{Save: m.Number, Offset: int64(len(data)), Length: int64(len(part)), Checksum: checksum(part)}
		data = append(data, part...)
		return p
	}
	m.Operators = nil
	for _, k := range j.keepers {
		var parts []Part
		if i := slices.IndexFunc(j.newest.Operators, func(o Operator) bool { return o.Name == k.Name }); i >= 0 && !slices.Contains(j.Dropped, k.Name) {
			parts = slices.Clone(j.newest.Operators[i].Parts)
		}
		drop, fresh, err := k.Save(whole)
		if err != nil {
			return fmt.Errorf("operator %s: %w", k.Name, err)
		}
		parts = parts[drop:]
		for i, p := range parts {
			if p.Save < m.Generation {
				old, err := j.part(ctx, p)
				if err != nil {
					return err
				}
				parts[i] = add(old)
			}
		}
		for _, part := range fresh {
			parts = append(parts, add(part))
		}
		m.Operators = append(m.Operators, Operator{Name: k.Name, Kind: k.Kind, Shapes: k.Shapes, Keys: k.Keys(), Parts: parts})
	}
	m.Sources = nil
	for _, name := range j.config.Sources {
		m.Sources = append(m.Sources, SourceState{Name: name, Positions: append([]source.Position{}, j.source(name).order...)})
	}
	data, err := appendManifest(data, m)
	if err != nil {
		return err
	}
	if err := j.session.Put(ctx, saveName(m.Number), data); err != nil {
		return err
	}
	m.size = int64(len(data))
	if whole {
		j.grown, j.fresh = 0, true
	} else {
		j.grown += m.size
	}
	j.wholeNow, j.Dropped = false, nil
	j.newest, j.saved = m, time.Now()
	j.kept = append(j.kept, m)
	j.opened = nil
	return j.forget(ctx)
}

// part reads a part that was saved earlier.
func (j *Journal) part(ctx context.Context, p Part) ([]byte, error) {
	name := saveName(p.Save)
	data, ok := j.opened[name]
	if !ok {
		var err error
		if data, err = j.session.Get(ctx, name); err != nil {
			return nil, err
		}
		if j.opened == nil {
			j.opened = map[string][]byte{}
		}
		j.opened[name] = data
	}
	return p.cut(data)
}

// forget deletes what no checkpoint needs that one could fall back to: those of
// this generation, of which all but the first and the last two are only kept as
// long as a later one refers to them, and the last of the generation before.
func (j *Journal) forget(ctx context.Context) error {
	var kept []Manifest
	for i, m := range j.kept {
		latest := i >= len(j.kept)-2
		lastOfBefore := i+1 < len(j.kept) && j.kept[i+1].Number == j.newest.Generation
		first := m.Number == j.newest.Generation
		if latest || lastOfBefore || first {
			kept = append(kept, m)
		}
	}
	j.kept = kept
	needed := map[string]bool{}
	for _, m := range kept {
		needed[saveName(m.Number)] = true
		for _, o := range m.Operators {
			for _, p := range o.Parts {
				needed[saveName(p.Save)] = true
			}
		}
	}
	for len(j.logs) > 1 && j.logs[0].last <= kept[0].Done {
		j.logs = j.logs[1:]
	}
	for _, l := range j.logs {
		needed[logName(l.number)] = true
	}
	names, err := j.session.List(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, savePrefix) || strings.HasPrefix(name, logPrefix) {
			if !needed[name] {
				if err := j.session.Delete(ctx, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			}
		}
	}
	return nil
}
