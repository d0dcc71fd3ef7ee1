package recovery

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
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

	// Save returns how many of its oldest saved parts are no longer needed, and the
	// parts to add: what has changed since it, or Image, was last called.
	Save func() (drop int, add [][]byte, err error)

	// Image takes the place of Save while everything is written anew, which begins
	// with the first call where begin is true. There is room for so many bytes in the
	// image, beside as many as what has changed takes. It is nil if the parts
	// themselves can be copied, one after the other.
	Image func(begin bool, room int) (Imaged, error)

	// Load takes in what was saved, oldest part first, in the given shapes. Where
	// there are no parts it is not called. accept is true if fields may be gone.
	Load func(shapes []string, accept bool, parts [][]byte) error

	// Check says whether Load could read these shapes.
	Check func(shapes []string, accept bool) error
}

// Imaged is what an operator adds while everything it keeps is written anew, a bit
// with each save. What has changed of what the image has already, and is written
// for both; what has changed of the rest, which the image does not need; and what
// comes to the image. Each may be nil.
type Imaged struct {
	Both, Rest, Image []byte
	Complete          bool // the image has everything
}

// Config is what a journal must know of the program.
type Config struct {
	App       string
	Interval  time.Duration
	SaveEvery time.Duration
	Sources   []string // names
	Sinks     []string // names of transactional outputs
	Drop      []string // operators, sources and transactional outputs that are given up
	Accept    []string // operators whose types may have lost fields
	Unread    []string // operators that are declared and do not run
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
	logs     []LogRef   // oldest first; the last one is written to
	salt     []byte     // of that
	again    []Entry    // of Pending, those that are not done
	next     int64      // highest number of a log, readable or not
	saves    int64      // highest number of a save, readable or not
	sources  map[string]*positions
	saved    time.Time
	grown    int64  // bytes of this generation's saves after the first
	image    *image // of the next generation, if one is being made
	wholeNow bool   // the next save begins a generation
	opened   opened
	failed   error // why no more can be written
}

// image is what the next generation begins with. It is made while the saves of
// this generation go on, so that no batch waits for all of it.
type image struct {
	begin int64             // number of its first save
	parts map[string][]Part // by operator; all of them in saves from begin on
	fresh bool              // nothing is in it yet
}

// opened is the earlier save that was read last.
type opened struct {
	name string
	data []byte
}

