package codec_test

import (
	"bytes"
	"encoding/gob"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godstream/godstream/codec"
	"pgregory.net/rapid"
)

type gobLine struct {
	SKU   string
	Count int32
	Price float64
}

type gobOrder struct {
	ID     uint64
	Lines  []gobLine
	Labels map[string][]int64
	Next   *gobOrder
	At     time.Time
	Sum    big.Int
	Grid   [2][3]int8
	Wave   complex128
	Raw    []byte
	Paid   bool
}

func TestGobRoundTrip(t *testing.T) {
	c := codec.Gob[gobOrder]()
	var draw func(r *rapid.T, depth int) gobOrder
	draw = func(r *rapid.T, depth int) gobOrder {
		o := gobOrder{
			ID:   rapid.Uint64().Draw(r, "id"),
			Raw:  rapid.SliceOfN(rapid.Byte(), 1, 9).Draw(r, "raw"),
			Paid: rapid.Bool().Draw(r, "paid"),
			Wave: complex(rapid.Float64().Draw(r, "re"), rapid.Float64().Draw(r, "im")),
			At:   time.Unix(rapid.Int64Range(0, 1<<33).Draw(r, "at"), 0).UTC(),
			Grid: [2][3]int8{{rapid.Int8().Draw(r, "a"), 0, 1}},
			Lines: rapid.SliceOfN(rapid.Custom(func(r *rapid.T) gobLine {
				return gobLine{rapid.String().Draw(r, "sku"), rapid.Int32().Draw(r, "count"), rapid.Float64().Draw(r, "price")}
			}), 1, 4).Draw(r, "lines"),
			Labels: rapid.MapOfN(rapid.String(), rapid.SliceOfN(rapid.Int64(), 1, 3), 1, 3).Draw(r, "labels"),
		}
		o.Sum.SetUint64(rapid.Uint64().Draw(r, "sum"))
		if depth > 0 && rapid.Bool().Draw(r, "more") {
			next := draw(r, depth-1)
			o.Next = &next
		}
		return o
	}
	rapid.Check(t, func(r *rapid.T) {
		want := draw(r, 3)
		data, err := c.Encode([]byte("before"), want)
		if err != nil || !bytes.HasPrefix(data, []byte("before")) {
			r.Fatal(err)
		}
		data = data[len("before"):]
		got, err := c.Decode(data)
		if err != nil || !reflect.DeepEqual(got, want) {
			r.Fatalf("%v\ngot  %+v\nwant %+v", err, got, want)
		}
		at := rapid.IntRange(0, len(data)).Draw(r, "cut")
		if v, err := c.Decode(data[:at]); (err == nil) != (at == len(data)) || err != nil && !reflect.ValueOf(v).IsZero() {
			r.Fatalf("the first %d bytes of %d: %v", at, len(data), err)
		}
		if _, err := c.Decode(append(slices.Clip(data), 0)); err == nil {
			r.Fatal("a byte more is taken")
		}
	})
}

func gobRoundTrip[T any](t *testing.T, v T) {
	t.Helper()
	c := codec.Gob[T]()
	data, err := c.Encode(nil, v)
	if err != nil {
		t.Errorf("%T: %v", v, err)
		return
	}
	got, err := c.Decode(data)
	if err != nil || !reflect.DeepEqual(got, v) {
		t.Errorf("%T: %v, %v; want %v", v, got, err, v)
	}
}

func TestGobOfOtherKinds(t *testing.T) {
	n := 7
	gobRoundTrip(t, 0)
	gobRoundTrip(t, -1)
	gobRoundTrip(t, uint8(255))
	gobRoundTrip(t, int64(math.MinInt64))
	gobRoundTrip(t, 1.5)
	gobRoundTrip(t, "")
	gobRoundTrip(t, true)
	gobRoundTrip(t, complex64(1i))
	gobRoundTrip(t, []byte("tea"))
	gobRoundTrip(t, &n)
	gobRoundTrip(t, []string{"tea", ""})
	gobRoundTrip(t, map[int]string{})
	gobRoundTrip(t, [2]bool{true})
	gobRoundTrip(t, [0]int{})
	gobRoundTrip(t, &gobLine{SKU: "tea"})
	gobRoundTrip(t, gobLine{})
	gobRoundTrip(t, time.Unix(1, 0).UTC())
	gobRoundTrip(t, []*gobLine{{Count: 1}, {}})
	gobRoundTrip(t, map[gobLine][]map[string]gobLine{{Count: 1}: {{"a": {SKU: "rye"}}, {}}})
}

