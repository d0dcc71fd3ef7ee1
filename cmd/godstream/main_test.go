package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
)

// made is a directory of a program that has failed in its fourth batch.
func made(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "checkpoint")
	app, err := stream.GetOrCreate(checkpoint.Dir(dir), func() (*stream.App, error) {
		app := stream.New(stream.Config{Name: "words", Ticks: stream.Step, SaveEvery: 1, Logger: slog.New(slog.DiscardHandler)})
		words := stream.From(app, source.Queue([]string{"a", "b"}, []string{"a"}, []string{"c"}, []string{"d"}), stream.Name("in"))
		totals := stream.UpdateStateByKey(stream.Map(words, func(w string) stream.Pair[string, int] { return stream.P(w, 1) }),
			func(n []int, total stream.Opt[int]) stream.Opt[int] { return stream.Some(total.Value + len(n)) }, stream.Name("totals"))
		stream.ForEachBatch(totals, func(_ context.Context, at stream.BatchInfo, _ batch.Batch[stream.Pair[string, int]]) error {
			if at.Time.Unix() == 4 {
				return errors.New("crash")
			}
			return nil
		})
		return app, nil
	})
	require.NoError(t, err)
	require.ErrorContains(t, app.Run(t.Context()), "crash")
	return dir
}

func show(args ...string) (out, errs string, status int) {
	var o, e bytes.Buffer
	status = run(append([]string{"checkpoint", "show"}, args...), &o, &e, time.Now())
	return o.String(), e.String(), status
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		all[e.Name()] = string(data)
	}
	return all
}

func TestShow(t *testing.T) {
	dir := made(t)
	before := files(t, dir)
	out, errs, status := show(dir)
	require.Zero(t, status, out)
	require.Empty(t, errs)
	require.Regexp(t, `App: +words\n`, out)
	require.Regexp(t, `Checkpoint: +4, of batch 3 at 1970-01-01T00:00:03Z, saved \S+ \(\d+s ago\)`, out)
	require.Regexp(t, `totals +updateStateByKey +3 keys +3 parts +\d+ bytes +string, int`, out)
	require.Regexp(t, `Sources:\n  in\n    "" +4 +"3"\n`, out)
	require.Regexp(t, `run again: 1\n  4 +1970-01-01T00:00:04Z\n    in +"" +4 to 5`, out)
	require.Regexp(t, `Older checkpoints:\n  1 .*whole\n`, out)
	require.Regexp(t, `save-000000000004 +\d+ bytes +whole`, out)
	require.Equal(t, before, files(t, dir), "nothing is changed")

	out, _, status = show("-json", dir)
	require.Zero(t, status)
	var s map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &s))
	require.Equal(t, "words", s["app"])
	require.Equal(t, true, s["whole"])
	require.EqualValues(t, 3, s["batches"])
	require.Len(t, s["begun"], 1)
	require.Len(t, s["operators"], 1)
}

func TestShowDamaged(t *testing.T) {
	dir := made(t)
	file := filepath.Join(dir, "save-000000000004")
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	data[len(data)/2] ^= 1
	require.NoError(t, os.WriteFile(file, data, 0o666))
	out, _, status := show(dir)
	require.Equal(t, 1, status)
	require.Regexp(t, `Checkpoint: +3, of batch 2`, out)
	require.Regexp(t, `save-000000000004 +\d+ bytes +DAMAGED`, out)
	require.Regexp(t, `run again: 2\n`, out)
	out, _, status = show("-json", dir)
	require.Equal(t, 1, status)
	require.Contains(t, out, `"whole": false`)

	for name := range files(t, dir) {
		if name != ".lock" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("nothing"), 0o666))
		}
	}
	out, _, status = show(dir)
	require.Equal(t, 1, status)
	require.Contains(t, out, "can be used")
}

func TestShowNothing(t *testing.T) {
	dir := t.TempDir()
	_, errs, status := show(filepath.Join(dir, "none"))
	require.Equal(t, 1, status)
	require.Contains(t, errs, "there is no directory "+filepath.Join(dir, "none"))
	_, errs, status = show(dir)
	require.Equal(t, 1, status)
	require.Contains(t, errs, dir+" has no checkpoint")
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"checkpoint"}, {"checkpoint", "drop"}, {"checkpoint", "show"}, {"checkpoint", "show", "a", "b"}, {"checkpoint", "show", "-x", "a"}} {
		var out, errs bytes.Buffer
		require.Equal(t, 2, run(args, &out, &errs, time.Now()), args)
		require.Contains(t, errs.String(), "usage: godstream checkpoint show", args)
	}
	for _, args := range [][]string{{"help"}, {"checkpoint", "show", "-h"}} {
		var out, errs bytes.Buffer
		require.Equal(t, 0, run(args, &out, &errs, time.Now()), args)
		require.Contains(t, out.String(), "usage: godstream checkpoint show", args)
	}
}
