package main

import (
	"bytes"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/godstream/godstream/examples/internal/program"
)

var update = flag.Bool("update", false, "rewrite testdata/output.txt")

// TestMain is also the program itself, for tests that need a process.
func TestMain(m *testing.M) {
	if os.Getenv("TWEETS_ROLLING_MAIN") != "" {
		main()
		os.Exit(0)
	}
	slog.SetLogLoggerLevel(slog.LevelWarn)
	goleak.VerifyTestMain(m)
}

// process runs the program; crash is where it is to be killed, "" for nowhere.
func process(t *testing.T, crash string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), "TWEETS_ROLLING_MAIN=1", "GODSTREAM_CRASH="+crash)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// printed is what was printed last of each batch.
func printed(t *testing.T, out string) map[string]string {
	t.Helper()
	all := map[string]string{}
	parts := strings.Split(strings.TrimSuffix(out, "\n\n"), "\n\n")
	require.Zero(t, len(parts)%3, "three outputs each: %s", out)
	for i := 0; i < len(parts); i += 3 {
		at := strings.Split(parts[i], "\n")[1]
		all[at] = strings.Join(parts[i:i+3], "\n\n")
	}
	return all
}

func TestTheArticlesSecondProgram(t *testing.T) {
	out, errs, err := process(t, "")
	require.NoError(t, err, errs)
	require.Equal(t, "13 batches, 1036 records, 0 of them malformed\n", errs)

	got := printed(t, out)
	require.Len(t, got, 13)
	for at, want := range map[string][]string{
		"17:08:55": {"Tweets this batch: 782\nTweets total (One minute rolling count): 782\n",
			"Author counts this batch:\tValue AnnaSabryan\tCount 8\nAuthor counts this batch:\tValue KHALILSAFADO\tCount 7\n",
			"Author counts (One minute rolling):\tValue AnnaSabryan\tCount 8\nAuthor counts (One minute rolling):\tValue KHALILSAFADO\tCount 7\n"},
		"17:09:00": {"Tweets this batch: 25\nTweets total (One minute rolling count): 807\n",
			"Author counts (One minute rolling):\tValue AnnaSabryan\tCount 9\nAuthor counts (One minute rolling):\tValue KHALILSAFADO\tCount 8\n"},
		"17:09:50": {"Tweets this batch: 28\nTweets total (One minute rolling count): 1012\n"},
		"17:09:55": {"Tweets this batch: 24\nTweets total (One minute rolling count): 254\n"},
	} {
		for _, text := range want {
			require.Contains(t, got["Time: 2017-01-11 "+at]+"\n", text)
		}
	}

	golden := filepath.Join("testdata", "output.txt")
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(out), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), out)
}

// A program that is killed goes on where it was: nothing is counted twice and
// nothing is missing.
func TestGoesOnAfterKills(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process that is killed there does not tell by what")
	}
	golden, err := os.ReadFile(filepath.Join("testdata", "output.txt"))
	require.NoError(t, err)
	want := printed(t, string(golden))
	dir := t.TempDir()
	all := ""
	for _, crash := range []string{"append.done:5", "append.synced:4", "put.renamed:1", ""} { // a batch that is run again is not logged again
		out, errs, err := process(t, crash, "-checkpoint", dir)
		all += out
		if crash == "" {
			require.NoError(t, err, errs)
			require.Contains(t, errs, "going on from "+dir+"; ")
			break
		}
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, crash)
		require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal(), errs)
	}
	require.Equal(t, want, printed(t, all))

	out, errs, err := process(t, "", "-checkpoint", dir)
	require.NoError(t, err)
	require.Empty(t, out, "there is nothing left to do")
	require.Equal(t, fmt.Sprintf("going on from %s; 0 later batches were begun and run again\n", dir), errs)
}

func TestAnotherInterval(t *testing.T) {
	var out, errs bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-interval", "15s", "-n", "0"}, &out, &errs))
	require.Contains(t, out.String(), "Time: 2017-01-11 17:09:00\n"+strings.Repeat("-", 43)+"\nTweets this batch: 807\nTweets total (One minute rolling count): 807\n")
	require.ErrorContains(t, run(t.Context(), []string{"-interval", "7s"}, &out, &errs), "7s")
}

func TestBadLinesAreToldAndNotCounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recording.ndjson")
	lines := `{"timestamp_ms":"1484154530007","user":{"screen_name":"ann"}}
{"timestamp_ms":"1484154530008","user":{}}
{"timestamp_ms":"1484154530009","user":{"screen_name":"bo
`
	require.NoError(t, os.WriteFile(path, []byte(lines), 0o600))
	var out, errs bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-recording", path}, &out, &errs))
	require.Contains(t, out.String(), "Tweets this batch: 1\nTweets total (One minute rolling count): 1\n")
	require.Equal(t, 2, strings.Count(errs.String(), "malformed: twitter/0@"))
	require.Contains(t, errs.String(), "user.screen_name is missing")
}

func TestUnknownFlag(t *testing.T) {
	var out, errs bytes.Buffer
	require.ErrorIs(t, run(t.Context(), []string{"-nope"}, &out, &errs), program.ErrUsage)
}
