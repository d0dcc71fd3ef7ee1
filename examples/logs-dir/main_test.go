package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/godstream/godstream/examples/internal/program"
)

func TestMain(m *testing.M) {
	slog.SetLogLoggerLevel(slog.LevelError)
	goleak.VerifyTestMain(m)
}

// printed is how the program prints a batch.
func printed(at string, lines ...string) string {
	rule := strings.Repeat("-", 43) + "\n"
	return rule + "Time: " + at + "\n" + rule + strings.Join(append(lines, ""), "\n") + "\n"
}

func TestTheSample(t *testing.T) {
	var out, errs bytes.Buffer
	require.NoError(t, run(t.Context(), nil, &out, &errs))
	require.Equal(t, printed("2017-01-11 15:34:00", "(200, 5)", "(404, 1)")+
		printed("2017-01-11 15:34:00", "(/, 2)", "(/tea, 2)", "(/style.css, 1)")+
		printed("2017-01-11 15:35:00", "(200, 1)", "(304, 1)", "(418, 1)", "(500, 1)")+
		printed("2017-01-11 15:35:00", "(/tea, 1)", "(/, 1)", "(/coffee, 1)")+
		printed("2017-01-11 15:36:00")+
		printed("2017-01-11 15:36:00")+
		printed("2017-01-11 15:37:00", "(200, 2)")+
		printed("2017-01-11 15:37:00", "(/, 1)", "(/tea, 1)"), out.String())
	require.Regexp(t, `^malformed: .*web-1\.log@\d+: not in Common Log Format\n$`, errs.String())
}

func TestFollow(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "access.log")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	read, write := io.Pipe() // what is printed
	done := make(chan error)
	var errs bytes.Buffer
	go func() {
		done <- run(ctx, []string{"-dir", dir, "-follow", "-interval", "10ms"}, write, &errs)
	}()
	await := func(text string) {
		var out bytes.Buffer
		for b := make([]byte, 1000); !strings.Contains(out.String(), text); {
			n, err := read.Read(b)
			require.NoError(t, err)
			out.Write(b[:n])
		}
	}
	log, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	defer log.Close()
	for _, page := range []string{"/one", "/two"} {
		_, err := log.WriteString(`203.0.113.7 - - [11/Jan/2017:15:33:04 +0000] "GET ` + page + ` HTTP/1.1" 200 2326` + "\n")
		require.NoError(t, err)
		await("(" + page + ", 1)")
	}
	cancel()
	go io.Copy(io.Discard, read)
	require.NoError(t, <-done)
	read.Close()
	require.Empty(t, errs.String())
}

func TestWrongArguments(t *testing.T) {
	var out, errs bytes.Buffer
	require.ErrorIs(t, run(t.Context(), []string{"-nope"}, &out, &errs), program.ErrUsage)
	require.ErrorContains(t, run(t.Context(), []string{"-dir", filepath.Join(t.TempDir(), "missing")}, &out, &errs), "missing")
}
