package embedded

import (
	"net"
	"sync"
)

// listener hands connections to the broker: those that arrive at its address,
// which can be shut and opened again, and those made inside the process.
type listener struct {
	addr    net.Addr
	arrived chan net.Conn
	closed  chan struct{}

	mu      sync.Mutex
	tcp     net.Listener // nil while paused
	remote  map[*conn]struct{}
	ended   bool
	waiting sync.WaitGroup // for the accept loop and what the broker has not closed
}

// conn is a connection that the broker serves and closes.
type conn struct {
	net.Conn
	owner *listener
	once  sync.Once
}

func listen(network, address string) (*listener, error) {
	tcp, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	l := &listener{addr: tcp.Addr(), arrived: make(chan net.Conn), closed: make(chan struct{}), remote: map[*conn]struct{}{}}
	l.open(tcp)
	return l, nil
}

// Addr is the address, also while nothing listens there.
func (l *listener) Addr() net.Addr { return l.addr }

// Accept implements [net.Listener].
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.arrived:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener]. What was accepted goes on.
func (l *listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return net.ErrClosed
	}
	l.ended = true
	close(l.closed)
	l.shut()
	return nil
}

// wait waits until the broker has closed every connection.
func (l *listener) wait() { l.waiting.Wait() }

func (l *listener) pause() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shut()
	for c := range l.remote {
		c.Conn.Close() // the broker sees it break and closes its end
	}
}

func (l *listener) resume() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ended:
		return net.ErrClosed
	case l.tcp != nil:
		return nil
	}
	tcp, err := net.Listen(l.addr.Network(), l.addr.String())
	if err != nil {
		return err
	}
	l.open(tcp)
	return nil
}

// dial makes a connection that needs no address and survives a pause.
func (l *listener) dial() (net.Conn, error) {
	near, far := net.Pipe()
	if !l.give(far, false) {
		near.Close()
		return nil, net.ErrClosed
	}
	return near, nil
}

// open starts to accept; the lock is held or not needed yet.
func (l *listener) open(tcp net.Listener) {
	l.tcp = tcp
	l.waiting.Go(func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return // shut
			}
			l.give(c, true)
		}
	})
}

// shut stops accepting; the lock is held.
func (l *listener) shut() {
	if l.tcp != nil {
		l.tcp.Close()
		l.tcp = nil
	}
}

// give hands a connection to Accept, unless that is over or, for one that came
// from outside, paused.
func (l *listener) give(raw net.Conn, remote bool) bool {
	c := &conn{Conn: raw, owner: l}
	l.mu.Lock()
	if l.ended || remote && l.tcp == nil {
		l.mu.Unlock()
		raw.Close()
		return false
	}
	if remote {
		l.remote[c] = struct{}{}
	}
	l.waiting.Add(1)
	l.mu.Unlock()
	select {
	case l.arrived <- c:
		return true
	case <-l.closed:
		c.Close()
		return false
	}
}

// Close is called by the broker, more than once.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.owner.mu.Lock()
		delete(c.owner.remote, c)
		c.owner.mu.Unlock()
		c.owner.waiting.Done()
	})
	return err
}
