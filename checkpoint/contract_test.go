package checkpoint_test

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/checkpoint/checkpointtest"
)

// TestMain is also the process that holds a directory or is killed.
func TestMain(m *testing.M) {
	if run := children[os.Getenv("CHECKPOINT_CHILD")]; run != nil {
		run(os.Getenv("CHECKPOINT_DIR"))
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func TestDirContract(t *testing.T) {
	checkpointtest.Run(t, func(t testing.TB) checkpoint.Store {
		return checkpoint.Dir(filepath.Join(t.TempDir(), "a", "b"))
	})
}
