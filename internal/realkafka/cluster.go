package realkafka

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Config says how to start a [Cluster]. The zero value is one broker.
type Config struct {
	// Brokers is 1 or 3. With three, topics have three replicas, of which two must
	// be in sync, and any one broker may be away.
	Brokers int

	// Properties are set for each broker (server.properties), also against what
	// would be there without.
	Properties map[string]string

	// Listeners are where clients may connect besides the plain one: the security
	// protocol (SSL, SASL_PLAINTEXT, SASL_SSL) by a name of your choice in capital
	// letters. What they need stands in Properties, prefixed with
	// "listener.name." and the name in small letters.
	Listeners map[string]string

	// JVM is arguments for Java, such as -Dproperty=value.
	JVM []string

	linked bool // there is a listener for a Link
}

// Cluster is running brokers. All can be reached at 127.0.0.1 only.
type Cluster struct {
	t       testing.TB
	home    string // where the jars are
	dir     string
	jvm     []string
	brokers []*broker
}

// Start starts brokers for one test, and waits until they are ready. They end with
// the test, and at the latest with the process.
func Start(t testing.TB, c Config) *Cluster {
	t.Helper()
	began := time.Now()
	k, err := start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("realkafka: %d brokers of Kafka %s, ready after %v", len(k.brokers), version, time.Since(began).Round(time.Millisecond))
	k.t = t
	t.Cleanup(k.Close)
	return k
}

// start tries again when a port was taken before the broker had it.
func start(c Config) (*Cluster, error) {
	if c.Brokers == 0 {
		c.Brokers = 1
	}
	if c.Brokers != 1 && c.Brokers != 3 {
		return nil, fmt.Errorf("realkafka: Config.Brokers is %d; it may be 1 or 3", c.Brokers)
	}
	home, err := install()
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		k, err := begin(home, c)
		if err == nil {
			return k, nil
		}
		if attempt == 3 || !strings.Contains(err.Error(), "Address already in use") {
			return nil, err
		}
	}
}

