package recovery_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/internal/recovery"
	"github.com/godstream/godstream/source"
)

var someManifest = recovery.Manifest{ID: "id", App: "app", Number: 3, Generation: 1, Done: 7, Time: time.Unix(7, 0).UTC(),
	Sources:   []recovery.SourceState{{Name: "s", Positions: []source.Position{{Partition: "a\xff", Offset: 3, Mark: "\xfe"}}}},
	Operators: []recovery.Operator{{Name: "o", Kind: "k", Shapes: []string{"int"}, Keys: 1, Parts: []recovery.Part{{Save: 3, Offset: 16, Length: 4}}}},
	Saves:     []int64{1, 2}, Logs: []recovery.LogRef{{Number: 1, Last: 7}}}

var someEntries = []recovery.Entry{
	{Batch: 1, Time: time.Unix(1, 0).UTC(), Sources: []recovery.SourceEntry{{Name: "s", Ranges: []source.Range{{Partition: "\xff", From: 1, Until: 2, Mark: "m\xfe"}}}}},
	{Batch: 2, Time: time.Unix(2, 0).UTC(), Sources: []recovery.SourceEntry{{Name: "s", Records: []byte("records")}, {Name: "none"}, {Name: "empty", Records: []byte{}}}},
}

func someLog(t testing.TB) []byte {
	log := recovery.LogHead(1)
	salt := recovery.Salt(log)
	for _, e := range someEntries {
		var err error
		log, err = recovery.AppendEntry(log, salt, e)
		require.NoError(t, err)
	}
	return log
}

// Names of partitions and marks need not be UTF-8.
func TestWhatIsWrittenIsRead(t *testing.T) {
	data, err := recovery.AppendManifest(append(recovery.Head('s'), "part"...), someManifest)
	require.NoError(t, err)
	m, err := recovery.ReadManifest("save-000000000003", data)
	require.NoError(t, err)
	require.Equal(t, someManifest.Sources, m.Sources)
	require.Equal(t, someManifest.Operators, m.Operators)
	entries, err := recovery.ReadLog(recovery.LogName(1), someLog(t))
	require.NoError(t, err)
	require.Len(t, entries, 2)
	require.Equal(t, someEntries[0].Sources[0].Ranges, entries[0].Sources[0].Ranges)
	require.Equal(t, "records", string(entries[1].Sources[0].Records))
	require.Nil(t, entries[1].Sources[1].Records)
	require.NotNil(t, entries[1].Sources[2].Records)
}

// A record that looks like an entry of another log is not taken for one.
func TestRecordsAreNotTakenForEntries(t *testing.T) {
	log := recovery.LogHead(2)
	log, err := recovery.AppendEntry(log, recovery.Salt(log), recovery.Entry{Batch: 1, Sources: []recovery.SourceEntry{{Name: "s", Records: someLog(t)}}})
	require.NoError(t, err)
	entries, err := recovery.ReadLog(recovery.LogName(2), log[:len(log)-1])
	require.NoError(t, err)
	require.Empty(t, entries)
}

func FuzzReadManifest(f *testing.F) {
	data, err := recovery.AppendManifest(append(recovery.Head('s'), "part"...), someManifest)
	require.NoError(f, err)
	f.Add(data, []byte("{}"))
	f.Add([]byte{}, []byte(`{"number":1,"logs":[{}],"sources":[{"positions":[{"partition":{"base64":"/w=="}}]}]}`))
	f.Fuzz(func(t *testing.T, data, manifest []byte) {
		_, _ = recovery.ReadManifest("save-000000000003", data)
		if m, err := recovery.ReadManifest("save-000000000003", recovery.Sealed(manifest)); err == nil {
			for _, o := range m.Operators {
				for _, p := range o.Parts {
					_, _ = recovery.Cut(p, data)
				}
			}
		}
	})
}

func FuzzReadLog(f *testing.F) {
	f.Add(someLog(f), []byte(`{"batch":1}`), []byte("records"))
	f.Add([]byte{}, []byte(`{"batch":1,"sources":[{"records":-1},{"records":9223372036854775807}]}`), []byte{})
	f.Fuzz(func(t *testing.T, data, text, records []byte) {
		_, _ = recovery.ReadLog(recovery.LogName(1), data)
		log := recovery.LogHead(1)
		salt := recovery.Salt(log)
		_, _ = recovery.ReadLog(recovery.LogName(1), append(bytes.Clone(log), data...))
		_, _ = recovery.ReadLog(recovery.LogName(1), recovery.Framed(log, salt, text, records))
	})
}
