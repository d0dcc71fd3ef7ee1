package shape_test

import (
	"bytes"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/godstream/godstream/internal/shape"
)

// reading reads a value of Old, as it was stored, as one of New.
func reading[Old, New any](t *testing.T, old Old, accept bool) (New, error) {
	t.Helper()
	var none New
	was := of[Old](t)
	read, err := of[New](t).Reading(was.Shape(), accept)
	if err != nil {
		return none, err
	}
	data, err := was.Append(nil, old)
	require.NoError(t, err)
	for n := range data {
		_, _, err := read(data[:n:n])
		require.Error(t, err)
	}
	v, rest, err := read(append(data, 1))
	if err == nil {
		assert.Equal(t, []byte{1}, rest)
	}
	return v, err
}

func reads[Old, New any](t *testing.T, old Old, want New, accept bool) {
	t.Helper()
	got, err := reading[Old, New](t, old, accept)
	require.NoError(t, err)
	assert.Equal(t, want, got)
}

func refuses[Old, New any](t *testing.T, old Old, accept bool, why string) {
	t.Helper()
	_, err := reading[Old, New](t, old, accept)
	require.ErrorContains(t, err, why)
}

func TestReadingWhatAnOlderProgramWrote(t *testing.T) {
	type (
		one   struct{ A int32 }
		wide  struct{ A int64 }
		more  struct{ B, A, C int64 }
		moved struct {
			C string
			A int32
		}
		both struct {
			A int32
			C string
		}
		text struct{ A string }
	)
	reads(t, one{5}, wide{5}, false)
	reads(t, one{5}, more{A: 5}, false)
	reads(t, both{5, "c"}, moved{"c", 5}, false)
	reads(t, 7, int64(7), false)
	reads(t, int64(7), 7, false)
	reads(t, uint64(7), uint(7), false)
	reads(t, int8(-7), int64(-7), false)
	reads(t, uint8(200), uint16(200), false)
	reads(t, [2]int8{-1, 2}, [2]int16{-1, 2}, false)
	reads(t, []uint8{1, 2}, []uint32{1, 2}, false)
	reads(t, map[int8]one{-1: {2}}, map[int]more{-1: {A: 2}}, false)
	reads(t, &one{5}, &more{A: 5}, false)
	reads(t, []one{{1}, {2}}, []more{{A: 1}, {A: 2}}, false)
	reads(t, struct{}{}, one{}, false)

	refuses[both, one](t, both{5, "c"}, false, "shape: one.C: the checkpoint has this field (struct{A int32; C string}), the program does not (struct{A int32})")
	reads(t, both{5, "c"}, one{5}, true)
	type big struct {
		X Deep
		A int32
		Y map[string][]*Visit
		Z [3]complex128
	}
	reads(t, []big{{X: Deep{Tags: []string{"x"}, By: map[string]Opt[int]{"k": {}}}, A: 5, Y: map[string][]*Visit{"a": {nil, {"p", 1}}}}, {A: 6}}, []one{{5}, {6}}, true)

	refuses[one, text](t, one{5}, true, "shape: text.A: the checkpoint has int32, the program string; what is of another kind needs another name")
	refuses[wide, one](t, wide{5}, true, "shape: one.A: the checkpoint has int64, the program int32")
	refuses[uint32, int64](t, 1, true, "the checkpoint has uint32")
	refuses[float32, float64](t, 1, true, "the checkpoint has float32")
	refuses[[2]int, [3]int](t, [2]int{}, true, "the checkpoint has [2]int, the program [3]int")
	refuses[[]int, map[int]int](t, nil, true, "the checkpoint has []int")
	refuses[*int, int](t, nil, true, "the checkpoint has *int")
	refuses[[]byte, time.Time](t, nil, true, "the program binary")
	refuses[[]struct{}, []one](t, nil, true, "of which nothing is stored")
	// what told two keys apart is gone
	refuses[map[both]bool, map[one]bool](t, map[both]bool{{1, "a"}: true, {1, "b"}: true}, true, "2 keys only 1 differ")

	_, err := of[one](t).Reading("struct{A int32", false)
	require.ErrorContains(t, err, `shape: the stored shape "struct{A int32" can't be read: at byte 14: `)
}

