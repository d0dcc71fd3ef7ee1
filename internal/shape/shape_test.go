package shape_test

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/codec"
	"github.com/godstream/godstream/internal/shape"
)

type (
	Visit struct {
		Page  string
		Count int64
	}
	Pair[K, V any] struct {
		Key   K
		Value V
	}
	Opt[T any] struct {
		Value T
		OK    bool
	}
	Base struct{ ID uint32 }
	Flat struct {
		Name  string
		Count int64
		Mean  float64
	}
	Deep struct {
		Base
		Tags  []string
		By    map[string]Opt[int]
		Next  *Visit
		At    time.Time
		Host  netip.Addr
		Sum   big.Int
		Grid  [2][3]int8
		Mark  [4]byte
		Raw   []byte
		Wave  []complex64
		Empty struct{}
		None  []struct{}
		On    bool
	}
	hidden struct{ seen int }
	List   struct{ Next *List }
	Stamp  struct {
		time.Time
		N int
	}
	OnlyStamp struct{ time.Time }
	Maybe     struct{ *big.Int }
	Level     string
)

func (h hidden) get() int { return h.seen }

func of[T any](t testing.TB) shape.Format[T] {
	t.Helper()
	f, err := shape.Of[T]()
	require.NoError(t, err)
	return f
}

// subject is a type and a value of it, without the type.
type subject struct {
	name  string
	shape func(testing.TB) string
	bytes func(testing.TB) []byte
	check func(testing.TB)
}

// value checks that v comes back equal, and that each shorter piece is refused.
func value[T any](v T) subject {
	return subject{
		name:  fmt.Sprintf("%T", v),
		shape: func(t testing.TB) string { return of[T](t).Shape() },
		bytes: func(t testing.TB) []byte {
			b, err := of[T](t).Append(nil, v)
			require.NoError(t, err)
			return b
		},
		check: func(t testing.TB) {
			f := of[T](t)
			data, err := f.Append([]byte("before"), v)
			require.NoError(t, err)
			data = append(data[len("before"):], "after"...)
			got, rest, err := f.Decode(data)
			require.NoError(t, err)
			assert.Equal(t, "after", string(rest))
			whole := data[:len(data)-len("after")]
			again, err := f.Append(nil, got)
			require.NoError(t, err)
			assert.Equal(t, hex.EncodeToString(whole), hex.EncodeToString(again))
			assert.True(t, f.Equal(v, got), "a value equals itself decoded")
			for n := range whole {
				_, rest, err := f.Decode(whole[:n:n])
				require.Errorf(t, err, "the first %d of %d bytes", n, len(whole))
				require.Len(t, rest, n)
			}
			if reflect.ValueOf(&v).Elem().Kind() != reflect.Float64 { // NaN
				assert.EqualValues(t, v, got)
			}
			for i := range whole { // the value keeps none of data
				whole[i] ^= 0xff
			}
			assert.True(t, f.Equal(v, got), "the value changed with the bytes it was read from")
		},
	}
}

var berlin = time.FixedZone("", 7200)

