package source

import (
	"context"
	"hash/crc32"
	"hash/crc64"
	"io"
)

const (
	headSize = 4 << 10
	tailSize = 1 << 10
)

// seen is what is known of the bytes of a file that were read, to tell whether
// they are still there.
type seen struct {
	n    int64  // how many, from the start
	all  uint32 // hash of all of them
	head uint64 // hash of the first headSize
	tail uint64 // hash of the last tailSize
	gap  bool   // all is of less, since some were passed over
}

// The hashes last, since marks have them, and they go on where they were.
var (
	hash32 = crc32.MakeTable(crc32.Castagnoli)
	hash64 = crc64.MakeTable(crc64.ECMA)
)

// note adds bytes; last are the tailSize before them.
func (s *seen) note(last, b []byte) {
	if len(b) >= tailSize {
		last = nil
	}
	s.ends(append(last, b[max(0, len(b)-tailSize):]...))
	if k := min(headSize-s.n, int64(len(b))); k > 0 {
		s.head = crc64.Update(s.head, hash64, b[:k])
	}
	s.n += int64(len(b))
	s.all = crc32.Update(s.all, hash32, b)
}

// passOver notes the first n bytes of a file as if they had been read.
func (s *seen) passOver(raw io.ReaderAt, n int64) error {
	head, err := readAt(raw, 0, min(n, headSize))
	if err != nil {
		return err
	}
	tail, err := readAt(raw, max(0, n-tailSize), n)
	if err != nil {
		return err
	}
	*s = seen{}
	s.note(nil, head)
	s.ends(tail)
	s.n, s.gap = n, n > headSize
	return nil
}

// ends notes the last bytes, or more than are wanted of them.
func (s *seen) ends(b []byte) {
	s.tail = crc64.Checksum(b[max(0, len(b)-tailSize):], hash64)
}

// last returns the last bytes, if they are still there.
func (s *seen) last(raw io.ReaderAt) ([]byte, error) {
	return s.expect(raw, max(0, s.n-tailSize), s.n, s.tail)
}

// check returns [errReplaced] if the first and the last bytes are others now.
func (s *seen) check(raw io.ReaderAt) error {
	_, err := s.expect(raw, 0, min(s.n, headSize), s.head)
	if err == nil {
		_, err = s.last(raw)
	}
	return err
}

// expect returns bytes of the file, if that is their hash.
func (s *seen) expect(raw io.ReaderAt, from, until int64, hash uint64) ([]byte, error) {
	b, err := readAt(raw, from, until)
	if err == nil && crc64.Checksum(b, hash64) != hash {
		err = errReplaced
	}
	return b, err
}

// readAt reads bytes that were there.
func readAt(raw io.ReaderAt, from, until int64) ([]byte, error) {
	b := make([]byte, until-from)
	n, err := raw.ReadAt(b, from)
	switch {
	case n == len(b):
		err = nil
	case err == io.EOF:
		err = errReplaced
	}
	return b, err
}

// checkAll returns [errReplaced] if any of the bytes is another now.
func (s *seen) checkAll(ctx context.Context, raw io.ReaderAt) error {
	if err := s.check(raw); err != nil || s.gap {
		return err
	}
	all := crc32.New(hash32)
	n, err := io.Copy(all, stoppable{ctx, io.NewSectionReader(raw, 0, s.n)})
	if err == nil && (n < s.n || all.Sum32() != s.all) {
		err = errReplaced
	}
	return err
}

// pieces reads the bytes of a file up to the size it was seen to have. While a
// record waits for room, the file may be written anew. So it gives a piece only
// if the bytes before it are those that it gave; and the last one, if nobody looks
// at the file again, only if all are.
type pieces struct {
	ctx   context.Context
	file  *file
	raw   rawFile
	final bool
	at    int64
}

func (p *pieces) Read(b []byte) (int, error) {
	n, err := p.raw.Read(b)
	if n == 0 && err != io.EOF {
		return 0, err
	}
	s := &p.file.seen
	p.file.mark = nil
	last, err := s.last(p.raw)
	if err == nil && n == 0 {
		err = errReplaced // it is shorter now
	}
	if err != nil {
		return 0, err
	}
	s.note(last, b[max(0, min(s.n-p.at, int64(n))):n])
	if p.at += int64(n); p.final && p.at >= p.file.info.Size() {
		if err := p.checkAll(); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// checkAll returns [errReplaced] if the file seems to have been written anew
// since it was looked at.
func (p *pieces) checkAll() error {
	now, err := p.raw.Stat()
	switch before := p.file.info; {
	case err != nil:
		return err
	case now.ModTime().Equal(before.ModTime()):
		return nil
	case now.Size() > before.Size(): // it has grown, as it seems
		return p.file.seen.check(p.raw)
	}
	return p.file.seen.checkAll(p.ctx, p.raw)
}