// begin lays out the folders of a cluster and starts its brokers.
func begin(home string, c Config) (_ *Cluster, err error) {
	k := &Cluster{home: home, jvm: c.JVM}
	defer func() {
		if err != nil {
			err = errors.Join(err, k.close())
		}
	}()
	if k.dir, err = os.MkdirTemp("", "godstream-kafka-"); err != nil {
		return nil, err
	}
	names := slices.Sorted(maps.Keys(c.Listeners))
	if c.linked {
		names = append(names, via)
	}
	ports, err := freePorts(c.Brokers * (3 + len(names)))
	if err != nil {
		return nil, err
	}
	at := func() string {
		p := ports[0]
		ports = ports[1:]
		return fmt.Sprint("127.0.0.1:", p)
	}
	var voters []string
	for i := range c.Brokers {
		b := &broker{id: i + 1, dir: filepath.Join(k.dir, fmt.Sprint("broker-", i+1)), controller: at(), listeners: map[string]string{plain: at()}}
		for _, name := range names {
			b.listeners[name] = at()
		}
		b.advertised = maps.Clone(b.listeners)
		if c.linked {
			b.advertised[via] = at()
		}
		voters = append(voters, fmt.Sprint(b.id, "@", b.controller))
		k.brokers = append(k.brokers, b)
	}
	for _, b := range k.brokers {
		if err := b.format(home, b.properties(c, strings.Join(voters, ","))); err != nil {
			return nil, err
		}
	}
	for _, b := range k.brokers {
		if err := b.start(home, k.jvm); err != nil {
			return nil, err
		}
	}
	for _, b := range k.brokers {
		if err := b.ready(); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// Addrs is where clients connect: what goes into kafka.Config.Brokers.
func (k *Cluster) Addrs() []string { return k.AddrsOf(plain) }

// AddrsOf is where clients connect to one of Config.Listeners.
func (k *Cluster) AddrsOf(listener string) (addrs []string) {
	for _, b := range k.brokers {
		addrs = append(addrs, b.listeners[listener])
	}
	return addrs
}

// Kill ends broker i, counted as in Addrs, as kill -9 does.
func (k *Cluster) Kill(i int) { k.report(k.brokers[i].end(syscall.SIGKILL)) }

// Stop ends broker i gently: it hands over what it leads first.
func (k *Cluster) Stop(i int) { k.report(k.brokers[i].end(syscall.SIGTERM)) }

// Restart starts broker i again, at the same addresses and with its data, and
// waits until it is ready.
func (k *Cluster) Restart(i int) {
	b := k.brokers[i]
	err := b.start(k.home, k.jvm)
	if err == nil {
		err = b.ready()
	}
	k.report(err)
}

// Close ends all brokers and removes their data.
func (k *Cluster) Close() { k.report(k.close()) }

// report fails the test, without ending it: also other goroutines kill brokers.
func (k *Cluster) report(err error) {
	if err != nil {
		k.t.Error(err)
	}
}

func (k *Cluster) close() error {
	var faults []error
	for _, b := range k.brokers { // what they would finish nobody needs
		faults = append(faults, b.end(syscall.SIGKILL))
	}
	if k.dir != "" {
		faults = append(faults, os.RemoveAll(k.dir))
	}
	return errors.Join(faults...)
}

// broker is a process that comes and goes, and the folder that stays.
type broker struct {
	id         int
	dir        string
	controller string
	listeners  map[string]string // addresses by name
	advertised map[string]string // those that clients are told
	process    *exec.Cmd         // nil while it is not running
	alive      *os.File          // ends with the process
}

const (
	plain = "PLAINTEXT" // the listener that everybody may use
	via   = "LINK"      // the one behind a Link
)

// properties is the broker's settings.
func (b *broker) properties(c Config, voters string) map[string]string {
	replicas, inSync := "1", "1"
	if c.Brokers == 3 {
		replicas, inSync = "3", "2"
	}
	protocols := map[string]string{"CONTROLLER": plain, plain: plain, via: plain}
	maps.Copy(protocols, c.Listeners)
	listeners := maps.Clone(b.listeners)
	listeners["CONTROLLER"] = b.controller
	p := map[string]string{
		"process.roles":                  "broker,controller",
		"node.id":                        fmt.Sprint(b.id),
		"controller.quorum.voters":       voters,
		"controller.listener.names":      "CONTROLLER",
		"inter.broker.listener.name":     plain,
		"listeners":                      list(listeners, "://"),
		"advertised.listeners":           list(b.advertised, "://"),
		"listener.security.protocol.map": list(protocols, ":"),
		"log.dirs":                       filepath.ToSlash(b.data()),

		"default.replication.factor":                       replicas,
		"min.insync.replicas":                              inSync,
		"offsets.topic.replication.factor":                 replicas,
		"transaction.state.log.replication.factor":         replicas,
		"transaction.state.log.min.isr":                    inSync,
		"share.coordinator.state.topic.replication.factor": replicas,
		"share.coordinator.state.topic.min.isr":            inSync,
		"offsets.topic.num.partitions":                     "4",
		"transaction.state.log.num.partitions":             "4",
		"num.network.threads":                              "2",
		"num.io.threads":                                   "4",
		"log.cleaner.dedupe.buffer.size":                   "8388608",

		// records may be as old as they like, and as large as the embedded broker's
		"log.retention.ms":  "-1",
		"message.max.bytes": fmt.Sprint(32<<20 + 1<<10),

		// that tests need not wait long
		"group.initial.rebalance.delay.ms":      "0",
		"group.min.session.timeout.ms":          "1000",
		"broker.session.timeout.ms":             "3000", // a killed one can't come back sooner
		"broker.heartbeat.interval.ms":          "500",
		"controller.quorum.election.timeout.ms": "1000",
		"controller.quorum.fetch.timeout.ms":    "2000",
		"log.cleaner.backoff.ms":                "200",
		"log.retention.check.interval.ms":       "1000",
		"log.initial.task.delay.ms":             "1000",
	}
	maps.Copy(p, c.Properties)
	return p
}

// list writes a map as Kafka does.
func list(of map[string]string, between string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		all = append(all, name+between+of[name])
	}
	return strings.Join(all, ",")
}

func (b *broker) data() string { return filepath.Join(b.dir, "data") }

func (b *broker) log() string { return filepath.Join(b.dir, "out.log") }

// format makes the folder of a new broker.
func (b *broker) format(home string, properties map[string]string) error {
	if err := os.MkdirAll(b.data(), 0o755); err != nil {
		return err
	}
	var text bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		value := strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(properties[name]) // certificates have lines
		fmt.Fprintf(&text, "%s=%s\n", name, value)
	}
	const first = "bootstrap.checkpoint"
	bootstrap, err := os.ReadFile(filepath.Join(home, "formatted", first))
	for name, data := range map[string][]byte{
		"server.properties":                      text.Bytes(),
		filepath.Join("data", first):             bootstrap,
		filepath.Join("data", "meta.properties"): fmt.Appendf(nil, "version=1\ncluster.id=%s\nnode.id=%d\n", clusterID, b.id),
	} {
		if err == nil {
			err = os.WriteFile(filepath.Join(b.dir, name), data, 0o600)
		}
	}
	return err
}

