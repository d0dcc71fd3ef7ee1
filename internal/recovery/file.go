package recovery

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/source"
)

// Version is that of the format, in every file.
const Version = 1

const (
	savePrefix, logPrefix = "save-", "log-"
	magic                 = "godstream"
	headSize              = len(magic) + 1 + 2 + 4 // and what kind of file it is, the version, checksum of all three
	tailSize              = 8 + 8 + 4 + len(magic) // where the manifest begins, how long it is, checksum of all three, magic
	logHeadSize           = headSize + 8 + 8 + 4   // and the number of the log, salt, checksum of all three
	frameSize             = 4 + 4 + 4 + 4          // length of the JSON, of the records, checksum of both, checksum of what follows
	entryStart            = `{"batch":`            // of the JSON of each entry
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(parts ...[]byte) uint32 {
	sum := uint32(0)
	for _, p := range parts {
		sum = crc32.Update(sum, castagnoli, p)
	}
	return sum
}

func saveName(number int64) string { return fmt.Sprintf("%s%012d", savePrefix, number) }
func logName(number int64) string  { return fmt.Sprintf("%s%012d", logPrefix, number) }

// number is that of a file whose name begins with prefix.
func number(name, prefix string) (n int64, ok bool) {
	digits, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return 0, false
	}
	if _, err := fmt.Sscanf(digits, "%d", &n); err != nil || fmt.Sprintf("%012d", n) != digits {
		return 0, false
	}
	return n, true
}

// Manifest is what a checkpoint says of itself.
type Manifest struct {
	ID         string        `json:"id"` // of the checkpoint folder, made with its first save
	App        string        `json:"app"`
	Interval   time.Duration `json:"interval_ns"`
	Number     int64         `json:"number"`     // of this save
	Generation int64         `json:"generation"` // number of the save that began the generation
	Saved      time.Time     `json:"saved"`
	Done       int64         `json:"done"` // all batches up to this one, counted from 1
	Time       time.Time     `json:"time"` // of that batch; zero if there is none
	Sources    []SourceState `json:"sources"`
	Operators  []Operator    `json:"operators"`
	Sinks      []SinkState   `json:"sinks,omitempty"`
	Dropped    []string      `json:"dropped,omitempty"` // what the program still says is to be dropped, and was

	// The files that are there beside this one, until there is a newer save: what
	// is not among them is left over.
	Saves []int64  `json:"saves"`
	Logs  []LogRef `json:"logs"` // the last one has all batches after Done

	size int64 // of the file
}

// bytes is how many bytes the parts have.
func (m *Manifest) bytes() (n int64) {
	for _, o := range m.Operators {
		n += o.Bytes()
	}
	return n
}

// LogRef is a log as a checkpoint knows it.
type LogRef struct {
	Number int64 `json:"number"`
	Last   int64 `json:"last"` // batch in it, at least; 0 if there is none
}

// log is the number of the first log that has batches after the checkpoint.
func (m *Manifest) log() int64 { return m.Logs[len(m.Logs)-1].Number }

// SourceState is where a source is to be read on.
type SourceState struct {
	Name      string
	Positions []source.Position
}

// text is a string that need not be UTF-8, as names of files are: then it is
// base64, in an object.
type text string

type encoded struct {
	Base64 []byte `json:"base64"`
}

func (t text) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return json.Marshal(string(t))
	}
	return json.Marshal(encoded{[]byte(t)})
}

func (t *text) UnmarshalJSON(data []byte) error {
	if len(data) == 0 || data[0] != '{' {
		return json.Unmarshal(data, (*string)(t))
	}
	var e encoded
	err := json.Unmarshal(data, &e)
	*t = text(e.Base64)
	return err
}

type position struct {
	Partition text  `json:"partition"`
	Offset    int64 `json:"offset"`
	Mark      text  `json:"mark,omitempty"`
}

type span struct {
	Partition text  `json:"partition"`
	From      int64 `json:"from"`
	Until     int64 `json:"until"`
	Mark      text  `json:"mark,omitempty"`
	Over      bool  `json:"over,omitempty"`
}

