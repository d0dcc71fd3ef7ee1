package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	require.Equal(t, `-------------------------------------------
Time: 1970-01-01 00:00:10
-------------------------------------------
A1: tea, paid 350
A2: rye, not paid in this batch
A3: ink, paid 120

-------------------------------------------
Time: 1970-01-01 00:00:20
-------------------------------------------
A4: tea, paid 300
B7: paid 999, but nobody ordered it in this batch

`, out.String())
}
