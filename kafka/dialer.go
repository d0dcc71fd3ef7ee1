package kafka

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
)

// dialer makes the client's connections. The client knows no contexts: what
// ends its waiting is that the dialer shuts and closes them all.
type dialer struct {
	next interface {
		Dial(network, addr string) (net.Conn, error)
	}
	tls      *tls.Config   // nil for none
	patience time.Duration // with TLS, 0 for no limit
	login    login
	life     context.Context // until shut
	end      context.CancelFunc
	haste    atomic.Int64 // while it is not 0: the longest wait for one broker, in ns

	mu    sync.Mutex
	conns map[*conn]struct{}
	last  error          // why a connection was not made, or broke
	used  sync.WaitGroup // attempts, tokens asked for, and connections that the client has not closed
}

// errShut is why there are no more connections.
var errShut = errors.New("the connection was given up")

// newDialer makes a dialer that connects as the settings say, TLS included, and
// takes its place in them. No broker may keep it waiting for longer than haste,
// until relax.
func newDialer(c *sarama.Config, haste time.Duration) *dialer {
	d := &dialer{conns: map[*conn]struct{}{}}
	d.haste.Store(int64(haste))
	d.life, d.end = context.WithCancel(context.Background())
	if c.Net.Proxy.Enable {
		d.next = c.Net.Proxy.Dialer
	} else {
		d.next = &net.Dialer{Timeout: c.Net.DialTimeout, KeepAlive: c.Net.KeepAlive, LocalAddr: c.Net.LocalAddr}
	}
	c.Net.Proxy.Enable, c.Net.Proxy.Dialer = true, d
	if c.Net.TLS.Enable {
		d.tls = cmp.Or(c.Net.TLS.Config, &tls.Config{})
	}
	c.Net.TLS.Enable, c.Net.TLS.Config = false, nil
	d.patience = c.Net.DialTimeout
	d.login = newLogin(c, d)

	pause := c.Metadata.Retry.BackoffFunc
	if fixed := c.Metadata.Retry.Backoff; pause == nil {
		pause = func(int, int) time.Duration { return fixed }
	}
	c.Metadata.Retry.BackoffFunc = func(retries, limit int) time.Duration {
		if d.life.Err() != nil {
			return 0 // nothing to wait for
		}
		return pause(retries, limit)
	}
	return d
}

// Dial makes a connection. The client calls it.
func (d *dialer) Dial(network, addr string) (net.Conn, error) {
	if !d.use() {
		return nil, errShut
	}
	defer d.used.Done()

	ctx, cancel := d.life, context.CancelFunc(func() {})
	if haste := d.haste.Load(); haste > 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(haste))
	}
	defer cancel()
	tcp := strings.HasPrefix(network, "tcp")
	raw, err := d.dial(ctx, network, addr)
	safe := raw
	if err == nil && tcp && d.tls != nil {
		safe, err = d.encrypt(ctx, raw, addr)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.life.Err() != nil:
		if err == nil {
			raw.Close()
		}
		return nil, errShut
	case err != nil:
		d.last = err
		return nil, err
	case !tcp:
		return raw, nil // to a name server
	}
	c := &conn{Conn: safe, raw: raw, addr: addr, owner: d, made: time.Now()}
	if d.login.framed {
		c.greeting.Store(&greeting{conn: c})
	}
	d.conns[c] = struct{}{}
	d.used.Add(1)
	return c, nil
}

// use notes that there is something to wait for, unless the dialer is shut.
func (d *dialer) use() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.life.Err() != nil {
		return false
	}
	d.used.Add(1)
	return true
}

func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if next, ok := d.next.(interface {
		DialContext(ctx context.Context, network, addr string) (net.Conn, error)
	}); ok {
		return next.DialContext(ctx, network, addr)
	}
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() { // a dialer of the user's that can't be interrupted
		c, err := d.next.Dial(network, addr)
		done <- result{c, err}
	}()
	select {
	case r := <-done:
		return r.conn, r.err
	case <-ctx.Done():
		go func() {
			if r := <-done; r.conn != nil {
				r.conn.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// unless returns what do does, unless ctx ends before: then do goes on, and what it
// returns is lost.
func unless[T any](ctx context.Context, do func() (T, error)) (got T, err error) {
	type result struct {
		got T
		err error
	}
	done := make(chan result, 1)
	go func() {
		got, err := do()
		done <- result{got, err}
	}()
	select {
	case r := <-done:
		return r.got, r.err
	case <-ctx.Done():
		return got, context.Cause(ctx)
	}
}

// relax lets brokers take as long as the settings allow.
func (d *dialer) relax() { d.haste.Store(0) }

// shut closes all connections and makes no more.
func (d *dialer) shut() {
	d.end()
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		c.raw.Close() // without a farewell, which may have to wait
	}
}

// wait waits a moment until the client has closed its connections, which ends
// its goroutines. It is called after shut.
func (d *dialer) wait() {
	done := make(chan struct{})
	go func() {
		d.used.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Second):
	}
}

// forget makes failure nil.
func (d *dialer) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = nil
}

// failure is why the last connection was not made or broke, or nil.
func (d *dialer) failure() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}

// conn is a connection of the client's.
type conn struct {
	net.Conn
	raw      net.Conn // the same without TLS
	addr     string
	owner    *dialer
	made     time.Time
	greeting atomic.Pointer[greeting] // until it is over
	heard    atomic.Bool              // something came from the other side
	once     sync.Once
}

// Read notes why the connection breaks.
func (c *conn) Read(p []byte) (n int, err error) {
	if g := c.greeting.Load(); g != nil {
		n, err = g.read(p)
	} else {
		n, err = c.Conn.Read(p)
	}
	if n > 0 {
		c.heard.Store(true)
	}
	if err != nil && c.owner.life.Err() == nil {
		c.owner.mu.Lock()
		c.owner.last = err
		c.owner.mu.Unlock()
	}
	return n, err
}

// Write sends a request.
func (c *conn) Write(p []byte) (int, error) {
	if g := c.greeting.Load(); g != nil {
		g.asks(p)
	}
	return c.Conn.Write(p)
}

// SetReadDeadline is called before each answer is awaited. The client asks a
// broker that does not answer several times: the first answer has one limit for
// all of them.
func (c *conn) SetReadDeadline(t time.Time) error {
	if haste := time.Duration(c.owner.haste.Load()); haste > 0 {
		limit := c.made.Add(haste)
		if c.heard.Load() {
			limit = time.Now().Add(haste)
		}
		if t.IsZero() || t.After(limit) {
			t = limit
		}
	}
	return c.Conn.SetReadDeadline(t)
}

// Close is called by the client.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.owner.mu.Lock()
		delete(c.owner.conns, c)
		c.owner.mu.Unlock()
		c.owner.used.Done()
	})
	return err
}
