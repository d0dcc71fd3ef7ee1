package recovery

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/source"
)

// Version is that of the format, in every file.
const Version = 1

const (
	savePrefix, logPrefix = "save-", "log-"
	magic                 = "godstream"
	headSize              = len(magic) + 1 + 2     // and what kind of file it is, and the version
	tailSize              = 8 + 8 + 4 + len(magic) // where the manifest begins, how long it is, checksum of all three, magic
	maxManifest           = 1 << 30
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

	size int64 // of the file
}

// SourceState is where a source is to be read on.
type SourceState struct {
	Name      string            `json:"name"`
	Positions []source.Position `json:"positions"`
}

// Operator is what an operator keeps.
type Operator struct {
	Name   string   `json:"name"`
	Kind   string   `json:"kind"`
	Shapes []string `json:"shapes"`
	Keys   int      `json:"keys"`
	Parts  []Part   `json:"parts"`
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
	return binary.LittleEndian.AppendUint16(append([]byte(magic), kind), Version)
}

// checkHead says what is wrong with the first bytes of a file.
func checkHead(name string, data []byte, kind byte) error {
	switch {
	case len(data) < headSize || string(data[:len(magic)]) != magic || data[len(magic)] != kind:
		return damaged(name, "it does not begin as a file of this kind does")
	case binary.LittleEndian.Uint16(data[len(magic)+1:]) > Version:
		return fmt.Errorf("%s has format version %d, this program reads up to %d: it was written by a newer release; use that, or begin in an empty place", name, binary.LittleEndian.Uint16(data[len(magic)+1:]), Version)
	case binary.LittleEndian.Uint16(data[len(magic)+1:]) != Version:
		return damaged(name, "its format version is 0")
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
	at := len(data)
	data = append(data, text...)
	data = binary.LittleEndian.AppendUint64(data, uint64(at))
	data = binary.LittleEndian.AppendUint64(data, uint64(len(text)))
	data = binary.LittleEndian.AppendUint32(data, checksum(data[:headSize], data[at:]))
	return append(data, magic...), nil
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
	if size > maxManifest || at > uint64(len(data)) || at < uint64(headSize) || at+size != uint64(len(data)-tailSize) {
		return m, damaged(name, "its manifest is not where it should be")
	}
	if checksum(data[:headSize], data[at:len(data)-len(magic)-4]) != binary.LittleEndian.Uint32(tail[16:]) {
		return m, damaged(name, "the checksum of its manifest does not hold")
	}
	if err := json.NewDecoder(bytes.NewReader(data[at : at+size])).Decode(&m); err != nil {
		return m, damaged(name, "its manifest: %v", err)
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
	if p.Offset+p.Length < p.Offset || p.Offset+p.Length > int64(len(data)) {
		return nil, damaged(name, "it ends before byte %d", p.Offset+p.Length)
	}
	part := data[p.Offset : p.Offset+p.Length]
	if checksum(part) != p.Checksum {
		return nil, damaged(name, "the checksum of bytes %d to %d does not hold", p.Offset, p.Offset+p.Length)
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
	Name   string         `json:"name"`
	Ranges []source.Range `json:"ranges"`

	// Records is the bytes of the records, if the source can't give them again.
	Records []byte `json:"-"`
	Size    int64  `json:"records,omitempty"` // of Records, + 1; 0 if there are none
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

// appendEntry appends an entry as a frame: length and checksum of what follows,
// which is the length of the JSON, the JSON, and the records.
func appendEntry(dst []byte, e Entry) ([]byte, error) {
	records := 0
	for i := range e.Sources {
		if s := &e.Sources[i]; s.Records != nil {
			s.Size = int64(len(s.Records)) + 1
			records += len(s.Records)
		}
	}
	text, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	at := len(dst)
	dst = append(dst, make([]byte, 8)...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(text)))
	dst = append(dst, text...)
	for _, s := range e.Sources {
		dst = append(dst, s.Records...)
	}
	if records > 1<<31 {
		return nil, fmt.Errorf("the records of batch %d have %d bytes, more than the log can hold", e.Batch, records)
	}
	binary.LittleEndian.PutUint32(dst[at:], uint32(len(dst)-at-8))
	binary.LittleEndian.PutUint32(dst[at+4:], checksum(dst[at:at+4], dst[at+8:]))
	return dst, nil
}

// readEntry reads a frame and returns what follows; ok is false if there is no
// whole one.
func readEntry(data []byte) (e Entry, rest []byte, ok bool) {
	if len(data) < 12 {
		return e, nil, false
	}
	size := int64(binary.LittleEndian.Uint32(data))
	if size < 4 || size > int64(len(data)-8) {
		return e, nil, false
	}
	body, rest := data[8:8+size], data[8+size:]
	if checksum(data[:4], body) != binary.LittleEndian.Uint32(data[4:]) {
		return e, nil, false
	}
	text := int64(binary.LittleEndian.Uint32(body))
	if text > size-4 || json.Unmarshal(body[4:4+text], &e) != nil {
		return e, nil, false
	}
	records := body[4+text:]
	for i := range e.Sources {
		if s := &e.Sources[i]; s.Size > 0 {
			if s.Size-1 > int64(len(records)) {
				return e, nil, false
			}
			s.Records, records = records[:s.Size-1:s.Size-1], records[s.Size-1:]
		}
	}
	return e, rest, len(records) == 0
}

// readLog returns the entries of a log. Its end may be missing, since a crash can
// come while it is written; what is damaged before that is an error.
func readLog(name string, data []byte) (entries []Entry, torn int, err error) {
	if len(data) < headSize {
		return nil, len(data), nil // made, and no more
	}
	if err := checkHead(name, data, 'l'); err != nil {
		return nil, 0, err
	}
	data = data[headSize:]
	for len(data) > 0 {
		e, rest, ok := readEntry(data)
		if !ok {
			break
		}
		entries, data = append(entries, e), rest
	}
	for i := 1; i+12 <= len(data); i++ {
		if _, _, ok := readEntry(data[i:]); ok {
			return nil, 0, damaged(name, "an entry after batch %d", last(entries))
		}
	}
	return entries, len(data), nil
}

func last(entries []Entry) int64 {
	if len(entries) == 0 {
		return 0
	}
	return entries[len(entries)-1].Batch
}
