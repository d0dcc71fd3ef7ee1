package source_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/source"
)

// sends answers every connection with these bytes.
func sends(t testing.TB, pieces ...string) (addr string) {
	return serve(t, func(c net.Conn) {
		for _, p := range pieces {
			io.WriteString(c, p)
		}
	})
}

func TestSocketLines(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	tests := map[string]struct {
		pieces   []string
		want     []string
		origins  []string
		rejected int64
	}{
		"lines":                  {pieces: []string{"1\n2\r\n\n"}, want: []string{"1", "2", ""}, origins: []string{"#0", "#1", "#2"}},
		"nothing":                {want: []string{}},
		"a last one without end": {pieces: []string{"1\n2"}, want: []string{"1", "2"}},
		"in pieces":              {pieces: []string{"1", "1\r", "\n", "2", "\n"}, want: []string{"11", "2"}},
		"any bytes":              {pieces: []string{"\x00\xff\n\xe2\x28\n"}, want: []string{"\x00\xff", "\xe2\x28"}},
		"a long one":             {pieces: []string{"1\n", long, long, "\n2\n"}, want: []string{"1", "2"}, origins: []string{"#0", "#2"}, rejected: 1},
		"just not too long":      {pieces: []string{long[:1000] + "\r\n" + long[:1001] + "\n" + long[:1000]}, want: []string{long[:1000], long[:1000]}, rejected: 1},
		"a long one at the end":  {pieces: []string{"1\n", long}, want: []string{"1"}, rejected: 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			addr := sends(t, test.pieces...)
			r := open(t, source.Socket(addr, source.Once(), source.MaxRecord(1000)), source.Options{})
			s, err := r.Cut(t.Context(), source.Request{Mode: source.Filled})
			require.NoError(t, err)
			require.True(t, s.End)
			require.Equal(t, test.want, texts(s))
			for i, origin := range test.origins {
				require.Equal(t, addr+origin, s.Parts[0].Records[i].Origin())
			}
			require.Equal(t, test.rejected, r.Stats().Rejected)
		})
	}
}

func TestSocketConnectsAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close()) // nobody is there yet
	log, logger := newJournal()
	r := open(t, source.Socket(addr), source.Options{Logger: logger})
	eventually(t, "two attempts", func() bool { return r.Stats().Retries >= 2 })
	require.Empty(t, cut(t, r), "batches are made meanwhile")
	require.Equal(t, 1, count(log.String(), "not connected, trying again"))
	require.Contains(t, log.String(), addr)

	l, err = net.Listen("tcp", addr)
	require.NoError(t, err)
	defer l.Close()
	for i, text := range []string{"1\n", "2\n3"} {
		c, err := l.Accept()
		require.NoError(t, err)
		io.WriteString(c, text)
		c.Close()
		got := []string{}
		eventually(t, "the lines", func() bool { got = append(got, cut(t, r)...); return len(got) == i+1 })
	}
	s, err := r.Cut(t.Context(), source.Request{Mode: source.Arrived})
	require.NoError(t, err)
	require.Equal(t, source.Range{Partition: addr, From: 3, Until: 3}, s.Parts[0].Range, "lines are counted on")
	require.Equal(t, 1, count(log.String(), "not connected, trying again"), "once a minute")
}

func TestSocketPausesLongerAndLonger(t *testing.T) {
	tests := map[string]string{ // what the other side sends before it closes the connection
		"nothing":                 "",
		"a line":                  "1\n",
		"a line that is too long": strings.Repeat("x", 2000) + "\n",
	}
	for name, sends := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var connections atomic.Int64
			addr := serve(t, func(c net.Conn) {
				io.WriteString(c, sends)
				connections.Add(1)
			})
			log, logger := newJournal()
			begin := time.Now()
			r := open(t, source.Socket(addr, source.MaxRecord(1000)), source.Options{Logger: logger})
			eventually(t, "five connections", func() bool { return connections.Load() >= 5 })
			took := time.Since(begin)
			// (100+200+400+800)/2 ms, or less if the second connection lasts longer than 200 ms by chance
			require.Greater(t, took, 550*time.Millisecond)
			require.GreaterOrEqual(t, r.Stats().Retries, int64(4))
			require.Equal(t, 1, count(log.String(), "not connected, trying again"), "once a minute")
			require.Contains(t, log.String(), "the other side closed the connection")
		})
	}
}