type sourceState struct {
	Name      string     `json:"name"`
	Positions []position `json:"positions"`
}

func (s SourceState) MarshalJSON() ([]byte, error) {
	out := sourceState{s.Name, make([]position, len(s.Positions))}
	for i, p := range s.Positions {
		out.Positions[i] = position{text(p.Partition), p.Offset, text(p.Mark)}
	}
	return json.Marshal(out)
}

func (s *SourceState) UnmarshalJSON(data []byte) error {
	var in sourceState
	err := json.Unmarshal(data, &in)
	*s = SourceState{Name: in.Name}
	for _, p := range in.Positions {
		s.Positions = append(s.Positions, source.Position{Partition: string(p.Partition), Offset: p.Offset, Mark: string(p.Mark)})
	}
	return err
}

// SinkState is which batch a transactional sink had last, of those that are done.
type SinkState struct {
	Name  string `json:"name"`
	Batch int64  `json:"batch"`
}

// Operator is what an operator keeps.
type Operator struct {
	Name   string   `json:"name"`
	Kind   string   `json:"kind"`
	Shapes []string `json:"shapes"`
	Keys   int      `json:"keys"`
	Parts  []Part   `json:"parts"`
	Image  []Part   `json:"image,omitempty"` // what the next generation begins with, as far as it is there
}

// Bytes is how many bytes its parts have.
func (o Operator) Bytes() (n int64) {
	for _, p := range o.Parts {
		n += p.Length
	}
	return n
}

// Part is where some of an operator's data is.
type Part struct {
	Save     int64  `json:"save"`
	Offset   int64  `json:"offset"`
	Length   int64  `json:"length"`
	Checksum uint32 `json:"crc32c"`
}

func head(kind byte) []byte {
	h := binary.LittleEndian.AppendUint16(append([]byte(magic), kind), Version)
	return binary.LittleEndian.AppendUint32(h, checksum(h))
}

// checkHead says what is wrong with the first bytes of a file. Their form is the
// same in all versions.
func checkHead(name string, data []byte, kind byte) error {
	if len(data) < headSize || string(data[:len(magic)]) != magic || data[len(magic)] != kind ||
		checksum(data[:headSize-4]) != binary.LittleEndian.Uint32(data[headSize-4:]) {
		return damaged(name, "it does not begin as a file of this kind does")
	}
	switch v := binary.LittleEndian.Uint16(data[len(magic)+1:]); {
	case v > Version:
		return fmt.Errorf("%s has format version %d, this program reads up to %d: it was written by a newer release; use that, or begin in an empty place", name, v, Version)
	case v != Version:
		return damaged(name, "its format version is %d", v)
	}
	return nil
}

func damaged(name, how string, values ...any) error {
	return fmt.Errorf("%s: %w: %s", name, checkpoint.ErrCorrupt, fmt.Sprintf(how, values...))
}

// appendManifest completes a save whose head and parts are in data.
func appendManifest(data []byte, m Manifest) ([]byte, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return sealed(data, text), nil
}

// sealed appends the text of a manifest and where it is.
func sealed(data, text []byte) []byte {
	at := len(data)
	data = append(data, text...)
	data = binary.LittleEndian.AppendUint64(data, uint64(at))
	data = binary.LittleEndian.AppendUint64(data, uint64(len(text)))
	data = binary.LittleEndian.AppendUint32(data, checksum(data[:headSize], data[at:]))
	return append(data, magic...)
}