// What random types are made of.
var leaves = []reflect.Type{
	reflect.TypeFor[bool](), reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[int16](), reflect.TypeFor[int32](), reflect.TypeFor[int64](),
	reflect.TypeFor[uint](), reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[uint32](), reflect.TypeFor[uint64](),
	reflect.TypeFor[float32](), reflect.TypeFor[float64](), reflect.TypeFor[complex64](), reflect.TypeFor[complex128](), reflect.TypeFor[string](),
	reflect.TypeFor[struct{}](), reflect.TypeFor[time.Time](), reflect.TypeFor[OnlyStamp](), reflect.TypeFor[Level](),
}

var names = []string{"A", "B", "C", "D", "E", "Äther"}

func drawType(t *rapid.T, depth int) reflect.Type {
	kind := 0
	if depth > 0 {
		kind = rapid.IntRange(0, 6).Draw(t, "kind")
	}
	switch kind {
	case 1:
		return reflect.SliceOf(drawType(t, depth-1))
	case 2:
		return reflect.ArrayOf(rapid.IntRange(0, 3).Draw(t, "length"), drawType(t, depth-1))
	case 3:
		return reflect.PointerTo(drawType(t, depth-1))
	case 4:
		return reflect.MapOf(rapid.SampledFrom(leaves[:16]).Draw(t, "key"), drawType(t, depth-1))
	case 5, 6:
		var fields []reflect.StructField
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 5, rapid.ID).Draw(t, "fields") {
			fields = append(fields, reflect.StructField{Name: name, Type: drawType(t, depth-1)})
		}
		return reflect.StructOf(fields)
	}
	return rapid.SampledFrom(leaves).Draw(t, "leaf")
}

func drawValue(t *rapid.T, typ reflect.Type) reflect.Value {
	v := reflect.New(typ).Elem()
	if typ == reflect.TypeFor[time.Time]() || typ == reflect.TypeFor[OnlyStamp]() {
		at := time.Unix(rapid.Int64Range(-1e10, 1e10).Draw(t, "s"), rapid.Int64Range(0, 999999999).Draw(t, "ns")).UTC()
		if typ == reflect.TypeFor[time.Time]() {
			return reflect.ValueOf(at)
		}
		return reflect.ValueOf(OnlyStamp{at})
	}
	switch typ.Kind() {
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		least := int64(-1) << (typ.Bits() - 1)
		v.SetInt(rapid.Int64Range(least, ^least).Draw(t, "int"))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(rapid.Uint64Range(0, math.MaxUint64>>(64-typ.Bits())).Draw(t, "uint"))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(rapid.Float32().Draw(t, "float")))
	case reflect.Complex64, reflect.Complex128:
		v.SetComplex(complex(float64(rapid.Float32().Draw(t, "real")), float64(rapid.Float32().Draw(t, "imag"))))
	case reflect.String:
		v.SetString(rapid.String().Draw(t, "string"))
	case reflect.Array:
		for i := range typ.Len() {
			v.Index(i).Set(drawValue(t, typ.Elem()))
		}
	case reflect.Slice:
		if n := rapid.IntRange(-1, 4).Draw(t, "length"); n >= 0 {
			v.Set(reflect.MakeSlice(typ, n, n))
			for i := range n {
				v.Index(i).Set(drawValue(t, typ.Elem()))
			}
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "there") {
			v.Set(reflect.New(typ.Elem()))
			v.Elem().Set(drawValue(t, typ.Elem()))
		}
	case reflect.Map:
		if n := rapid.IntRange(-1, 4).Draw(t, "length"); n >= 0 {
			v.Set(reflect.MakeMap(typ))
			for range n {
				v.SetMapIndex(drawValue(t, typ.Key()), drawValue(t, typ.Elem()))
			}
		}
	case reflect.Struct:
		for i := range typ.NumField() {
			v.Field(i).Set(drawValue(t, typ.Field(i).Type))
		}
	}
	return v
}

