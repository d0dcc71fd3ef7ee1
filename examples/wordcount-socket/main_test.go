package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/godstream/godstream/examples/internal/program"
)

func TestMain(m *testing.M) {
	slog.SetLogLoggerLevel(slog.LevelError)
	goleak.VerifyTestMain(m)
}

// counts adds up what was printed of all batches.
func counts(t *testing.T, out string) map[string]int {
	all := map[string]int{}
	for _, pair := range regexp.MustCompile(`(?m)^\((.*), (\d+)\)$`).FindAllStringSubmatch(out, -1) {
		n, err := strconv.Atoi(pair[2])
		require.NoError(t, err)
		all[pair[1]] += n
	}
	return all
}

func TestThePoem(t *testing.T) {
	var out, errs bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-interval", "20ms"}, &out, &errs))
	want := map[string]int{}
	for word := range strings.FieldsSeq(poem) {
		want[word]++
	}
	require.Equal(t, want, counts(t, out.String()))
	require.Empty(t, errs.String())
}

func TestAnotherServer(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var out, errs bytes.Buffer
	done := make(chan error)
	read, write := io.Pipe() // what is printed
	go func() {
		done <- run(ctx, []string{"-addr", server.Addr().String(), "-interval", "10ms"}, write, &errs)
		write.Close()
	}()
	for _, line := range []string{"a b a\r\n", "b"} { // it connects again
		c, err := server.Accept()
		require.NoError(t, err)
		io.WriteString(c, line)
		c.Close()
	}
	for b := make([]byte, 1000); len(counts(t, out.String())) < 2 || counts(t, out.String())["b"] < 2; {
		n, err := read.Read(b)
		require.NoError(t, err)
		out.Write(b[:n])
	}
	cancel()
	go io.Copy(io.Discard, read)
	require.NoError(t, <-done)
	require.Equal(t, map[string]int{"a": 2, "b": 2}, counts(t, out.String()))
}

func TestWrongArguments(t *testing.T) {
	var out, errs bytes.Buffer
	require.ErrorIs(t, run(t.Context(), []string{"-nope"}, &out, &errs), program.ErrUsage)
	require.ErrorContains(t, run(t.Context(), []string{"-addr", "nowhere"}, &out, &errs), `address "nowhere" is not host:port`)
}