// start starts the process. What it logs is added to the file.
func (b *broker) start(home string, jvm []string) error {
	if b.process != nil {
		return fmt.Errorf("realkafka: broker %d is running already", b.id)
	}
	out, err := os.Create(b.log())
	if err != nil {
		return err
	}
	defer out.Close()
	alive, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	defer theirs.Close()
	p := exec.Command("java", slices.Concat(java(home), jvm, []string{"kafka.Kafka", filepath.Join(b.dir, "server.properties")})...)
	p.Stdout, p.Stderr, p.ExtraFiles = out, out, []*os.File{theirs}
	p.SysProcAttr = dieWithParent()
	if err := p.Start(); err != nil {
		alive.Close()
		return fmt.Errorf("realkafka: start broker %d: %w", b.id, err)
	}
	b.process, b.alive = p, alive
	return nil
}

// readyWithin is how long a broker may take to start, on a machine that is busy.
const readyWithin = 2 * time.Minute

// ready waits until clients may come.
func (b *broker) ready() error {
	for began := time.Now(); ; {
		switch {
		case strings.Contains(b.said(), "Kafka Server started") && b.answers():
			return nil
		case b.gone(50 * time.Millisecond):
			return fmt.Errorf("realkafka: broker %d has ended:\n%s", b.id, b.said())
		case time.Since(began) > readyWithin:
			return fmt.Errorf("realkafka: broker %d is not ready after %v:\n%s", b.id, readyWithin, b.said())
		}
	}
}

func (b *broker) answers() bool {
	c, err := net.Dial("tcp", b.listeners[plain])
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// end ends the process, if it runs, and waits for it.
func (b *broker) end(how syscall.Signal) error {
	if b.process == nil {
		return nil
	}
	gone := b.gone(0)
	err := b.process.Process.Signal(how)
	_ = b.process.Wait() // says that it was killed
	b.alive.Close()
	b.process = nil
	if gone {
		return fmt.Errorf("realkafka: broker %d had ended by itself:\n%s", b.id, b.said())
	}
	return err
}

// gone says whether the process has ended, or does within a time. A pipe tells
// that: who waits for a process is a goroutine, which tests for leaks would find.
func (b *broker) gone(within time.Duration) bool {
	_ = b.alive.SetReadDeadline(time.Now().Add(within))
	_, err := b.alive.Read(make([]byte, 1))
	return errors.Is(err, io.EOF)
}

// said is what the process has logged.
func (b *broker) said() string {
	text, err := os.ReadFile(b.log())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// freePorts finds ports where nobody listens. They are below those that
// connections get, so that a broker finds its port free when it comes back.
func freePorts(n int) (ports []int, err error) {
	const lowest, several = 20000, 10000
	for tries := 0; len(ports) < n; tries++ {
		port := lowest + rand.IntN(several)
		if slices.Contains(ports, port) {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
		if err == nil {
			err = l.Close()
			ports = append(ports, port)
		}
		if err != nil && tries > 1000 {
			return nil, fmt.Errorf("realkafka: find a free port: %w", err)
		}
	}
	return ports, nil
}