// readManifest reads the manifest of a save.
func readManifest(name string, data []byte) (m Manifest, err error) {
	if err := checkHead(name, data, 's'); err != nil {
		return m, err
	}
	if len(data) < headSize+tailSize || string(data[len(data)-len(magic):]) != magic {
		return m, damaged(name, "its end is missing")
	}
	tail := data[len(data)-tailSize:]
	at, size := binary.LittleEndian.Uint64(tail), binary.LittleEndian.Uint64(tail[8:])
	if size > uint64(len(data)) || at > uint64(len(data)) || at < uint64(headSize) || at+size != uint64(len(data)-tailSize) {
		return m, damaged(name, "its manifest is not where it should be")
	}
	if checksum(data[:headSize], data[at:len(data)-len(magic)-4]) != binary.LittleEndian.Uint32(tail[16:]) {
		return m, damaged(name, "the checksum of its manifest does not hold")
	}
	if err := json.Unmarshal(data[at:at+size], &m); err != nil {
		return m, damaged(name, "its manifest: %v", err)
	}
	if len(m.Logs) == 0 {
		return m, damaged(name, "its manifest names no log")
	}
	for _, o := range m.Operators {
		for _, p := range o.Parts {
			if p.Save > m.Number || p.Save < m.Generation || p.Offset < int64(headSize) || p.Length < 0 {
				return m, damaged(name, "a part of %s is nowhere", o.Name)
			}
		}
	}
	m.size = int64(len(data))
	return m, nil
}

// cut returns the bytes of a part of a save.
func (p Part) cut(data []byte) ([]byte, error) {
	name := saveName(p.Save)
	if p.Offset < 0 || p.Length < 0 || p.Offset > int64(len(data)) || p.Length > int64(len(data))-p.Offset {
		return nil, damaged(name, "it ends before a part of %d bytes at byte %d", p.Length, p.Offset)
	}
	part := data[p.Offset : p.Offset+p.Length]
	if checksum(part) != p.Checksum {
		return nil, damaged(name, "the checksum of the part of %d bytes at byte %d does not hold", p.Length, p.Offset)
	}
	return part, nil
}

// Entry is what the log says of a batch.
type Entry struct {
	Batch   int64         `json:"batch"` // counted from 1
	Time    time.Time     `json:"time"`
	Sources []SourceEntry `json:"sources"`
}

// SourceEntry is what a batch holds of a source.
type SourceEntry struct {
	Name   string
	Ranges []source.Range

	// Records is the bytes of the records, if the source can't give them again.
	Records []byte
	size    int64 // of Records, + 1; 0 if there are none
}

type sourceEntry struct {
	Name   string `json:"name"`
	Ranges []span `json:"ranges"`
	Size   int64  `json:"records,omitempty"`
}

func (s SourceEntry) MarshalJSON() ([]byte, error) {
	out := sourceEntry{s.Name, make([]span, len(s.Ranges)), s.size}
	for i, r := range s.Ranges {
		out.Ranges[i] = span{text(r.Partition), r.From, r.Until, text(r.Mark), r.Over}
	}
	return json.Marshal(out)
}

func (s *SourceEntry) UnmarshalJSON(data []byte) error {
	var in sourceEntry
	err := json.Unmarshal(data, &in)
	*s = SourceEntry{Name: in.Name, size: in.Size}
	for _, r := range in.Ranges {
		s.Ranges = append(s.Ranges, source.Range{Partition: string(r.Partition), From: r.From, Until: r.Until, Mark: string(r.Mark), Over: r.Over})
	}
	return err
}

// Of returns what the entry says of a source.
func (e Entry) Of(name string) (SourceEntry, bool) {
	for _, s := range e.Sources {
		if s.Name == name {
			return s, true
		}
	}
	return SourceEntry{}, false
}

// logHead is the first bytes of a log. Nobody can foresee the salt, which is in the
// checksums of all entries, so that no record that is written ahead is ever taken
// for an entry.
func logHead(number int64) []byte {
	h := binary.LittleEndian.AppendUint64(head('l'), uint64(number))
	h = append(h, make([]byte, 8)...)
	_, _ = rand.Read(h[len(h)-8:]) // never fails
	return binary.LittleEndian.AppendUint32(h, checksum(h))
}

// salt is that of a log whose head is whole.
func salt(head []byte) []byte { return head[headSize+8 : headSize+16] }

