package realkafka

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/godstream/godstream/internal/disk"
)

// version of Kafka, the same as in pom.xml.
const version = "4.1.1"

//go:embed pom.xml
var pom []byte

//go:embed log4j2.yaml
var logging []byte

// complete is a file that is there when everything else is.
const complete = "complete"

// home is where the jars of this version are kept.
func home() (string, error) {
	cache, err := os.UserCacheDir()
	return filepath.Join(cache, "godstream", "kafka-"+version), err
}

// install brings the jars onto this machine if they are not there yet, and what a
// new broker finds in its folder. Other processes may do the same.
func install() (string, error) {
	dir, err := home()
	if err != nil {
		return "", fmt.Errorf("realkafka: a place for the jars: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("realkafka: a place for the jars: %w", err)
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return "", fmt.Errorf("realkafka: lock %s: %w", dir, err)
	}
	defer unlock()
	if _, err := os.Stat(filepath.Join(dir, complete)); err == nil {
		return dir, nil
	}
	if err := fill(dir); err != nil {
		return "", fmt.Errorf("realkafka: install Kafka %s in %s: %w", version, dir, err)
	}
	return dir, nil
}

// lock waits for whoever installs at the moment.
func lock(file string) (func() error, error) {
	for {
		unlock, err := disk.Real.Lock(file)
		if taken := (*disk.Locked)(nil); !errors.As(err, &taken) {
			return unlock, err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func fill(dir string) error {
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, data := range map[string][]byte{"pom.xml": pom, "log4j2.yaml": logging, "format.properties": []byte(
		"process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:9093\ncontroller.listener.names=CONTROLLER\n" +
			"listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093\n" +
			"listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n" +
			"log.dirs=" + filepath.ToSlash(at("formatted")) + "\n")} {
		if err := os.WriteFile(at(name), data, 0o644); err != nil {
			return err
		}
	}
	for _, left := range []string{"jars", "formatted"} { // by one who was interrupted
		if err := os.RemoveAll(at(left)); err != nil {
			return err
		}
	}
	if err := run("mvn", "-q", "-B", "-f", at("pom.xml"), "dependency:copy-dependencies",
		"-DoutputDirectory="+at("jars"), "-DincludeScope=runtime"); err != nil {
		return err
	}
	// The folder of a new broker is made once and copied: that saves a JVM for each.
	if err := run("java", append(java(dir), "kafka.tools.StorageTool", "format", "-t", clusterID, "-c", at("format.properties"))...); err != nil {
		return err
	}
	return os.WriteFile(at(complete), nil, 0o644)
}

// clusterID is the same for all: they don't meet.
const clusterID = "AAAAAAAAAAAAAAAAAAAAAA"

// java is the arguments of every JVM, but for the class. The compiler that starts
// quickly is the better one for brokers that live for seconds.
func java(dir string) []string {
	return []string{
		"-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true",
		"-Dlog4j2.configurationFile=file:" + filepath.ToSlash(filepath.Join(dir, "log4j2.yaml")),
		"-cp", filepath.Join(dir, "jars", "*"),
	}
}

// run runs a command, whose output is only of interest if it fails.
func run(command string, args ...string) error {
	out, err := exec.Command(command, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", command, err, out)
	}
	return nil
}
