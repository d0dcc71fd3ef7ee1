package source

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Line is a line of text, from a file or a socket. As a source gives it, it may
// hold any bytes: what is not UTF-8 is refused by whoever decodes it.
type Line struct {
	// Data is the line without its end ("\n" or "\r\n"). It belongs to the batch
	// and must not be changed. It is a part of a block of up to 64 KiB, which
	// stays in memory as long as any of its lines does: clone what outlives the
	// batch, or use Text.
	Data []byte

	// Name is the file's path, or the socket's address.
	Name string

	// At is where the line is: the byte at which it begins in its file, or how
	// many lines the socket has given before it.
	At int64

	socket bool
}

// lineOverhead is about what a Line or Blob takes in memory besides its bytes.
const lineOverhead = 150

// Text is the line as a string of its own, whose memory holds nothing else:
//
//	lines := stream.Map(stream.From(app, source.Dir("logs")), source.Line.Text)
func (l Line) Text() string { return string(l.Data) }

// Payload is the bytes of the line.
func (l Line) Payload() []byte { return l.Data }

// Origin is where the line is: "logs/access.log@1042" in a file (byte 1042),
// "localhost:9999#17" on a socket (after 17 lines).
func (l Line) Origin() string {
	if l.socket {
		return l.Name + "#" + strconv.FormatInt(l.At, 10)
	}
	return origin(l.Name, l.At)
}

func (l Line) String() string { return fmt.Sprintf("%s: %q", l.Origin(), l.Data) }

// Blob is bytes of a file: all of them, or a record of fixed length.
type Blob struct {
	Data []byte // belongs to the batch and must not be changed
	Name string // path of the file
	At   int64  // the byte at which it begins in the file
}

// Payload is the bytes.
func (b Blob) Payload() []byte { return b.Data }

// Origin is where the bytes are: "in/readings.bin@96".
func (b Blob) Origin() string { return origin(b.Name, b.At) }

func (b Blob) String() string { return fmt.Sprintf("%s: %d bytes", b.Origin(), len(b.Data)) }

func origin(name string, at int64) string { return quoted(name) + "@" + strconv.FormatInt(at, 10) }

// quoted is a file's name as it is, but quoted where it would mislead a reader.
func quoted(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return strconv.Quote(name)
	}
	return name
}