// The bytes and shapes are those of checkpoints that exist: never change them.
var golden = []struct {
	value        subject
	shape, bytes string
}{
	{value(true), "bool", "01"},
	{value(int8(-1)), "int8", "ff"},
	{value(int16(-2)), "int16", "03"},
	{value(int32(64)), "int32", "8001"},
	{value(-1), "int", "01"},
	{value(int64(math.MinInt64)), "int64", "ffffffffffffffffff01"},
	{value(uint8(200)), "uint8", "c8"},
	{value(uint16(300)), "uint16", "ac02"},
	{value(uint32(127)), "uint32", "7f"},
	{value(uint(128)), "uint", "8001"},
	{value(uint64(math.MaxUint64)), "uint64", "ffffffffffffffffff01"},
	{value(float32(1.5)), "float32", "0000c03f"},
	{value(-2.0), "float64", "00000000000000c0"},
	{value(math.Copysign(0, -1)), "float64", "0000000000000080"},
	{value(math.NaN()), "float64", "010000000000f87f"},
	{value(complex64(1 + 2i)), "complex64", "0000803f00000040"},
	{value(1i), "complex128", "0000000000000000000000000000f03f"},
	{value("tee"), "string", "03746565"},
	{value(Level("hi")), "string", "026869"},
	{value([]byte(nil)), "[]uint8", "00"},
	{value([]byte{}), "[]uint8", "01"},
	{value([]byte{7}), "[]uint8", "0207"},
	{value([]int{1, -1}), "[]int", "030201"},
	{value([]string(nil)), "[]string", "00"},
	{value([]struct{}{{}, {}}), "[]struct{}", "03"},
	{value([2]uint8{1, 2}), "[2]uint8", "0102"},
	{value([2]bool{true}), "[2]bool", "0100"},
	{value((*int)(nil)), "*int", "00"},
	{value(&Visit{"a", 1}), "*struct{Page string; Count int64}", "01016102"},
	{value(map[string]int64{"b": 2, "a": 1, "aa": 3}), "map[string]int64", "04016102016204026161" + "06"},
	{value(map[int]bool(nil)), "map[int]bool", "00"},
	{value(struct{}{}), "struct{}", ""},
	{value(Visit{"/", 7}), "struct{Page string; Count int64}", "012f0e"},
	{value(Pair[string, Opt[int]]{"k", Opt[int]{3, true}}), "struct{Key string; Value struct{Value int; OK bool}}", "016b0601"},
	{value(time.Unix(1, 2).UTC()), "binary", "0f010000000e7791f70100000002ffff"},
	{value(time.Unix(1, 2).In(berlin)), "binary", "0f010000000e7791f701000000020078"},
	{value(OnlyStamp{time.Unix(1, 2).UTC()}), "binary", "0f010000000e7791f70100000002ffff"},
	{value(netip.MustParseAddr("1.2.3.4")), "binary", "0401020304"},
	{value(*big.NewInt(-12)), "text", "032d3132"},
	{value(big.NewInt(7)), "*text", "010137"},
	{value(url.URL{Scheme: "http", Host: "h", Path: "/" + strings.Repeat("x", 130)}), "binary", "8b01" + hex.EncodeToString([]byte("http://h/"+strings.Repeat("x", 130)))},
	{value(Deep{
		Base: Base{5}, Tags: []string{"", "t"}, By: map[string]Opt[int]{"x": {1, true}}, Next: &Visit{"n", 2}, At: time.Unix(0, 0).UTC(),
		Host: netip.MustParseAddr("::1"), Sum: *big.NewInt(1), Grid: [2][3]int8{{1}, {0, 0, -1}}, Mark: [4]byte{9}, Raw: []byte("r"),
		Wave: []complex64{1}, None: []struct{}{}, On: true,
	}), "struct{Base struct{ID uint32}; Tags []string; By map[string]struct{Value int; OK bool}; Next *struct{Page string; Count int64}; At binary; " +
		"Host binary; Sum text; Grid [2][3]int8; Mark [4]uint8; Raw []uint8; Wave []complex64; Empty struct{}; None []struct{}; On bool}",
		"05" + "03000174" + "0201780201" + "01016e04" + "0f010000000e7791f70000000000ffff" + "1000000000000000000000000000000001" + "0131" +
			"0100000000ff" + "09000000" + "0272" + "020000803f00000000" + "01" + "01"},
}

func TestValuesComeBackAndTheirBytesStay(t *testing.T) {
	for _, g := range golden {
		t.Run(g.value.name, func(t *testing.T) {
			assert.Equal(t, g.shape, g.value.shape(t))
			assert.Equal(t, g.bytes, hex.EncodeToString(g.value.bytes(t)))
			g.value.check(t)
			parsed, err := shape.Parsed(g.shape)
			require.NoError(t, err)
			assert.Equal(t, g.shape, parsed)
		})
	}
}

func TestTypesWithoutAFormatAreRefusedWithTheirPath(t *testing.T) {
	refused := func(of func() error, path, why string) {
		t.Helper()
		err := of()
		require.Error(t, err)
		assert.True(t, strings.HasPrefix(err.Error(), "shape: "+path+": "), "%v", err)
		assert.Contains(t, err.Error(), why)
	}
	type user struct{ User hidden }
	_ = hidden{}.get()
	refused(fault[user], "user.User.seen", "unexported field without a marshaler; export it, implement encoding.BinaryMarshaler and BinaryUnmarshaler, or give a codec with stream.StateCodec")
	refused(fault[[]any], "[]interface {}[]", "an interface")
	refused(fault[struct{ F func() }], "struct.F", "kind func")
	refused(fault[struct{ C map[string]chan int }], "struct.C[]", "kind chan")
	refused(fault[unsafe.Pointer], "Pointer", "kind unsafe.Pointer")
	refused(fault[struct{ P [2]uintptr }], "struct.P[]", "kind uintptr")
	refused(fault[List], "List.Next", "shape_test.List is a recursive type")
	refused(fault[map[*int]int], "map[*int]int[key]", "a pointer can't be part of a key")
	refused(fault[Stamp], "Stamp", "its marshaler may be that of the embedded Time")
	refused(fault[Maybe], "Maybe", "its marshaler may be that of the embedded Int")
	refused(fault[struct{ Pair[int, any] }], "struct.Pair.Value", "an interface")
	refused(func() error { _, err := shape.KeyOf[Pair[string, *int]](); return err }, "Pair.Value", "a pointer can't be part of a key")

	key, err := shape.KeyOf[Pair[string, time.Time]]()
	require.NoError(t, err)
	assert.Equal(t, "struct{Key string; Value binary}", key.Shape())
}

