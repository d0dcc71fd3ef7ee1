// Package crashtest holds tests that kill a program: at every place that
// internal/crashpoint names, and at random instants. Started again on the same
// checkpoint, as often as it takes, it must have written what one writes that
// runs through.
//
// With GODSTREAM_KAFKA=real there are programs whose real brokers are killed too.
//
// The test binary is the program, too. GODSTREAM_KILLS is how many kills there
// are to be at random instants, and GODSTREAM_SEED repeats their choices.
package crashtest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/godstream/godstream/internal/crashpoint"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("CRASHTEST_DIR"); dir != "" {
		os.Exit(child(dir, os.Getenv("CRASHTEST_SETTINGS")))
	}
	if runtime.GOOS == "windows" {
		fmt.Println("skipped: a process that is killed there does not tell by what")
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// process is a run of the program.
type process struct {
	cmd    *exec.Cmd
	lines  *bufio.Reader
	stderr bytes.Buffer
}

// start runs the program. crash is where it is to be killed, "" for nowhere.
func start(t *testing.T, dir string, s settings, crash string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), "CRASHTEST_DIR="+dir, "CRASHTEST_SETTINGS="+s.String(), "GODSTREAM_CRASH="+crash)
	p.cmd.Stderr = &p.stderr
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.lines = bufio.NewReader(stdout)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // if the test fails in between
	return p
}

// until reads what the program says up to a line.
func (p *process) until(t *testing.T, line string) {
	t.Helper()
	for {
		got, err := p.lines.ReadString('\n')
		require.NoError(t, err, "no %q: %s", line, &p.stderr)
		if got == line {
			return
		}
	}
}

// wait waits for the end of the program. It says whether it was killed, and
// whether it had reached the end before; any other end fails the test.
func (p *process) wait(t *testing.T, rest string) (killed, reached bool) {
	t.Helper()
	err := p.cmd.Wait()
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	killed = status.Signaled() && status.Signal() == syscall.SIGKILL
	require.True(t, err == nil || killed, "%v: %s", err, &p.stderr)
	return killed, strings.Contains(rest, ended)
}

// end sends a signal after a time, and waits.
func (p *process) end(t *testing.T, after time.Duration, signal os.Signal) (killed, reached bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), after)
	defer cancel()
	return p.endWhen(t, ctx.Done(), signal)
}

// endWhen sends a signal when c is closed, and waits.
func (p *process) endWhen(t *testing.T, c <-chan struct{}, signal os.Signal) (killed, reached bool) {
	t.Helper()
	rest := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(p.lines)
		rest <- string(text)
	}()
	var text string
	select {
	case text = <-rest:
	case <-c:
		require.NoError(t, p.cmd.Process.Signal(signal))
		text = <-rest
	}
	return p.wait(t, text)
}

// result is what a program has written: the outputs of each batch, by output and
// time, and the files. Several whole lines of one output of a batch must agree.
type result map[string]string

