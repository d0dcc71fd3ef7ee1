package realkafka

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// variable says whether tests meet a real broker: real, embedded or nothing.
const variable = "GODSTREAM_KAFKA"

// Need skips a test that needs a real broker, unless one was asked for.
func Need(t testing.TB) {
	t.Helper()
	if !Wanted(t) {
		t.Skipf("needs a real Kafka: run it with make real, or with %s=real, which needs Java 17 and Maven", variable)
	}
}

// Wanted reports whether tests are to run against a real broker.
func Wanted(t testing.TB) bool {
	t.Helper()
	switch v := os.Getenv(variable); v {
	case "real":
		return true
	case "", "embedded":
	default:
		t.Fatalf("%s is %q; it may be real or embedded", variable, v)
	}
	return false
}

// NeedOrHave is for the one test that also runs without having been asked for,
// where nothing need be installed for it.
func NeedOrHave(t testing.TB) {
	t.Helper()
	if Wanted(t) {
		return
	}
	if os.Getenv(variable) == "" && !testing.Short() && have() == nil {
		return
	}
	Need(t)
}

// have returns what is missing to start a broker at once.
func have() error {
	for _, command := range []string{"java", "mvn"} {
		if _, err := exec.LookPath(command); err != nil {
			return err
		}
	}
	home, err := home()
	if err == nil {
		_, err = os.Stat(filepath.Join(home, complete))
	}
	return err
}

// shared is about the brokers that tests of a binary share; see lending.
var shared struct {
	sync.Mutex
	closes bool // there is a Main
	err    error
}

// Shared is the address of a broker that the tests of a binary share. The first
// call starts it, [Main] ends it.
func Shared(t testing.TB) []string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if !shared.closes {
		t.Fatal("realkafka: Shared: nothing would end the broker; give TestMain a realkafka.Main")
	}
	first := &lending.loans[0]
	if first.cluster == nil && shared.err == nil {
		first.cluster, shared.err = start(Config{linked: true})
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return first.cluster.Addrs()
}

// Main is a *testing.M that ends the shared brokers after the tests.
func Main(m interface{ Run() int }) interface{ Run() int } {
	shared.Lock()
	defer shared.Unlock()
	shared.closes = true
	return main{m}
}

type main struct{ tests interface{ Run() int } }

func (m main) Run() int {
	defer func() {
		shared.Lock()
		defer shared.Unlock()
		shared.closes = false
		for _, l := range lending.loans {
			if l.cluster == nil {
				continue
			}
			if err := l.cluster.close(); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
	}()
	return m.tests.Run()
}