func fault[T any]() error { _, err := shape.Of[T](); return err }

func TestEqualIsEqualBytes(t *testing.T) {
	one, other, nan := 1, 1, math.NaN()
	floats := of[float64](t)
	assert.False(t, floats.Equal(0, math.Copysign(0, -1)))
	assert.True(t, floats.Equal(nan, nan))
	assert.False(t, floats.Equal(nan, math.Float64frombits(math.Float64bits(nan)+1)))
	assert.True(t, of[*int](t).Equal(&one, &other))
	assert.False(t, of[*int](t).Equal(&one, nil))
	assert.False(t, of[[]int](t).Equal(nil, []int{}))
	assert.False(t, of[[]byte](t).Equal(nil, []byte{}))
	assert.True(t, of[map[string]int](t).Equal(map[string]int{"a": 1, "b": 2}, map[string]int{"b": 2, "a": 1}))
	assert.False(t, of[map[string]int](t).Equal(map[string]int{"a": 1}, map[string]int{"a": 2}))
	assert.False(t, of[[]Visit](t).Equal([]Visit{{"a", 1}}, []Visit{{"a", 2}}))
	now := time.Now()
	assert.True(t, of[time.Time](t).Equal(now, now.Round(0)), "the monotonic clock is not kept")
	assert.False(t, of[time.Time](t).Equal(now.UTC(), now.In(berlin)), "the zone is")
	assert.True(t, of[*big.Int](t).Equal(big.NewInt(3), big.NewInt(3)))
	twice := map[time.Time]int{now.In(berlin): 1, now.In(time.FixedZone("x", 7200)): 2}
	assert.False(t, of[map[time.Time]int](t).Equal(twice, twice), "what can't be encoded equals nothing")

	json := shape.ByCodec(codec.JSON[Visit]())
	assert.True(t, json.Equal(Visit{"a", 1}, Visit{"a", 1}))
	assert.False(t, json.Equal(Visit{"a", 1}, Visit{"a", 2}))
	assert.True(t, shape.ByCodec(codec.JSON[[]int]()).Equal([]int{1}, []int{1}))
	assert.False(t, shape.ByCodec(codec.JSON[float64]()).Equal(nan, nan), "JSON has no NaN")
}

func TestCodec(t *testing.T) {
	f := shape.ByCodec(codec.JSON[Visit]())
	assert.Equal(t, "codec json", f.Shape())
	data, err := f.Append(nil, Visit{"a", 1})
	require.NoError(t, err)
	assert.Equal(t, "\x16"+`{"Page":"a","Count":1}`, string(data))
	v, rest, err := f.Decode(append(data, 9))
	require.NoError(t, err)
	assert.Equal(t, Visit{"a", 1}, v)
	assert.Equal(t, []byte{9}, rest)
	for n := range data {
		_, _, err := f.Decode(data[:n])
		require.Error(t, err)
	}
	_, err = f.Reading("codec text", false)
	require.ErrorContains(t, err, "the checkpoint has codec text, the program codec json")
	_, err = of[Visit](t).Reading("codec json", false)
	require.ErrorContains(t, err, "shape: Visit: the checkpoint has codec json, the program struct{Page string; Count int64}")

	dst := []byte("x")
	dst, err = shape.ByCodec(codec.JSON[float64]()).Append(dst, math.NaN())
	require.Error(t, err)
	assert.Equal(t, "x", string(dst))
}

func TestTheZeroFormatOnlyGivesErrors(t *testing.T) {
	var f shape.Format[int]
	_, err := f.Append(nil, 1)
	require.Error(t, err)
	_, _, err = f.Decode([]byte{1})
	require.Error(t, err)
	_, err = f.Reading("int", false)
	require.Error(t, err)
	assert.Empty(t, f.Shape())
	assert.False(t, f.Equal(1, 1))
}

