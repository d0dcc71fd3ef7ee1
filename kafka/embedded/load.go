package embedded

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Loaded tells what [Broker.Load] has stored.
type Loaded struct {
	Records int64
	Bytes   int64 // of the records
	Blank   int64 // lines without a record: nothing but white space
	Untimed int64 // records that had no time of their own
}

// A LoadOption changes how [Broker.Load] reads lines.
type LoadOption func(*loader)

// TimestampField gives each record the time that its line states: the member
// of that name of the JSON object that the line is, in milliseconds since the
// epoch, as a whole number above zero or as a string with one.
//
// A line without (broken or truncated JSON, invalid UTF-8, no object, no such
// member, any other value) has the time of the line before it; lines before
// the first time have that one. If no line states a time, the records have
// none. Without this option, their time is that of the call of Load.
func TimestampField(name string) LoadOption {
	return func(l *loader) { l.field = name }
}

// Load stores each line of r as a record of the topic, in order, and creates
// the topic with one partition if it is missing. A record's value is the line
// byte for byte without its newline ("\n"; a "\r" before it stays); it has no
// key. The last line need not end with a newline. Lines of nothing but white
// space are counted, not stored; a line longer than [MaxRecordBytes] is an
// error.
//
// In a topic with one partition, record i has offset i after what was there
// before. With more, they get records in turn, beginning with partition 0.
//
// Load returns when r has ended and everything is stored. After an error,
// Loaded counts what was read; all of it but the last few batches is stored.
func (b *Broker) Load(ctx context.Context, topic string, r io.Reader, options ...LoadOption) (Loaded, error) {
	l := &loader{ctx: ctx, topic: topic, time: time.Now().UnixMilli()}
	for _, o := range options {
		o(l)
	}
	if l.field != "" {
		l.time = noTime
	}
	err := b.partitions(topic, l)
	if err == nil {
		err = b.feed(r, l)
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx) // that is why the connection broke
	}
	if err != nil {
		return l.loaded, fmt.Errorf("embedded: load topic %q: line %d: %w", topic, l.line, err)
	}
	return l.loaded, nil
}

// partitions finds out how many partitions there are, or makes one.
func (b *Broker) partitions(topic string, l *loader) error {
	return b.use(func() error {
		n := len(b.cluster.PartitionInfos(topic))
		if n == 0 {
			if err := b.create(topic, 1); err != nil {
				return fmt.Errorf("create it: %w", err)
			}
			n = 1
		}
		l.batches = make([]recordBatch, n)
		return nil
	})
}

func (b *Broker) feed(r io.Reader, l *loader) error {
	p, done, err := b.producer(l.ctx)
	if err != nil {
		return err
	}
	defer done()
	l.producer = p
	return l.lines(bufio.NewReaderSize(r, 1<<20))
}

// loader turns lines into records.
type loader struct {
	ctx      context.Context
	producer *producer
	topic    string
	field    string

	line    int64    // number of the line in hand
	time    int64    // of the line before
	waiting [][]byte // lines before the first time
	batches []recordBatch
	next    int // partition of the next record
	loaded  Loaded
}

func (l *loader) lines(r *bufio.Reader) error {
	for {
		l.line++
		line, err := readLine(r)
		if err != nil && err != io.EOF {
			return err
		}
		if len(line) > 0 {
			if err := l.add(line); err != nil {
				return err
			}
		}
		if err == io.EOF {
			break
		}
	}
	if err := l.release(); err != nil {
		return err
	}
	for i := range l.batches {
		if err := l.send(i); err != nil {
			return err
		}
	}
	return l.ctx.Err()
}

// readLine returns a line with its newline; the bytes are valid until the next
// call. The last line comes with io.EOF, and is empty after a final newline.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err != bufio.ErrBufferFull {
		return line, err
	}
	long := slices.Clone(line)
	for err == bufio.ErrBufferFull {
		if len(long) > MaxRecordBytes+1 {
			return nil, errTooLong
		}
		line, err = r.ReadSlice('\n')
		long = append(long, line...)
	}
	return long, err
}

var errTooLong = fmt.Errorf("longer than the %d bytes that a record may have", MaxRecordBytes)

func (l *loader) add(line []byte) error {
	if line[len(line)-1] == '\n' {
		line = line[:len(line)-1]
	}
	if len(bytes.Trim(line, " \t\r\n")) == 0 {
		l.loaded.Blank++
		return nil
	}
	if len(line) > MaxRecordBytes {
		return errTooLong
	}
	if l.field == "" {
		return l.store(line)
	}
	at, ok := timestamp(line, l.field)
	switch {
	case ok:
		l.time = at
		if err := l.release(); err != nil {
			return err
		}
	case l.time == noTime:
		l.loaded.Untimed++
		l.waiting = append(l.waiting, slices.Clone(line))
		return l.ctx.Err()
	default:
		l.loaded.Untimed++
	}
	return l.store(line)
}

// release stores the lines that waited for a time.
func (l *loader) release() error {
	for _, line := range l.waiting {
		if err := l.store(line); err != nil {
			return err
		}
	}
	l.waiting = nil
	return nil
}

func (l *loader) store(line []byte) error {
	i := l.next
	l.next = (l.next + 1) % len(l.batches)
	if b := &l.batches[i]; b.count > 0 && len(b.records)+len(line) > fullBatch {
		if err := l.send(i); err != nil {
			return err
		}
	}
	l.batches[i].add(line, l.time)
	l.loaded.Records++
	l.loaded.Bytes += int64(len(line))
	return nil
}

func (l *loader) send(partition int) error {
	if l.batches[partition].count == 0 {
		return nil
	}
	if err := l.producer.send(l.topic, int32(partition), l.batches[partition].encode()); err != nil {
		if errors.Is(err, io.ErrClosedPipe) || errors.Is(err, io.EOF) {
			return errors.New("the broker has closed the connection")
		}
		return err
	}
	return nil
}
