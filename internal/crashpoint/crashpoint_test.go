package crashpoint_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/godstream/godstream/internal/crashpoint"
)

// TestMain is also the process that is to be killed.
func TestMain(m *testing.M) {
	if os.Getenv("CRASHPOINT_CHILD") != "" {
		for i := range 4 {
			crashpoint.At("other")
			crashpoint.At("put.done")
			fmt.Print(i)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func TestAt(t *testing.T) {
	for env, want := range map[string]struct {
		out  string
		dies bool
	}{
		"":                {"0123", false},
		"put.done:1":      {"", true},
		"put.done:3":      {"01", true},
		"put.done:5":      {"0123", false},
		"put.done":        {"0123", false},
		"put.done:0":      {"0123", false},
		"put.done:x":      {"0123", false},
		":1":              {"0123", false},
		"elsewhere:1":     {"0123", false},
		"append.synced:2": {"0123", false},
	} {
		t.Run(env, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), "CRASHPOINT_CHILD=1", "GODSTREAM_CRASH="+env)
			var out bytes.Buffer
			cmd.Stdout = &out
			err := cmd.Run()
			require.Equal(t, want.out, out.String())
			if !want.dies {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			require.False(t, cmd.ProcessState.Success())
			require.False(t, cmd.ProcessState.Exited() && cmd.ProcessState.ExitCode() == 0)
		})
	}
}