func TestWhatCanNotBeKept(t *testing.T) {
	dst, err := of[Pair[int, map[time.Time]int]](t).Append([]byte("x"), Pair[int, map[time.Time]int]{Value: map[time.Time]int{
		time.Unix(1, 0).In(berlin): 1, time.Unix(1, 0).In(time.FixedZone("x", 7200)): 2,
	}})
	require.ErrorContains(t, err, "shape: Pair.Value: two keys of the map have the same encoding")
	assert.Equal(t, "x", string(dst))
	_, err = of[[]struct{}](t).Append(nil, make([]struct{}, 1<<20+1))
	require.ErrorContains(t, err, "1048577 elements that hold nothing")
	_, err = of[Opt[time.Time]](t).Append(nil, Opt[time.Time]{Value: time.Now().In(time.FixedZone("", 1e9))})
	require.ErrorContains(t, err, "shape: Opt.Value: ")
}

func TestDamage(t *testing.T) {
	tests := map[string]struct {
		decode func([]byte) error
		data   string
		want   string
	}{
		"overlong":                 {decoder[int64](t), "8000", "shape: int64: a number is longer than it can be"},
		"eleven bytes":             {decoder[uint64](t), "ffffffffffffffffffff01", "longer than it can be"},
		"more than 64 bits":        {decoder[uint64](t), "ffffffffffffffffff02", "longer than it can be"},
		"ends within":              {decoder[int64](t), "80", "the bytes end within a number"},
		"int32 of 33 bits":         {decoder[int32](t), "8080808010", "shape: int32: 2147483648 does not fit"},
		"uint16 of 17 bits":        {decoder[uint16](t), "808004", "shape: uint16: 65536 does not fit"},
		"bool 2":                   {decoder[bool](t), "02", "the byte is 2"},
		"pointer 2":                {decoder[*int](t), "0200", "the byte is 2"},
		"long string":              {decoder[Visit](t), "ffffffff7f00", "shape: Visit.Page: 1 bytes are left, want 34359738367"},
		"long slice":               {decoder[[]int64](t), "ffffffffffffffffff01", "shape: []int64: 18446744073709551614 elements can't be in the 0 bytes"},
		"long map":                 {decoder[map[int8]int8](t), "040102", "3 elements can't be in the 2 bytes"},
		"many empty elements":      {decoder[[]struct{}](t), "ffffffffffffffff7f", "elements can't be"},
		"many empty keys":          {decoder[map[struct{}]struct{}](t), "818040", "not in ascending order"},
		"keys descend":             {decoder[map[string]int8](t), "030162000161" + "00", "not in ascending order"},
		"key twice":                {decoder[map[string]int8](t), "030161000161" + "00", "not in ascending order"},
		"-0 and 0":                 {decoder[map[float32]bool](t), "0300000000000000008000", "2 keys only 1 differ"},
		"long pointer's":           {decoder[*[1 << 20]int64](t), "0100", "1 bytes are left, want 1048576"},
		"time of the wrong length": {decoder[Opt[time.Time]](t), "0101", "shape: Opt.Value: "},
		"text that is no number":   {decoder[Opt[*big.Int]](t), "010178", "shape: Opt.Value: "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			data, err := hex.DecodeString(test.data)
			require.NoError(t, err)
			assert.Less(t, grows(func() { err = test.decode(data) }), uint64(1<<16))
			require.ErrorContains(t, err, test.want)
		})
	}
}

func decoder[T any](t testing.TB) func([]byte) error {
	f := of[T](t)
	return func(data []byte) error { _, _, err := f.Decode(data); return err }
}

func TestNothingIsAllocatedToAppend(t *testing.T) {
	dst := make([]byte, 0, 1<<10)
	page := strings.Repeat("p", 3)
	zero(t, "int64", of[int64](t), dst, 1<<40)
	zero(t, "string", of[string](t), dst, page)
	zero(t, "flat", of[Flat](t), dst, Flat{page, 1, 2})
	zero(t, "slices", of[Pair[[]string, *int]](t), dst, Pair[[]string, *int]{[]string{page, page}, new(int)})
	zero(t, "time", of[Opt[time.Time]](t), dst, Opt[time.Time]{time.Now(), true})
}

func zero[T any](t *testing.T, name string, f shape.Format[T], dst []byte, v T) {
	t.Helper()
	assert.Zero(t, testing.AllocsPerRun(100, func() { must(f.Append(dst, v)) }), name)
	assert.Zero(t, testing.AllocsPerRun(100, func() { f.Equal(v, v) }), name)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// grows is how many bytes f allocates.
func grows(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
