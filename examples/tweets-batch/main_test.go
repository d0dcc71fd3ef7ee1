package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/godstream/godstream/examples/internal/program"
	"github.com/godstream/godstream/kafka/embedded"
)

func TestMain(m *testing.M) {
	slog.SetLogLoggerLevel(slog.LevelWarn)
	goleak.VerifyTestMain(m)
}

// section is what the program printed between two empty lines.
type section struct {
	time  string
	lines []string
}

func sections(t *testing.T, out string) (all []section) {
	t.Helper()
	rule := strings.Repeat("-", 43) + "\n"
	for _, text := range strings.Split(strings.TrimSuffix(out, "\n\n"), "\n\n") {
		rest, ok := strings.CutPrefix(text+"\n", rule+"Time: ")
		require.True(t, ok, "%q", text)
		at, rest, _ := strings.Cut(rest, "\n")
		rest, ok = strings.CutPrefix(rest, rule)
		require.True(t, ok, "%q", text)
		s := section{time: at}
		if rest = strings.TrimSuffix(rest, "\n"); rest != "" {
			s.lines = strings.Split(rest, "\n")
		}
		all = append(all, s)
	}
	return all
}

func TestTheArticlesFirstProgram(t *testing.T) {
	var out, errs bytes.Buffer
	require.NoError(t, run(t.Context(), nil, &out, &errs))
	got := sections(t, out.String())
	require.Len(t, got, 6)
	require.Equal(t, section{"2017-01-11 15:34:00", []string{"Tweets in this batch: 188"}}, got[0])
	for _, s := range got {
		require.Equal(t, "2017-01-11 15:34:00", s.time)
	}
	require.Len(t, got[1].lines, 11, "ten and dots")
	require.Len(t, got[3].lines, 5)
	require.Equal(t, "1 batches, 188 records, 0 of them malformed\n", errs.String())

	out.Reset()
	require.NoError(t, run(t.Context(), []string{"-n", "1000"}, &out, &errs))
	got = sections(t, out.String())
	want := count(t, recording, 60)
	at := time.Date(2017, 1, 11, 15, 34, 0, 0, time.UTC).Unix()
	requireCounts(t, want.authors[at], got[1].lines, false)
	requireCounts(t, want.authors[at], got[2].lines, true)
	maps.DeleteFunc(want.authors[at], func(name string, n int) bool { return n == 1 && !strings.HasPrefix(name, "rm") })
	requireCounts(t, want.authors[at], got[4].lines, true)
	require.Contains(t, got[4].lines, "(rmoff, 3)")
	require.Contains(t, got[4].lines, "(rmoff_test, 1)")
	requireCounts(t, want.words[at], got[5].lines, true)
}

// model counts a recording without the library.
type model struct {
	tweets    map[int64]int // by batch time in seconds
	authors   map[int64]map[string]int
	words     map[int64]map[string]int
	malformed int
	first     int64
	last      int64
}

func count(t *testing.T, recording []byte, interval int64) model {
	m := model{tweets: map[int64]int{}, authors: map[int64]map[string]int{}, words: map[int64]map[string]int{}}
	var batch int64
	lines := bufio.NewReader(bytes.NewReader(recording))
	for {
		line, err := lines.ReadBytes('\n')
		line = bytes.TrimSuffix(line, []byte("\n"))
		if len(bytes.TrimSpace(line)) > 0 {
			var tweet map[string]any
			decoded := utf8.Valid(line) && json.Unmarshal(line, &tweet) == nil
			if ms, ok := tweet["timestamp_ms"].(string); ok && decoded {
				n, err := strconv.ParseInt(ms, 10, 64)
				require.NoError(t, err)
				batch = max(batch, n/1000/interval*interval+interval)
				if m.first == 0 {
					m.first = batch
				}
				m.last = batch
			}
			user, _ := tweet["user"].(map[string]any)
			name, _ := user["screen_name"].(string)
			if !decoded || name == "" {
				m.malformed++
			} else {
				if m.authors[batch] == nil {
					m.authors[batch], m.words[batch] = map[string]int{}, map[string]int{}
				}
				m.tweets[batch]++
				m.authors[batch][name]++
				for _, w := range strings.Fields(tweet["text"].(string)) {
					m.words[batch][w]++
				}
			}
		}
		if err != nil {
			return m
		}
	}
}