func TestGobEvolves(t *testing.T) {
	type v1 struct {
		Old  map[string][]gobLine
		Name string
		N    int
	}
	type v2 struct {
		N    int64
		New  []int
		Name string
	}
	data, err := codec.Gob[v1]().Encode(nil, v1{map[string][]gobLine{"a": {{Count: 1}}}, "tea", 3})
	if err != nil {
		t.Fatal(err)
	}
	v, err := codec.Gob[v2]().Decode(data)
	if err != nil || v.Name != "tea" || v.N != 3 || v.New != nil {
		t.Errorf("%+v, %v", v, err)
	}
	if _, err := codec.Gob[struct{ Name int }]().Decode(data); err == nil || !strings.HasPrefix(err.Error(), "gob: ") {
		t.Errorf("a string for an int: %v", err)
	}
	if _, err := codec.Gob[struct{ Other int }]().Decode(data); err == nil {
		t.Error("no field in common")
	}
}

// goldenGob is gobLine{"tea", 3, 1.5}, its type first.
const goldenGob = "307f03010107676f624c696e6501ff800001030103534b55010c000105436f756e7401" +
	"04000105507269636501080000000eff800103746561010601fef83f00"

func TestGobGolden(t *testing.T) {
	data, err := hex.DecodeString(goldenGob)
	if err != nil {
		t.Fatal(err)
	}
	v, err := codec.Gob[gobLine]().Decode(data)
	if err != nil || v != (gobLine{"tea", 3, 1.5}) {
		t.Errorf("%+v, %v", v, err)
	}
	clear(data)
	if v.SKU != "tea" {
		t.Error("the value shares the bytes")
	}
}