// evolve is a type that a later program may have instead of typ.
func evolve(t *rapid.T, typ reflect.Type, removed *bool) reflect.Type {
	if typ == reflect.TypeFor[time.Time]() || typ == reflect.TypeFor[OnlyStamp]() {
		return typ
	}
	wider := func(types ...reflect.Type) reflect.Type { return rapid.SampledFrom(types).Draw(t, "wider") }
	switch typ.Kind() {
	case reflect.Int8, reflect.Int16, reflect.Int32:
		return wider(typ, reflect.TypeFor[int](), reflect.TypeFor[int64]())
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return wider(typ, reflect.TypeFor[uint](), reflect.TypeFor[uint64]())
	case reflect.Int, reflect.Int64:
		return wider(reflect.TypeFor[int](), reflect.TypeFor[int64]())
	case reflect.Array:
		return reflect.ArrayOf(typ.Len(), evolve(t, typ.Elem(), removed))
	case reflect.Slice:
		return reflect.SliceOf(evolve(t, typ.Elem(), removed))
	case reflect.Pointer:
		return reflect.PointerTo(evolve(t, typ.Elem(), removed))
	case reflect.Map:
		return reflect.MapOf(evolve(t, typ.Key(), removed), evolve(t, typ.Elem(), removed))
	case reflect.Struct:
		var fields []reflect.StructField
		for i := range typ.NumField() {
			f := typ.Field(i)
			if rapid.IntRange(0, 3).Draw(t, "remove") == 0 {
				*removed = true
				continue
			}
			fields = append(fields, reflect.StructField{Name: f.Name, Type: evolve(t, f.Type, removed)})
		}
		if rapid.Bool().Draw(t, "add") {
			fields = append(fields, reflect.StructField{Name: "New", Type: drawType(t, 1)})
		}
		if len(fields) > 1 {
			fields = rapid.Permutation(fields).Draw(t, "order")
		}
		return reflect.StructOf(fields)
	}
	return typ
}

// convert is the naive model of Reading.
func convert(v reflect.Value, to reflect.Type) reflect.Value {
	out := reflect.New(to).Elem()
	if v.Type() == to {
		return v
	}
	switch to.Kind() {
	case reflect.Array:
		for i := range to.Len() {
			out.Index(i).Set(convert(v.Index(i), to.Elem()))
		}
	case reflect.Slice:
		if !v.IsNil() {
			out.Set(reflect.MakeSlice(to, v.Len(), v.Len()))
			for i := range v.Len() {
				out.Index(i).Set(convert(v.Index(i), to.Elem()))
			}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			out.Set(reflect.New(to.Elem()))
			out.Elem().Set(convert(v.Elem(), to.Elem()))
		}
	case reflect.Map:
		if !v.IsNil() {
			out.Set(reflect.MakeMap(to))
			for _, key := range v.MapKeys() {
				out.SetMapIndex(convert(key, to.Key()), convert(v.MapIndex(key), to.Elem()))
			}
		}
	case reflect.Struct:
		for i := range to.NumField() {
			if old := v.FieldByName(to.Field(i).Name); old.IsValid() {
				out.Field(i).Set(convert(old, to.Field(i).Type))
			}
		}
	default:
		return v.Convert(to)
	}
	return out
}

func TestRandomValuesOfRandomTypesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := drawType(t, 3)
		v := drawValue(t, typ)
		text, data, err := shape.AppendValue(v)
		require.NoError(t, err)
		parsed, err := shape.Parsed(text)
		require.NoError(t, err)
		require.Equal(t, text, parsed)
		got, rest, err := shape.ReadValue(typ, text, false, append(bytes.Clone(data), 1, 2))
		require.NoError(t, err)
		require.Equal(t, []byte{1, 2}, rest)
		require.Equal(t, v.Interface(), got.Interface())
		require.True(t, shape.Same(v, got))
		cut := rapid.IntRange(0, len(data)).Draw(t, "cut")
		_, _, err = shape.ReadValue(typ, text, false, data[:cut:cut])
		require.Equal(t, cut < len(data), err != nil)
		// Another value is the same if and only if its bytes are.
		other := drawValue(t, typ)
		_, others, err := shape.AppendValue(other)
		require.NoError(t, err)
		require.Equal(t, bytes.Equal(data, others), shape.Same(v, other))
	})
}

func TestRandomTypesMayEvolve(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := drawType(t, 3)
		v := drawValue(t, typ)
		stored, data, err := shape.AppendValue(v)
		require.NoError(t, err)
		var removed bool
		to := evolve(t, typ, &removed)
		got, rest, err := shape.ReadValue(to, stored, removed, data)
		if err != nil && bytes.Contains([]byte(err.Error()), []byte("of which nothing is stored")) {
			return
		}
		require.NoError(t, err)
		require.Empty(t, rest)
		require.Equal(t, convert(v, to).Interface(), got.Interface())
		if removed {
			_, _, err := shape.ReadValue(to, stored, false, data)
			require.ErrorContains(t, err, "the program does not")
		}
	})
}