func TestAnotherRecordingWithBadLines(t *testing.T) {
	var recording bytes.Buffer
	second := func(s int) string { return fmt.Sprint(time.Date(2020, 2, 3, 4, 5, s, 0, time.UTC).UnixMilli()) }
	tweet := func(s int, author, text string) {
		b, err := json.Marshal(map[string]any{"timestamp_ms": second(s), "user": map[string]any{"screen_name": author}, "text": text})
		require.NoError(t, err)
		recording.Write(append(b, '\n'))
	}
	tweet(1, "ann", "a b a")
	recording.WriteString(`{"timestamp_ms":"1580702799000","user":{"screen_name":"tr` + "\n") // truncated
	tweet(2, "bob", "a あ")
	tweet(4, "ann", "new\nline")
	recording.WriteString("[1,2]\nnull\n\n   \n\"text\"\n17\n")
	tweet(17, "rmx", "late")
	recording.WriteString("{\"timestamp_ms\":\"" + second(18) + "\",\"user\":{\"screen_name\":\"\xff\"}}\n")
	recording.WriteString(`{"timestamp_ms":"` + second(18) + `","text":"no user"}` + "\n")
	recording.WriteString(`{"timestamp_ms":"` + second(18) + `","user":null,"text":"null user"}` + "\n")
	recording.WriteString(`{"timestamp_ms":"` + second(18) + `","user":{"screen_name":7},"text":"a number"}` + "\n")
	recording.WriteString(`{"user":{"screen_name":"untimed"},"text":"of the line before"}` + "\r\n")
	tweet(31, "ann", strings.Repeat("long ", 200_000))
	recording.WriteString(`{"timestamp_ms":"` + second(40) + `","user":{"screen_name":"end"},"text":"no newline"}`)

	path := filepath.Join(t.TempDir(), "recording.ndjson")
	require.NoError(t, os.WriteFile(path, recording.Bytes(), 0o600))
	var out, errs bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-recording", path, "-interval", "5s", "-n", "1000"}, &out, &errs))

	want := count(t, recording.Bytes(), 5)
	require.Equal(t, 9, want.malformed)
	got := sections(t, out.String())
	require.Len(t, got, int(want.last-want.first)/5*6+6, "empty batches included")
	for i, s := range got {
		at := want.first + int64(i/6)*5
		require.Equal(t, time.Unix(at, 0).UTC().Format(time.DateTime), s.time)
		switch i % 6 {
		case 0:
			require.Equal(t, []string{fmt.Sprintf("Tweets in this batch: %d", want.tweets[at])}, s.lines)
		case 1, 2:
			requireCounts(t, want.authors[at], s.lines, i%6 == 2)
		case 5:
			requireCounts(t, want.words[at], s.lines, true)
		}
	}
	require.Equal(t, want.malformed, strings.Count(errs.String(), "malformed: twitter/0@"))
	require.Contains(t, errs.String(), "malformed: twitter/0@1: ")
	require.Contains(t, errs.String(), "user.screen_name is missing")
	require.Contains(t, errs.String(), "records, 9 of them malformed\n")
}

// requireCounts compares printed pairs with counts.
func requireCounts(t *testing.T, want map[string]int, lines []string, sorted bool) {
	t.Helper()
	got := map[string]int{}
	var counts []int
	for _, line := range lines {
		at := strings.LastIndex(line, ", ")
		require.Positive(t, at, "%q of %q", line, lines)
		n, err := strconv.Atoi(strings.TrimSuffix(line[at+2:], ")"))
		require.NoError(t, err)
		got[line[1:at]] = n
		counts = append(counts, n)
	}
	if want == nil {
		want = map[string]int{}
	}
	require.Equal(t, want, maps.Clone(got))
	if sorted {
		require.True(t, slices.IsSortedFunc(counts, func(a, b int) int { return b - a }), "%v", counts)
	}
}

func TestBrokersThatCannotBeReached(t *testing.T) {
	var out, errs bytes.Buffer
	err := run(t.Context(), []string{"-brokers", "127.0.0.1:1"}, &out, &errs)
	require.ErrorContains(t, err, "127.0.0.1:1")
	require.Empty(t, out.String())
}

func TestUnknownFlag(t *testing.T) {
	var out, errs bytes.Buffer
	require.ErrorIs(t, run(t.Context(), []string{"-nope"}, &out, &errs), program.ErrUsage)
	require.Contains(t, errs.String(), "-nope")
}

// A process that reads a cluster goes on until it is told to stop, and what it
// has committed is not read again.
func TestLiveUntilSIGTERM(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no SIGTERM")
	}
	broker, err := embedded.Start(embedded.Config{})
	require.NoError(t, err)
	defer broker.Close()
	_, err = broker.Load(t.Context(), "twitter", bytes.NewReader(recording))
	require.NoError(t, err)
	program := filepath.Join(t.TempDir(), "tweets-batch")
	built, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, "%s", built)

	live := func(untilLine string) (tweets []string, errs string) {
		var stderr bytes.Buffer
		cmd := exec.CommandContext(t.Context(), program, "-brokers", broker.Addrs()[0], "-interval", "200ms")
		cmd.Stderr = &stderr
		stdout, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines, told := bufio.NewScanner(stdout), false
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "Tweets in this batch: ") {
				tweets = append(tweets, lines.Text())
			}
			if lines.Text() == untilLine && !told { // a second signal would end it at once
				require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
				told = true
			}
		}
		require.NoError(t, cmd.Wait(), "%s", &stderr)
		return tweets, stderr.String()
	}
	tweets, errs := live("Tweets in this batch: 188")
	require.Contains(t, tweets, "Tweets in this batch: 188")
	require.Contains(t, errs, "188 records, 0 of them malformed\n")
	tweets, _ = live("Tweets in this batch: 0")
	require.NotContains(t, tweets, "Tweets in this batch: 188", "the group has committed them")
}