// appendEntry appends an entry as a frame: the lengths of its JSON and of its
// records, a checksum of these, one of what follows, the JSON, the records.
func appendEntry(dst, salt []byte, e Entry) ([]byte, error) {
	records := int64(0)
	e.Sources = slices.Clone(e.Sources)
	for i := range e.Sources {
		s := &e.Sources[i]
		if s.size = 0; s.Records != nil {
			s.size = int64(len(s.Records)) + 1
			records += int64(len(s.Records))
		}
	}
	text, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > math.MaxUint32 || records > math.MaxUint32 {
		return nil, fmt.Errorf("batch %d has %d bytes of ranges and %d of records, more than the log can hold: lower MaxBatchBytes", e.Batch, len(text), records)
	}
	parts := make([][]byte, len(e.Sources))
	for i, s := range e.Sources {
		parts[i] = s.Records
	}
	return framed(dst, salt, text, parts...), nil
}

func framed(dst, salt, text []byte, records ...[]byte) []byte {
	at, size := len(dst), 0
	for _, r := range records {
		size += len(r)
	}
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(text)))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(size))
	dst = binary.LittleEndian.AppendUint32(dst, checksum(salt, dst[at:]))
	dst = append(append(dst, 0, 0, 0, 0), text...)
	for _, r := range records {
		dst = append(dst, r...)
	}
	binary.LittleEndian.PutUint32(dst[at+12:], checksum(salt, dst[at+frameSize:]))
	return dst
}

// readEntry reads a frame and returns what follows; ok is false if there is no
// whole one.
func readEntry(data, salt []byte) (e Entry, rest []byte, ok bool) {
	if len(data) < frameSize || checksum(salt, data[:8]) != binary.LittleEndian.Uint32(data[8:]) {
		return e, nil, false
	}
	text, size := int64(binary.LittleEndian.Uint32(data)), int64(binary.LittleEndian.Uint32(data[4:]))
	sum, data := binary.LittleEndian.Uint32(data[12:]), data[frameSize:]
	if text+size > int64(len(data)) || checksum(salt, data[:text+size]) != sum || json.Unmarshal(data[:text], &e) != nil {
		return e, nil, false
	}
	records := data[text : text+size]
	for i := range e.Sources {
		if s := &e.Sources[i]; s.size > 0 {
			if s.size-1 > int64(len(records)) {
				return e, nil, false
			}
			s.Records, records = records[:s.size-1:s.size-1], records[s.size-1:]
		}
	}
	return e, data[text+size:], len(records) == 0
}

// readLog returns the entries of a log. Its end may be missing, since a crash can
// come while it is written. If something before the last entry is damaged, that is
// the error, and the entries are all that can be read.
func readLog(name string, data []byte) (entries []Entry, err error) {
	if err := checkHead(name, data, 'l'); err != nil {
		return nil, err
	}
	if len(data) < logHeadSize || checksum(data[:logHeadSize-4]) != binary.LittleEndian.Uint32(data[logHeadSize-4:]) {
		return nil, damaged(name, "its head is not whole")
	}
	if n := binary.LittleEndian.Uint64(data[headSize:]); logName(int64(n)) != name {
		return nil, damaged(name, "it says that it is number %d", n)
	}
	salt, data := salt(data), data[logHeadSize:]
	for {
		e, rest, ok := readEntry(data, salt)
		if ok {
			entries, data = append(entries, e), rest
			continue
		}
		next := nextEntry(data, salt)
		if next < 0 {
			return entries, err
		}
		if err == nil {
			err = damaged(name, "%d bytes after batch %d", next, last(entries))
		}
		data = data[next:]
	}
}

// nextEntry is where in the data the first whole frame is, -1 if there is none.
func nextEntry(data, salt []byte) int {
	for from := frameSize; from < len(data); from++ {
		i := bytes.Index(data[from:], []byte(entryStart))
		if i < 0 {
			break
		}
		from += i
		if _, _, ok := readEntry(data[from-frameSize:], salt); ok {
			return from - frameSize
		}
	}
	return -1
}

func last(entries []Entry) int64 {
	if len(entries) == 0 {
		return 0
	}
	return entries[len(entries)-1].Batch
}