// positions is where a source is to be read on, by partition in order of
// appearance.
type positions struct {
	order []source.Position
	place map[string]int // in order
	holes int            // places in order that nobody has any longer
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
	j := &Journal{config: c, session: s, keepers: keepers, loads: map[string][][]byte{}, sources: map[string]*positions{}}
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
	if v.saves == 0 {
		for _, l := range v.logs {
			if len(l.entries) > 0 || l.fault != nil && l.size > logHeadSize {
				return fmt.Errorf("%s has batches, and there is no %s: %w; restore the files from a copy, or begin anew in an empty place",
					logName(l.number), saveName(1), checkpoint.ErrCorrupt)
			}
		}
		j.Damaged = nil // a log whose first bytes were not yet written
		j.Fresh, j.wholeNow = true, true
		j.newest.ID = rand.Text()
		return nil
	}
	if v.Newest < 0 {
		return fmt.Errorf("no checkpoint can be read, of %d that are there: %s: %w; restore the files from a copy, or begin anew in an empty place",
			v.found, strings.Join(v.Damaged, "; "), checkpoint.ErrCorrupt)
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
	first := true // of the generation
	for i, c := range v.Checkpoints[:v.Newest+1] {
		if c.Fault != "" {
			continue
		}
		if _, err := v.After(&c.Manifest); err != nil && i < v.Newest {
			continue // one can't go on from there
		}
		j.kept = append(j.kept, c.Manifest)
		if c.Generation == j.newest.Generation {
			if !first {
				j.grown += c.size
			}
			first = false
		}
	}
	for _, l := range v.logs {
		if l.fault == nil || len(l.entries) > 0 {
			j.logs = append(j.logs, LogRef{l.number, last(l.entries)})
		}
	}
	j.wholeNow = len(v.Damaged) > 0 // nothing is to depend on what is damaged
	j.Pending, err = v.After(&j.newest)
	return err
}

// compare says what does not fit together.
func (j *Journal) compare() error {
	var faults []error
	was, c := j.newest, j.config
	if !j.Fresh && was.App != c.App {
		return fmt.Errorf("the checkpoint is of app %q, this program is app %q; give it its name back with Config.Name, or begin in an empty place", was.App, c.App)
	}
	unused := slices.Clone(c.Drop)
	j.newest.Dropped = nil
	for _, name := range c.Drop {
		if slices.Contains(was.Dropped, name) {
			j.newest.Dropped = append(j.newest.Dropped, name)
		}
	}
	drop := func(name string, gone bool) bool {
		if !slices.Contains(c.Drop, name) {
			return false
		}
		unused = slices.DeleteFunc(unused, func(d string) bool { return d == name })
		if slices.Contains(was.Dropped, name) {
			if !gone {
				c.Logger.Warn("checkpoint.Drop was carried out in an earlier run and is left out; remove it", "app", c.App, "name", name)
			}
			return gone
		}
		j.newest.Dropped = append(j.newest.Dropped, name)
		return true
	}
	var names []string
	for _, k := range j.keepers {
		names = append(names, k.Name)
	}
	names = append(names, c.Sources...)
	gone := func(what, name string) {
		if drop(name, true) {
			j.Dropped = append(j.Dropped, name)
			delete(j.loads, name)
			delete(j.sources, name)
			return
		}
		if slices.Contains(c.Unread, name) {
			faults = append(faults, fmt.Errorf("no output reads operator %q, so what it kept would not go on; let an output read it, or give the data up with checkpoint.Drop(%q)", name, name))
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
		if drop(o.Name, false) {
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
		case drop(s.Name, false):
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
	j.newest.Sinks = slices.DeleteFunc(slices.Clone(was.Sinks), func(s SinkState) bool {
		if !drop(s.Name, !slices.Contains(c.Sinks, s.Name)) {
			return false
		}
		j.Dropped = append(j.Dropped, s.Name)
		return true
	})
	faults = append(faults, j.compareSinks())
	for i := range j.Pending { // as they will run
		j.Pending[i].Sources = slices.DeleteFunc(j.Pending[i].Sources, func(s SourceEntry) bool { return !slices.Contains(j.Kept, s.Name) })
	}
	for _, name := range c.Accept {
		if !slices.ContainsFunc(was.Operators, func(o Operator) bool { return o.Name == name }) {
			c.Logger.Warn("checkpoint.AcceptLoss names no operator that is kept", "app", c.App, "name", name)
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
// it is not in it: after the checkpoint or, if beyond is true, after the batches
// that are run again, since the log has their records.
func (j *Journal) Positions(name string, beyond bool) []source.Position {
	if !slices.Contains(j.Kept, name) {
		return nil
	}
	at := &positions{place: map[string]int{}}
	for _, p := range j.source(name).all() {
		at.set(p)
	}
	for _, e := range j.Pending {
		s, _ := e.Of(name)
		for _, r := range s.Ranges {
			if _, ok := at.place[r.Partition]; beyond && r.Over {
				at.forget(r.Partition)
			} else if beyond {
				at.set(source.Position{Partition: r.Partition, Offset: r.Until, Mark: r.Mark})
			} else if !ok { // it was read first after the checkpoint
				at.set(source.Position{Partition: r.Partition, Offset: r.From})
			}
		}
	}
	return at.all()
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

// forget takes a partition out that is over.
func (p *positions) forget(partition string) {
	i, ok := p.place[partition]
	if !ok {
		return
	}
	delete(p.place, partition)
	p.order[i] = source.Position{Offset: hole}
	if p.holes++; p.holes <= len(p.order)/2 {
		return
	}
	p.order, p.holes = p.all(), 0
	for i, at := range p.order {
		p.place[at.Partition] = i
	}
}

// hole is the offset of a position that was forgotten.
const hole = -1 << 63

// all returns the positions.
func (p *positions) all() []source.Position {
	all := make([]source.Position, 0, len(p.place))
	for _, at := range p.order {
		if at.Offset != hole {
			all = append(all, at)
		}
	}
	return all
}

// Begin begins a log, with the batches that are run again, and saves. So a program
// that crashes before its first save knows that it has been there, and all that
// must last was written in this session.
func (j *Journal) Begin(ctx context.Context) error {
	j.again, j.Pending = j.Pending, nil
	return j.once(func() error { return j.save(ctx, true) })
}

// once makes an error of f the last word: what operators gave to a save that
// failed they do not give again, and a log whose end is not known is not written
// to. What is in the store is enough to begin anew.
func (j *Journal) once(f func() error) error {
	if j.failed != nil {
		return fmt.Errorf("nothing more is written after an earlier failure: %w", j.failed)
	}
	j.failed = f()
	return j.failed
}

// begin begins a log, with all batches after the last save that were begun.
func (j *Journal) begin(ctx context.Context) (err error) {
	j.next++
	data := logHead(j.next)
	j.salt = salt(data)
	ref := LogRef{Number: j.next}
	for _, e := range j.again {
		if data, err = appendEntry(data, j.salt, e); err != nil {
			return err
		}
		ref.Last = e.Batch
	}
	j.logs = append(j.logs, ref)
	return j.session.Append(ctx, logName(j.next), data)
}

// Log notes a batch before it runs; it lasts when Log returns.
func (j *Journal) Log(ctx context.Context, e Entry) error {
	return j.once(func() error {
		data, err := appendEntry(nil, j.salt, e)
		if err != nil {
			return err
		}
		l := &j.logs[len(j.logs)-1]
		l.Last = e.Batch
		return j.session.Append(ctx, logName(l.Number), data)
	})
}

// ID tells the checkpoint from any other.
func (j *Journal) ID() string { return j.newest.ID }

// compareSinks says whether a transactional output may have been renamed: then
// what was begun would be stored under the new name too. It notes those that are
// new, also for a program that is killed before anything is stored.
func (j *Journal) compareSinks() error {
	var gone, added []string
	for _, s := range j.newest.Sinks {
		if !slices.Contains(j.config.Sinks, s.Name) {
			gone = append(gone, s.Name)
		}
	}
	for _, name := range j.config.Sinks {
		if !slices.ContainsFunc(j.newest.Sinks, func(s SinkState) bool { return s.Name == name }) {
			added = append(added, name)
		}
	}
	if len(gone) > 0 && len(added) > 0 {
		return fmt.Errorf("the transactional output %q is gone and %q is new; if that is the same one, give it its name back with stream.Name, or it may store a batch twice; if it is another, give the one that is gone up with checkpoint.Drop(%q)",
			gone[0], added[0], gone[0])
	}
	for _, name := range added {
		j.newest.Sinks = append(j.newest.Sinks, SinkState{Name: name})
	}
	return nil
}

// Stored is which batch each transactional sink had last.
func (j *Journal) Stored() map[string]int64 {
	all := map[string]int64{}
	for _, s := range j.newest.Sinks {
		all[s.Name] = s.Batch
	}
	return all
}

// store notes that a transactional sink has a batch.
func (j *Journal) store(name string, batch int64) {
	j.newest.Sinks = slices.Clone(j.newest.Sinks) // those of other checkpoints are the same ones
	if i := slices.IndexFunc(j.newest.Sinks, func(s SinkState) bool { return s.Name == name }); i >= 0 {
		j.newest.Sinks[i].Batch = batch
		return
	}
	j.newest.Sinks = append(j.newest.Sinks, SinkState{name, batch})
}

// Done notes that a batch is done, which transactional sinks have it, and saves
// if it is time.
func (j *Journal) Done(ctx context.Context, e Entry, stored []string) error {
	for _, name := range stored {
		j.store(name, e.Batch)
	}
	for _, s := range e.Sources {
		at := j.source(s.Name)
		for _, r := range s.Ranges {
			if r.Over {
				at.forget(r.Partition)
				continue
			}
			at.set(source.Position{Partition: r.Partition, Offset: r.Until, Mark: r.Mark})
		}
	}
	j.newest.Done, j.newest.Time = e.Batch, e.Time
	j.again = slices.DeleteFunc(j.again, func(a Entry) bool { return a.Batch <= e.Batch })
	if time.Since(j.saved) < j.config.SaveEvery {
		return nil
	}
	return j.once(func() error { return j.save(ctx, false) })
}

// End saves what has not been saved.
func (j *Journal) End(ctx context.Context) error {
	if len(j.kept) > 0 && j.kept[len(j.kept)-1].Done == j.newest.Done {
		return nil
	}
	return j.once(func() error { return j.save(ctx, false) })
}

var (
	maxGeneration int64 = 100     // saves
	minGeneration int64 = 1 << 20 // bytes that a generation may have at least
	minImage      int64 = 1 << 20 // bytes that a save adds to an image at least
	imageSaves    int64 = 100     // saves that make an image at most
)

// save writes what has changed, and a bit of an image if it is time to begin a
// generation: all of it where there is nothing that one could go on from, and at the
// start, where no batch waits. So a generation ends also in a program that never runs
// as long as an image takes.
func (j *Journal) save(ctx context.Context, begin bool) error {
	m := j.newest
	j.saves++
	m.Number, m.Saved, m.App, m.Interval = j.saves, time.Now().UTC().Truncate(time.Millisecond), j.config.App, j.config.Interval
	first := slices.IndexFunc(j.kept, func(k Manifest) bool { return k.Generation == m.Generation })
	whole := j.wholeNow || first < 0 || begin && j.due(&j.kept[first])
	if whole || j.image == nil && j.due(&j.kept[first]) {
		j.image = &image{begin: m.Number, parts: map[string][]Part{}, fresh: true}
	}
	changes, complete, err := j.changes(ctx, whole)
	if err != nil {
		return err
	}
	if complete {
		m.Generation = j.image.begin
	}
	if begin || complete {
		if err := j.begin(ctx); err != nil {
			return err
		}
	}
	data := j.lay(&m, changes, complete)
	m.Sources = nil
	for _, name := range j.config.Sources {
		m.Sources = append(m.Sources, SourceState{Name: name, Positions: j.source(name).all()})
	}
	kept, logs := j.keep(&m)
	if data, err = appendManifest(data, m); err != nil {
		return err
	}
	if err := j.session.Put(ctx, saveName(m.Number), data); err != nil {
		return err
	}
	m.size = int64(len(data))
	kept[len(kept)-1].size = m.size
	if complete {
		j.grown = 0
	} else {
		j.grown += m.size
	}
	j.newest, j.kept, j.logs, j.saved = m, kept, logs, time.Now()
	j.wholeNow, j.Dropped = false, nil
	return j.forget(ctx)
}

// due says whether it is time for a new generation: half of what this one has, since
// its first checkpoint or a part that was larger than that, may be outdated, or its
// files have several times as much as it has, or are many.
func (j *Journal) due(first *Manifest) bool {
	least := max(minGeneration, first.bytes())
	largest := int64(0)
	for _, o := range j.newest.Operators {
		most := int64(0)
		for _, p := range o.Parts {
			most = max(most, p.Length)
		}
		largest += most
	}
	least = max(least, largest)
	return j.newest.bytes() > 2*least || j.grown > 4*least || j.saves-first.Number >= maxGeneration
}

// change is what an operator adds to a save.
type change struct {
	drop   int
	add    [][]byte // parts for the generation
	Imaged          // in their place, from one that makes its image itself
	copied [][]byte // parts of the generation for the image
}

// changes asks the operators, and says whether there is an image that has
// everything now.
func (j *Journal) changes(ctx context.Context, whole bool) (all []change, complete bool, err error) {
	complete = j.image != nil
	room := int(max(minImage, j.newest.bytes()/imageSaves)) // bytes that may come to the image
	if whole {
		room = math.MaxInt / 2
	}
	copying := false // there are more parts to be copied with the next save
	for _, k := range j.keepers {
		c := change{Imaged: Imaged{Complete: true}}
		if j.image != nil && k.Image != nil {
			c.Imaged, err = k.Image(j.image.fresh, room)
		} else {
			c.drop, c.add, err = k.Save()
		}
		if err != nil {
			return nil, false, fmt.Errorf("operator %s: %w", k.Name, err)
		}
		room += len(c.Both) + len(c.Rest) - len(c.Image) // so the image catches up with what changes
		for _, part := range c.add {
			room += len(part)
		}
		if j.image != nil && k.Image == nil {
			parts := j.parts(k.Name)[c.drop:]
			at := max(0, len(j.image.parts[k.Name])-c.drop)
			for ; at < len(parts) && parts[at].Save < j.image.begin; at++ {
				if c.Complete = room > 0; !c.Complete {
					break
				}
				part, err := j.part(ctx, parts[at])
				if err != nil {
					return nil, false, err
				}
				c.copied = append(c.copied, part)
				room -= len(part)
			}
		}
		copying = copying || k.Image == nil && !c.Complete
		complete = complete && c.Complete
		all = append(all, c)
	}
	if !copying {
		j.opened = opened{}
	}
	return all, complete, nil
}

// parts is what an operator has in the newest save.
func (j *Journal) parts(name string) []Part {
	if i := slices.IndexFunc(j.newest.Operators, func(o Operator) bool { return o.Name == name }); i >= 0 && !slices.Contains(j.Dropped, name) {
		return j.newest.Operators[i].Parts
	}
	return nil
}

// lay puts the parts into a save, and notes in its manifest where they are. When
// the image is complete, it takes the place of what the generation has.
func (j *Journal) lay(m *Manifest, changes []change, complete bool) []byte {
	data := head('s')
	add := func(to *[]Part, parts ...[]byte) {
		for _, part := range parts {
			if part != nil {
				*to = append(*to, Part{Save: m.Number, Offset: int64(len(data)), Length: int64(len(part)), Checksum: checksum(part)})
				data = append(data, part...)
			}
		}
	}
	m.Operators = nil
	for i, k := range j.keepers {
		c := changes[i]
		o := Operator{Name: k.Name, Kind: k.Kind, Shapes: k.Shapes, Keys: k.Keys(), Parts: slices.Clone(j.parts(k.Name)[c.drop:])}
		add(&o.Parts, c.add...)
		if j.image != nil {
			o.Image = slices.Clone(j.image.parts[k.Name])
			switch {
			case k.Image != nil:
				add(&o.Image, c.Both)
				if c.Both != nil {
					o.Parts = append(o.Parts, o.Image[len(o.Image)-1])
				}
				if !complete {
					add(&o.Parts, c.Rest)
				}
				add(&o.Image, c.Imaged.Image)
			default:
				o.Image = o.Image[min(c.drop, len(o.Image)):]
				add(&o.Image, c.copied...)
				if at := len(o.Image); c.Complete && at < len(o.Parts) { // these are new enough as they are
					o.Image = append(o.Image, o.Parts[at:]...)
				}
			}
			j.image.parts[k.Name] = o.Image
		}
		if complete {
			o.Parts, o.Image = o.Image, nil
		}
		m.Operators = append(m.Operators, o)
	}
	if complete {
		j.image = nil
	} else if j.image != nil {
		j.image.fresh = false
	}
	return data
}

// part reads a part that was saved earlier.
func (j *Journal) part(ctx context.Context, p Part) ([]byte, error) {
	if name := saveName(p.Save); name != j.opened.name {
		data, err := j.session.Get(ctx, name)
		if err != nil {
			return nil, err
		}
		j.opened = opened{name, data}
	}
	return p.cut(j.opened.data)
}

// keep says what is kept beside a new save, and notes it there: of its generation
// the first checkpoint and the last two, the last one that has nothing in common
// with it, all that they refer to, and the logs after them. One can fall back to
// each of them.
func (j *Journal) keep(m *Manifest) (kept []Manifest, logs []LogRef) {
	all := append(slices.Clone(j.kept), *m)
	before := func(number int64) int { // the last one before that
		n, _ := slices.BinarySearchFunc(all, number, func(k Manifest, number int64) int { return cmp.Compare(k.Number, number) })
		return n - 1
	}
	first := slices.IndexFunc(all, func(k Manifest) bool { return k.Generation == m.Generation })
	wanted := []int{first, before(m.Generation), len(all) - 2, len(all) - 1}
	if j.image != nil {
		wanted = append(wanted, before(j.image.begin))
	}
	for i, k := range all {
		if slices.Contains(wanted, i) {
			kept = append(kept, k)
		}
	}
	needed := map[int64]bool{}
	for _, k := range kept {
		needed[k.Number] = true
		for _, o := range k.Operators {
			for _, p := range o.Parts {
				needed[p.Save] = true
			}
			if k.Number == m.Number { // the image of an earlier one is in its, or was given up
				for _, p := range o.Image {
					needed[p.Save] = true
				}
			}
		}
	}
	delete(needed, m.Number)
	m.Saves = slices.Sorted(maps.Keys(needed))
	m.Logs = slices.Clone(j.logs)
	from := m.log()
	for _, k := range kept[:len(kept)-1] {
		from = min(from, k.log())
	}
	m.Logs = slices.DeleteFunc(m.Logs, func(l LogRef) bool { return l.Number < from })
	kept[len(kept)-1] = *m
	return kept, slices.Clone(m.Logs)
}

// forget deletes what the newest save does not name.
func (j *Journal) forget(ctx context.Context) error {
	names, err := j.session.List(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		save, isSave := number(name, savePrefix)
		log, isLog := number(name, logPrefix)
		if isSave && save != j.newest.Number && !slices.Contains(j.newest.Saves, save) || isLog && !slices.ContainsFunc(j.newest.Logs, func(l LogRef) bool { return l.Number == log }) {
			if err := j.session.Delete(ctx, name); err != nil {
				return err
			}
		}
	}
	return nil
}
