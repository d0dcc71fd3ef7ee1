package source

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"time"
)

// Socket reads lines of text from a TCP server, such as nc -lk 9999:
//
//	lines := stream.From(app, source.Socket("localhost:9999"))
//
// Lines end in "\n" or "\r\n"; so does the last one of a connection, even if it
// lacks it. Any bytes pass through. A server that can't be reached, or that
// closes the connection, is connected to again, after a pause that grows from 100
// ms to 10 s, until a connection that gives lines lasts longer than the pause; this
// is logged, once a minute at most, and counted in Stats.Retries. A host name that
// does not exist is an error of Open. The source never ends unless it is told [Once].
//
// A socket can't be read twice, so it is [Volatile]: in a program with a checkpoint,
// the lines of a batch are written there before it runs, and are those again if it
// runs again. What was received and is in no batch yet is lost when the program
// ends; without a checkpoint, so is a batch that was not done. While the program falls behind,
// Socket reads no more than the App's Prefetch allows, and TCP holds the server
// back.
//
// Options: [Once], [MaxRecord], and [Time] for a replay of a connection that ends.
func Socket(addr string, opts ...Option) Source[Line] {
	s := &socket{settings: configure("Socket", settings{maxRecord: 1 << 20}, opts), addr: addr}
	s.at = typed[func(Line) time.Time](&s.settings, "Time", s.time)
	if _, port, err := net.SplitHostPort(addr); err != nil || port == "" {
		s.fault("address %q is not host:port", addr)
	}
	return s
}

type socket struct {
	settings
	addr string
	at   func(Line) time.Time
}

const (
	firstPause   = 100 * time.Millisecond // before connecting again
	longestPause = 10 * time.Second
	dialTimeout  = 10 * time.Second
)

func (s *socket) String() string { return "socket " + s.addr }

// Open implements [Source].
func (s *socket) Open(ctx context.Context, o Options) (Reader[Line], error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	if o.Replay && (!s.once || s.at == nil) {
		return nil, fmt.Errorf("source: socket %s can't be replayed: that needs the options Once, for an end, and Time", s.addr)
	}
	if err := s.resolve(ctx); err != nil {
		return nil, fmt.Errorf("source: socket %s: %w", s.addr, err)
	}
	o = o.Defaults()
	b := NewBuffer[Line](o)
	b.Spread()
	at, _ := o.Position(s.addr)
	r := &connection{socket: s, buffer: b, feed: b.Feed(s.addr, at.Offset), lines: at.Offset, log: o.Logger.With("source", o.Name, "address", s.addr), replay: o.Replay}
	b.Go(r.run)
	return b, nil
}

// AppendRecord implements [Volatile]: the line's number and its bytes.
func (s *socket) AppendRecord(dst []byte, l Line) ([]byte, error) {
	return append(binary.AppendUvarint(dst, uint64(l.At)), l.Data...), nil
}

// DecodeRecord implements [Volatile].
func (s *socket) DecodeRecord(data []byte) (Line, error) {
	at, n := binary.Uvarint(data)
	if n <= 0 || at > math.MaxInt64 {
		return Line{}, errors.New("source: socket: a line in the log has no number")
	}
	return Line{Data: append([]byte{}, data[n:]...), Name: s.addr, At: int64(at), socket: true}, nil
}

// resolve refuses names that do not exist. Whatever else is wrong may be mended
// while the program runs.
func (s *socket) resolve(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	host, port, _ := net.SplitHostPort(s.addr)
	if _, err := net.DefaultResolver.LookupPort(limited, "tcp", port); err != nil {
		return err
	}
	if host == "" {
		return nil // this machine
	}
	_, err := net.DefaultResolver.LookupHost(limited, host)
	if unknown := (*net.DNSError)(nil); errors.As(err, &unknown) && unknown.IsNotFound {
		return err
	}
	return context.Cause(ctx)
}

// connection fills the buffer from one connection after the other.
type connection struct {
	*socket
	buffer *Buffer[Line]
	feed   *Feed[Line]
	log    *slog.Logger
	replay bool

	lines   int64 // so far, those that were left out included
	given   int64 // without these
	outages rarely
	longs   rarely
	told    bool // the line that is too long was logged
}

func (c *connection) run(ctx context.Context) error {
	dialer := net.Dialer{Timeout: dialTimeout, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 4}}
	pause := firstPause
	for {
		conn, err := dialer.DialContext(ctx, "tcp", c.addr)
		if err == nil {
			given, began := c.given, time.Now()
			err = c.read(ctx, conn)
			switch {
			case errors.Is(err, ErrClosed), ctx.Err() != nil:
				return nil
			case c.once && err == io.EOF:
				c.feed.End()
				return nil
			case c.once:
				return fmt.Errorf("source: socket %s: after %d lines: %w", c.addr, c.lines, err)
			case err == io.EOF:
				err = errors.New("the other side closed the connection")
			}
			if c.given > given && time.Since(began) > pause { // it was of use
				pause = firstPause
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		c.buffer.Retried()
		if times, ok := c.outages.now(); ok {
			c.log.Warn("source: not connected, trying again", "reason", err, "lines", c.lines, "times", times)
		}
		select {
		case <-time.After(pause/2 + rand.N(pause/2)):
		case <-ctx.Done():
			return nil
		}
		pause = min(2*pause, longestPause)
	}
}

// read reads lines until the connection ends, which is io.EOF if it was closed
// in order.
func (c *connection) read(ctx context.Context, conn net.Conn) error {
	c.log.Info("source: connected", "remote", conn.RemoteAddr())
	unblock := context.AfterFunc(ctx, func() { conn.Close() })
	defer func() {
		unblock()
		conn.Close()
	}()
	in := &lineReader{in: bufio.NewReaderSize(conn, blockSize), max: c.maxRecord, long: c.long, arena: new(arena)}
	for {
		data, err := in.next()
		switch {
		case err == nil, err == io.EOF && in.at > in.start:
			if e := c.put(data); e != nil {
				return e
			}
		case in.at > in.start && ctx.Err() == nil:
			c.reject("source: the connection broke within a line, which is left out", in.at-in.start)
		}
		if err != nil {
			return err
		}
	}
}

func (c *connection) put(data []byte) error {
	line := Line{Data: data, Name: c.addr, At: c.lines, socket: true}
	c.lines++
	c.given++
	var at time.Time
	if c.replay {
		at = c.at(line)
	}
	return c.feed.Put(line, c.lines, len(data)+lineOverhead, at)
}

// long is told of lines that are too long.
func (c *connection) long(_, length int64, ended bool) {
	if !ended {
		c.told = c.reject("source: a line is longer than MaxRecord and is left out", length)
	} else if c.told {
		c.log.Info("source: the line that is left out has ended", "line", c.lines-1, "bytes", length)
	}
}

// reject counts a line that is left out, and says whether it was logged.
func (c *connection) reject(what string, length int64) bool {
	c.buffer.Rejected()
	times, ok := c.longs.now()
	if ok {
		c.log.Warn(what, "line", c.lines, "bytes so far", length, "times", times)
	}
	c.lines++
	return ok
}