func TestSilentPeerBlocksNothing(t *testing.T) {
	addr := serve(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	r := open(t, source.Socket(addr), source.Options{})
	for range 100 {
		require.Empty(t, cut(t, r))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := r.Cut(ctx, source.Request{Mode: source.Filled})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	begin := time.Now()
	require.NoError(t, r.Close())
	require.Less(t, time.Since(begin), time.Second)
}

func TestLineWithoutEnd(t *testing.T) {
	var sent atomic.Int64
	addr := serve(t, func(c net.Conn) {
		for piece := []byte(strings.Repeat("x", 100_000)); ; sent.Add(int64(len(piece))) {
			if _, err := c.Write(piece); err != nil {
				return
			}
		}
	})
	log, logger := newJournal()
	r := open(t, source.Socket(addr), source.Options{Logger: logger})
	eventually(t, "64 MB", func() bool { return sent.Load() > 64<<20 })
	require.EqualValues(t, 1, r.Stats().Rejected)
	require.Zero(t, r.Stats().BufferedBytes)
	require.Empty(t, cut(t, r))
	require.Contains(t, log.String(), "longer than MaxRecord")
}

func TestSlowProgramHoldsThePeerBack(t *testing.T) {
	var sent atomic.Int64
	addr := serve(t, func(c net.Conn) {
		for piece := []byte(strings.Repeat("0123456\n", 1000)); ; sent.Add(int64(len(piece))) {
			if _, err := c.Write(piece); err != nil {
				return
			}
		}
	})
	r := open(t, source.Socket(addr), source.Options{Prefetch: 10_000, MaxBatchBytes: 10_000})
	last := int64(-1)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	eventually(t, "the peer has to wait", func() bool {
		<-tick.C
		before := last
		last = sent.Load()
		return before == last && last > 0
	})
	require.LessOrEqual(t, r.Stats().BufferedBytes, int64(20_200))
	require.NotEmpty(t, cut(t, r))
}

func TestConnectionThatBreaksWithinALine(t *testing.T) {
	broken := make(chan struct{})
	addr := serve(t, func(c net.Conn) {
		io.WriteString(c, "1\n2\nhalf a li")
		<-broken
		c.(*net.TCPConn).SetLinger(0) // so Close resets it
	})
	log, logger := newJournal()
	r := open(t, source.Socket(addr, source.Once()), source.Options{Logger: logger})
	got := []string{}
	eventually(t, "two lines", func() bool { got = append(got, cut(t, r)...); return len(got) == 2 })
	require.Equal(t, []string{"1", "2"}, got)
	close(broken)
	require.ErrorContains(t, fails(t, r), "source: socket "+addr+": after 3 lines: read tcp", "what is not complete must not look so")
	require.EqualValues(t, 1, r.Stats().Rejected)
	require.Contains(t, log.String(), "the connection broke within a line, which is left out")
}

func TestSocketThatCantBeOpened(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0") // a name server that knows no name
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for b := make([]byte, 512); ; {
			n, from, err := server.ReadFrom(b)
			if err != nil {
				return
			}
			b[2], b[3] = 0x81, 0x83 // an answer: no such name
			server.WriteTo(b[:n], from)
		}
	}()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
	defer func() {
		net.DefaultResolver = before
		server.Close()
		<-done
	}()
	tests := map[string]struct {
		addr    string
		options []source.Option
		o       source.Options
		want    string
	}{
		"no port":        {addr: "localhost", want: `source: Socket: address "localhost" is not host:port`},
		"empty port":     {addr: "localhost:", want: "is not host:port"},
		"unknown port":   {addr: "localhost:nosuchservice", want: "source: socket localhost:nosuchservice: lookup tcp/nosuchservice: unknown port"},
		"unknown host":   {addr: "nosuchhost.example:9999", want: "no such host"},
		"replay":         {addr: "localhost:9999", o: source.Options{Replay: true}, want: "can't be replayed: that needs the options Once, for an end, and Time"},
		"replay untimed": {addr: "localhost:9999", options: []source.Option{source.Once()}, o: source.Options{Replay: true}, want: "can't be replayed"},
		"wrong option":   {addr: "localhost:9999", options: []source.Option{source.NewOnly()}, want: "option NewOnly has no effect here"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.o.Logger = slog.New(slog.DiscardHandler)
			_, err := source.Socket(test.addr, test.options...).Open(t.Context(), test.o)
			require.ErrorContains(t, err, test.want)
		})
	}
}
