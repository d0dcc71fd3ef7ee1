// Package program is how the examples start and end: signals, flags, exit codes.
package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// ErrUsage is what run returns after the flag set has said what is wrong.
var ErrUsage = errors.New("usage")

// Main runs a program until it ends, or gently ends it when it is interrupted
// or told to terminate; a second signal ends it at once. The exit code is 2
// after ErrUsage and 1 after any other error, which is printed.
func Main(run func(ctx context.Context, args []string, stdout, stderr io.Writer) error) {
	slog.SetLogLoggerLevel(slog.LevelWarn)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, ErrUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
