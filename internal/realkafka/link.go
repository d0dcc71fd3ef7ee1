package realkafka

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// Link is a way to a broker that a test may break, while it has the broker for
// itself. The broker goes on, so that what is slow about a restart is left out.
type Link struct {
	at, to, direct string

	mu       sync.Mutex
	listener net.Listener // nil while paused
	conns    map[net.Conn]struct{}
	wait     sync.WaitGroup // for the accept loop and the connections
}

// lendable is how many brokers there are to lend, at most. The shared one is the
// first; the others start when more are asked for.
const lendable = 3

// loan is a broker that a test may have for itself.
type loan struct {
	cluster *Cluster
	holder  testing.TB // nil while nobody has it
	link    *Link
}

// lending is behind the lock of shared.
var lending = struct {
	loans [lendable]loan
	back  *sync.Cond
}{back: sync.NewCond(&shared)}

// Lend gives a broker to one test alone until it ends; others that ask for one may
// have to wait. What the tests before have left is still there. Tests that wait
// count as running: give -parallel room for all of them. A test that asks again
// gets the same broker.
func Lend(t testing.TB) *Link {
	t.Helper()
	Shared(t) // which is the first, and says what is wrong
	shared.Lock()
	defer shared.Unlock()
	l := borrow(t)
	if l.cluster == nil {
		if l.cluster, shared.err = start(Config{linked: true}); shared.err != nil {
			t.Fatal(shared.err)
		}
	}
	if l.holder == nil {
		b := l.cluster.brokers[0]
		l.holder = t
		l.link = &Link{at: b.advertised[via], to: b.listeners[via], direct: b.listeners[plain], conns: map[net.Conn]struct{}{}}
		t.Cleanup(func() {
			l.link.Pause()
			shared.Lock()
			defer shared.Unlock()
			l.holder = nil
			lending.back.Broadcast()
		})
	}
	if err := l.link.Resume(); err != nil {
		t.Fatal(err)
	}
	return l.link
}

// borrow waits for a broker that nobody has, or that the test has already.
func borrow(t testing.TB) *loan {
	t.Helper()
	for {
		var free *loan
		for i := range lending.loans {
			switch l := &lending.loans[i]; {
			case l.holder == t:
				return l
			case l.holder == nil && free == nil:
				free = l
			case l.holder != nil && strings.HasPrefix(t.Name(), l.holder.Name()+"/"):
				t.Fatalf("realkafka: Lend: %s has a broker, and waits for this test", l.holder.Name())
			}
		}
		if free != nil {
			return free
		}
		lending.back.Wait()
	}
}

// Addrs is where clients connect.
func (l *Link) Addrs() []string { return []string{l.at} }

// Direct is the way that no Pause closes.
func (l *Link) Direct() []string { return []string{l.direct} }

// Pause makes the broker vanish from the network: connections break, and new ones
// are refused.
func (l *Link) Pause() {
	l.mu.Lock()
	if l.listener != nil {
		l.listener.Close()
		l.listener = nil
	}
	for c := range l.conns {
		c.Close()
	}
	l.mu.Unlock()
	l.wait.Wait()
}

// Resume ends a Pause, at the same address.
func (l *Link) Resume() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listener != nil {
		return nil
	}
	listener, err := net.Listen("tcp", l.at)
	if err != nil {
		return err
	}
	l.listener = listener
	l.wait.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return // paused
			}
			l.wait.Go(func() { l.serve(c) })
		}
	})
	return nil
}

// serve hands on what two ends have to tell one another, until one has enough.
func (l *Link) serve(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp", l.to)
	if err != nil {
		return
	}
	defer far.Close()
	l.mu.Lock()
	if l.listener == nil { // paused meanwhile
		l.mu.Unlock()
		return
	}
	l.conns[near], l.conns[far] = struct{}{}, struct{}{}
	l.mu.Unlock()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(near, far)
		near.Close()
	})
	_, _ = io.Copy(far, near)
	far.Close()
	back.Wait()
	l.mu.Lock()
	delete(l.conns, near)
	delete(l.conns, far)
	l.mu.Unlock()
}
