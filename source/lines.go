package source

import (
	"bufio"
	"bytes"
)

// lineReader splits what it reads into lines.
type lineReader struct {
	in  *bufio.Reader
	max int // bytes that a line may have, without its end

	// long is told of a longer line when it is noticed and again when it has
	// ended. next passes over it.
	long func(at, length int64, ended bool)

	start, at int64  // where the last line begins and ends
	skipping  bool   // in a line that is too long
	skipped   int64  // length of that line so far
	part      []byte // of a line that did not fit into the buffer of in
	arena     *arena
}

// next returns the next line without its end. The error is that of the input;
// with it comes what follows the last end of a line, which may be nothing.
func (l *lineReader) next() ([]byte, error) {
	l.start, l.part = l.at, l.part[:0]
	for {
		piece, err := l.in.ReadSlice('\n')
		l.at += int64(len(piece))
		more := err == bufio.ErrBufferFull
		if more {
			err = nil
		}
		if l.skipping {
			l.skip(piece, err == nil && !more)
			if err != nil {
				return nil, err
			}
			continue
		}
		line := piece
		if more || len(l.part) > 0 {
			l.part = append(l.part, piece...)
			line = l.part
		}
		line, ended := bytes.CutSuffix(line, []byte("\n"))
		line, _ = bytes.CutSuffix(line, []byte("\r"))
		switch {
		case len(line) > l.max:
			l.long(l.start, l.at-l.start, false)
			l.skipped, l.skipping = l.at-l.start-int64(len(piece)), true
			l.skip(piece, ended)
			if err != nil {
				return nil, err
			}
		case !more:
			return l.arena.keep(line), err
		}
	}
}

// passEnd passes over the end of a line, if that is what comes next.
func (l *lineReader) passEnd() {
	for _, end := range []string{"\n", "\r\n"} {
		if b, _ := l.in.Peek(len(end)); string(b) == end {
			n, _ := l.in.Discard(len(end))
			l.at += int64(n)
			return
		}
	}
}

// skip passes over a piece of a line that is too long.
func (l *lineReader) skip(piece []byte, last bool) {
	l.skipped += int64(len(piece))
	l.start, l.part = l.at, l.part[:0]
	if last {
		l.skipping = false
		l.long(l.at-l.skipped, l.skipped, true)
	}
}

// arena is memory for small slices of bytes, in blocks.
type arena []byte

// blockSize is how many bytes share their memory.
const blockSize = 64 << 10

// keep copies b to where it can stay.
func (a *arena) keep(b []byte) []byte {
	if len(b) > cap(*a)-len(*a) {
		*a = make([]byte, 0, max(blockSize, len(b)))
	}
	from := len(*a)
	*a = append(*a, b...)
	return (*a)[from:len(*a):len(*a)]
}