func read(t *testing.T, dir string) result {
	t.Helper()
	got := result{}
	text, err := os.ReadFile(filepath.Join(dir, "lines"))
	require.NoError(t, err)
	for _, line := range strings.Split(string(text), "\n") {
		if line, ok := strings.CutSuffix(line, whole); ok {
			at, rest, _ := strings.Cut(line, "\t")
			output, elements, ok := strings.Cut(rest, "\t")
			require.True(t, ok, line)
			if before, again := got[at+" "+output]; again {
				require.Equal(t, before, elements, "%s of batch %s, written again", output, at)
			}
			got[at+" "+output] = elements
		}
	}
	files := filepath.Join(dir, "files")
	require.NoError(t, filepath.WalkDir(files, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == files { // it has none
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(files, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		got[name] = string(data)
		return err
	}))
	return got
}

// check compares what a program has written with what it should have.
func check(t *testing.T, source, dir string) {
	t.Helper()
	got := read(t, dir)
	if source == "live" {
		checkLive(t, got)
	} else {
		same(t, through[source](t), got)
	}
}

// checkLive counts again what a live program has counted: each number is in one
// batch, and all outputs follow from these.
func checkLive(t *testing.T, got result) {
	t.Helper()
	type batch struct{ count, sum int }
	batches := map[int64]batch{}
	for part, elements := range got {
		if at, ok := strings.CutSuffix(part, " numbers"); ok {
			ms, err := strconv.ParseInt(at, 10, 64)
			require.NoError(t, err)
			var b batch
			for _, text := range strings.Fields(strings.Trim(elements, `"[]`)) {
				n, err := strconv.Atoi(text)
				require.NoError(t, err)
				b.count++
				b.sum += n
			}
			batches[ms] = b
		}
	}
	want, next, sum := result{}, 0, 0
	for _, at := range slices.Sorted(maps.Keys(batches)) {
		of := make([]int, batches[at].count)
		for i := range of {
			of[i] = next
			next++
			sum += of[i]
		}
		var inWindow batch
		for before := at - span.Milliseconds() + 1; before <= at; before++ {
			inWindow.count += batches[before].count
			inWindow.sum += batches[before].sum
		}
		line := func(output, elements string) { want[fmt.Sprint(at, " ", output)] = fmt.Sprintf("%q", elements) }
		keyed := func(output string, value, of int) {
			if of == 0 {
				line(output, "[]")
			} else {
				line(output, fmt.Sprintf("[(all, %d)]", value))
			}
		}
		line("numbers", fmt.Sprint(of))
		keyed("total", sum, next)
		keyed("seen", next, next)
		if at%(2*tick.Milliseconds()) == 0 {
			line("count in window", fmt.Sprintf("[%d]", inWindow.count))
			keyed("sum in window", inWindow.sum, inWindow.count)
			keyed("sum in window, with inverse", inWindow.sum, inWindow.count)
		}
	}
	require.Equal(t, numbers, next, "each number is in one batch")
	same(t, want, got)
}

// same compares two results by their parts.
func same(t *testing.T, want, got result) {
	t.Helper()
	for part := range want {
		if _, ok := got[part]; !ok {
			t.Errorf("%s is missing", part)
		} else if want[part] != got[part] {
			t.Errorf("%s is\n%s\nwant\n%s", part, got[part], want[part])
		}
	}
	for part := range got {
		if _, ok := want[part]; !ok {
			t.Errorf("%s should not be there", part)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

// through is what a program writes that runs through, without a checkpoint.
var through = map[string]func(t *testing.T) result{}

func init() {
	for _, source := range []string{"function", "kafka"} {
		var once sync.Once
		var want result
		through[source] = func(t *testing.T) result {
			t.Helper()
			once.Do(func() { want, _ = runThrough(t, settings{source: source, partitions: 1, workers: 1, saveEvery: 1}) })
			require.Greater(t, len(want), 300)
			return want
		}
	}
}

// runThrough returns also how long it took.
func runThrough(t *testing.T, s settings) (result, time.Duration) {
	t.Helper()
	dir := t.TempDir()
	p := start(t, dir, s, "")
	p.until(t, began)
	at := time.Now()
	rest, err := io.ReadAll(p.lines)
	require.NoError(t, err)
	_, reached := p.wait(t, string(rest))
	require.True(t, reached)
	return read(t, dir), time.Since(at)
}

func TestUninterrupted(t *testing.T) {
	for source, want := range through {
		got, _ := runThrough(t, settings{source: source, store: true, partitions: 3, workers: 2, saveEvery: 1})
		same(t, want(t), got)
	}
	got, _ := runThrough(t, settings{source: "live", store: true, partitions: 3, workers: 2, saveEvery: 1})
	checkLive(t, got)
}

// At each place, after it was passed several times, until one run reaches the end.
// The live program is the one whose batches are lost if they are not logged.
func TestKilledAtEveryPlace(t *testing.T) {
	for i, name := range slices.Concat(crashpoint.Names, crashpoint.OfBatch) {
		source := "function"
		if i >= len(crashpoint.Names) {
			source = "live"
		}
		t.Run(source+"/"+name, func(t *testing.T) {
			t.Parallel()
			dir, kills := t.TempDir(), 0
			s := settings{source: source, store: true, partitions: 2, workers: 2, saveEvery: 1}
			for _, n := range []string{":1", ":2", ":9", ":50", ""} {
				crash := name + n
				if n == "" {
					crash = ""
				}
				p := start(t, dir, s, crash)
				rest, err := io.ReadAll(p.lines)
				require.NoError(t, err)
				killed, reached := p.wait(t, string(rest))
				if !killed {
					require.True(t, reached)
					break
				}
				kills++
			}
			if source == "function" { // a slow machine makes few batches of the live one
				require.GreaterOrEqual(t, kills, 2, "the place is hardly passed")
			}
			check(t, source, dir)
		})
	}
}

// amount is a number from the environment.
func amount(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, variable)
	return n
}

// howOften is how many kills there are to be, or as many as a slow machine can do
// in a time, and what chooses their instants.
func howOften(t *testing.T, kills int) (want int, budget time.Duration, rng *rand.Rand) {
	want, budget = amount(t, "GODSTREAM_KILLS", kills), 4*time.Second
	if os.Getenv("GODSTREAM_KILLS") != "" {
		budget = 24 * time.Hour
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("GODSTREAM_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, "GODSTREAM_SEED")
		seed = n
	}
	t.Logf("GODSTREAM_SEED=%d", seed)
	return want, budget, rand.New(rand.NewPCG(seed, 0))
}

// TestKilledAtRandomInstants starts programs and kills them between their first
// word and their last, again and again until they reach the end. Only kills in
// between count.
func TestKilledAtRandomInstants(t *testing.T) {
	want, budget, rng := howOften(t, 40)
	begin := time.Now()
	kills, stops, late, runs := 0, 0, 0, 0
	for kills < want && (time.Since(begin) < budget || kills == 0) { // a busy machine may be late with each
		source := []string{"function", "live", "kafka", "live"}[runs%4]
		dir, err := os.MkdirTemp("", "crashtest-")
		require.NoError(t, err)
		var story []string
		func() {
			defer func() {
				if t.Failed() {
					t.Logf("kept in %s: %s", dir, strings.Join(story, "; "))
				} else {
					os.RemoveAll(dir)
				}
			}()
			_, length := runThrough(t, settings{source: source, store: true, partitions: 2, workers: 2, saveEvery: 1})
			for reached := false; !reached; {
				s := settings{source: source, store: true, partitions: 1 + rng.IntN(4), workers: 1 + rng.IntN(3),
					saveEvery: []time.Duration{1, 1, 5 * time.Millisecond, time.Hour}[rng.IntN(4)]}
				after := time.Duration(rng.Float64() * float64(length) * 0.7)
				gently := rng.IntN(10) == 0
				if len(story) == 20 { // without a save between, it need not get any further
					after = time.Hour
				}
				story = append(story, fmt.Sprintf("%v: %v after %v", s, map[bool]string{false: "killed", true: "stopped"}[gently], after))
				p := start(t, dir, s, "")
				p.until(t, began)
				signal := syscall.SIGKILL
				if gently {
					signal = syscall.SIGTERM
				}
				var killed bool
				killed, reached = p.end(t, after, signal)
				switch {
				case killed && !reached:
					kills++
				case killed:
					late++
				case !reached:
					stops++
				}
			}
			check(t, source, dir)
			runs++
		}()
	}
	t.Logf("%d kills between the first word and the last, %d gentle stops, %d kills that came after the last word, in %d programs and %v", kills, stops, late, runs, time.Since(begin).Round(time.Second))
	require.Positive(t, kills)
}

// Of two processes on one checkpoint, the second is told which the first is.
func TestTwoProcesses(t *testing.T) {
	dir, s := t.TempDir(), settings{source: "function", store: true, partitions: 2, workers: 2, saveEvery: 1}
	holding := s
	holding.hold = true
	first := start(t, dir, holding, "")
	first.until(t, holds)

	second := start(t, dir, s, "")
	rest, err := io.ReadAll(second.lines)
	require.NoError(t, err)
	require.NotContains(t, string(rest), ended)
	require.Error(t, second.cmd.Wait())
	require.Equal(t, locked, second.cmd.ProcessState.ExitCode(), "checkpoint.ErrLocked")
	require.Equal(t, fmt.Sprintf("stream: app crashtest: checkpoint: open %s: in use by another App or process (pid %d); stop that or give this one a place of its own\n",
		filepath.Join(dir, "checkpoint"), first.cmd.Process.Pid), second.stderr.String())

	require.NoError(t, first.cmd.Process.Kill())
	rest, err = io.ReadAll(first.lines)
	require.NoError(t, err)
	killed, _ := first.wait(t, string(rest))
	require.True(t, killed)

	third := start(t, dir, s, "")
	rest, err = io.ReadAll(third.lines)
	require.NoError(t, err)
	_, reached := third.wait(t, string(rest))
	require.True(t, reached)
	check(t, "function", dir)
}