func TestGobRefuses(t *testing.T) {
	message := func(parts ...string) string {
		body := strings.Join(parts, "")
		return string(rune(len(body))) + body
	}
	ints := message("\xff\x81", "\x02\x01\x02\xff\x82\x00\x01\x04\x00\x00")         // 65: []int
	strs := message("\xff\x83", "\x04\x01\x02\xff\x84\x00\x01\x0c\x01\x04\x00\x00") // 66: map[string]int
	self := message("\xff\x85", "\x02\x01\x02\xff\x86\x00\x01\xff\x86\x00\x00")     // 67: a slice of itself
	long := message("\xff\x82", "\x00\xfc\x40\x00\x00\x00", "\x02")                 // claims 2^30 elements
	longMap := message("\xff\x84", "\x00\xfc\x40\x00\x00\x00", "\x01a\x02")         // as a map
	tests := map[string]struct{ data, want string }{
		"nothing":                      {"", "gob: empty input"},
		"no value":                     {ints, "gob: the stream of 13 bytes ends within a value or a type"},
		"slice longer than the data":   {ints + long, "gob: the stream of 23 bytes ends within a value or a type"},
		"map longer than the data":     {strs + longMap, "gob: the stream of 27 bytes ends within a value or a type"},
		"message longer than the data": {"\xfc\x40\x00\x00\x00", "gob: the stream of 5 bytes ends within a value or a type"},
		"left over in the message":     {message("\x04", "\x00\x06", "\x00"), "gob: data is left over at byte 4"},
		"left over behind it":          {message("\x04", "\x00\x06") + "x", "gob: data is left over at byte 4"},
		"two values":                   {message("\x04", "\x00\x06") + message("\x04", "\x00\x06"), "gob: data is left over at byte 4"},
		"type that is not defined":     {message("\xff\x82", "\x00\x01"), "gob: type 65 is not defined, before byte 4"},
		"interface":                    {message("\x10", "\x00\x00"), "gob: an interface value, which may be of any type, before byte 3"},
		"type twice":                   {ints + ints, "gob: type 65 may not be defined here, before byte 16"},
		"long integer":                 {message("\x04", "\x00", "\xf0"), "gob: an integer of 16 bytes, before byte 4"},
		"deep":                         {self + deepGob(20000), "gob: values nested more than 10000 deep, before byte 10022"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := codec.Gob[[]int]().Decode([]byte(test.data))
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
	t.Run("nil pointer", func(t *testing.T) {
		b, err := codec.Gob[*int]().Encode([]byte("before"), nil)
		if string(b) != "before" || err == nil || err.Error() != "gob: nil *int" {
			t.Errorf("%q, %v", b, err)
		}
	})
}

// deepGob is the value of a slice of itself, that many levels deep.
func deepGob(levels int) string {
	body := "\xff\x86\x00" + strings.Repeat("\x01", levels) + "\x00"
	return string([]byte{0xfd, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}) + body
}

func TestGobOfAnInterface(t *testing.T) {
	type inner struct{ A map[string][]any }
	for _, err := range []error{codec.Gob[any]().Err(), codec.Gob[inner]().Err(), codec.Gob[[]*struct{ B inner }]().Err()} {
		if err == nil || !strings.Contains(err.Error(), "is an interface; use a type of its own") {
			t.Error(err)
		}
	}
	if err := codec.Gob[[]*struct{ B inner }]().Err(); err != nil && !strings.Contains(err.Error(), " B.A is ") {
		t.Error(err)
	}
}

type gobPanics struct{}

func (*gobPanics) GobDecode([]byte) error    { panic("stumbled") }
func (gobPanics) GobEncode() ([]byte, error) { return []byte("x"), nil }

func TestGobPanic(t *testing.T) {
	c := codec.Gob[gobPanics]()
	data, err := c.Encode(nil, gobPanics{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Decode(data); err == nil || err.Error() != "gob: panic while decoding: stumbled" {
		t.Error(err)
	}
}

func TestInvalid(t *testing.T) {
	fault := errors.New("spinach: no leaves")
	c := codec.Invalid[int]("spinach", fault)
	if c.Err() != fault || c.Name() != "spinach" || c.Check(nil).Err() != fault {
		t.Error(c.Err(), c.Name())
	}
	if _, err := c.Decode(nil); err != fault {
		t.Error(err)
	}
	if err := codec.Invalid[int]("x", nil).Err(); err == nil {
		t.Error("without a reason it can be used")
	}
}

func FuzzGob(f *testing.F) {
	for _, v := range []gobOrder{{}, {ID: 1, Lines: []gobLine{{"tea", 1, 2}}, Labels: map[string][]int64{"a": {1}}, Next: &gobOrder{Raw: []byte("x")}}} {
		data, err := codec.Gob[gobOrder]().Encode(nil, v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	if data, err := hex.DecodeString(goldenGob); err == nil {
		f.Add(data)
	}
	order, line, table := codec.Gob[gobOrder](), codec.Gob[*gobLine](), codec.Gob[map[string]int]()
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		v, err := order.Decode(data)
		_, _ = line.Decode(data)
		_, _ = table.Decode(data)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20+1000*uint64(len(data)) {
			t.Errorf("%d bytes for %d", used, len(data))
		}
		if err != nil {
			if !strings.HasPrefix(err.Error(), "gob: ") || len(err.Error()) > 300 {
				t.Errorf("%v", err)
			}
			return
		}
		var plain gobOrder // what is taken, encoding/gob takes
		if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&plain); err != nil {
			t.Fatal(err)
		}
		if again, err := order.Encode(nil, v); err != nil {
			t.Error(err)
		} else if _, err := order.Decode(again); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkGob(b *testing.B) {
	c := codec.Gob[gobLine]()
	data, err := c.Encode(nil, gobLine{"tea", 3, 1.5})
	if err != nil {
		b.Fatal(err)
	}
	j := codec.JSON[gobLine]()
	text, _ := j.Encode(nil, gobLine{"tea", 3, 1.5})
	b.Logf("%d bytes, JSON %d", len(data), len(text))
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = c.Decode(data)
		}
	})
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = c.Encode(nil, gobLine{"tea", 3, 1.5})
		}
	})
	b.Run("decode JSON", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = j.Decode(text)
		}
	})
}

func ExampleGob() {
	type total struct {
		Cents int64
		Last  time.Time
	}
	c := codec.Gob[total]()
	data, err := c.Encode(nil, total{1234, time.Unix(0, 0).UTC()})
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(c.Decode(data))

	type later struct { // the same, a year later
		Cents int64
		Count int
	}
	fmt.Println(codec.Gob[later]().Decode(data))
	_, err = c.Decode(append(data, "more"...))
	fmt.Println(err != nil)
	// Output:
	// {1234 1970-01-01 00:00:00 +0000 UTC} <nil>
	// {1234 0} <nil>
	// true
}
