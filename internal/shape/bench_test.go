package shape_test

import (
	"encoding/binary"
	"math"
	"testing"
)

var sink any

func BenchmarkAppend(b *testing.B) {
	b.Run("int64", func(b *testing.B) { benchAppend(b, int64(123456)) })
	b.Run("int64/by-hand", func(b *testing.B) { handAppend(b, int64(123456), binary.AppendVarint) })
	b.Run("string", func(b *testing.B) { benchAppend(b, "/products/42") })
	b.Run("string/by-hand", func(b *testing.B) { handAppend(b, "/products/42", handString) })
	b.Run("struct", func(b *testing.B) { benchAppend(b, Flat{"/products/42", 123456, 1.5}) })
	b.Run("struct/by-hand", func(b *testing.B) { handAppend(b, Flat{"/products/42", 123456, 1.5}, handFlat) })
	b.Run("map of 3", func(b *testing.B) { benchAppend(b, map[string]int64{"a": 1, "b": 2, "c": 3}) })
}

func BenchmarkDecode(b *testing.B) {
	b.Run("int64", func(b *testing.B) { benchDecode(b, int64(123456)) })
	b.Run("string", func(b *testing.B) { benchDecode(b, "/products/42") })
	b.Run("struct", func(b *testing.B) { benchDecode(b, Flat{"/products/42", 123456, 1.5}) })
	b.Run("struct/by-hand", func(b *testing.B) {
		data := handFlat(nil, Flat{"/products/42", 123456, 1.5})
		b.ReportAllocs()
		var v Flat
		for b.Loop() {
			v = handDecode(data)
		}
		sink = v
	})
	b.Run("map of 3", func(b *testing.B) { benchDecode(b, map[string]int64{"a": 1, "b": 2, "c": 3}) })
}

func BenchmarkEqual(b *testing.B) {
	f, v, same := of[Flat](b), Flat{"/products/42", 123456, 1.5}, false
	b.ReportAllocs()
	for b.Loop() {
		same = f.Equal(v, v)
	}
	sink = same
}

func benchAppend[T any](b *testing.B, v T) {
	f, dst := of[T](b), make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = f.Append(dst[:0], v)
	}
}

func benchDecode[T any](b *testing.B, v T) {
	f := of[T](b)
	data := must(f.Append(nil, v))
	b.ReportAllocs()
	for b.Loop() {
		v, _, _ = f.Decode(data)
	}
	sink = v
}

func handAppend[T any](b *testing.B, v T, add func([]byte, T) []byte) {
	dst := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		dst = add(dst[:0], v)
	}
}

func handString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func handFlat(dst []byte, v Flat) []byte {
	dst = binary.AppendVarint(handString(dst, v.Name), v.Count)
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v.Mean))
}

func handDecode(data []byte) (v Flat) {
	n, k := binary.Uvarint(data)
	v.Name = string(data[k : k+int(n)])
	data = data[k+int(n):]
	v.Count, k = binary.Varint(data)
	v.Mean = math.Float64frombits(binary.LittleEndian.Uint64(data[k:]))
	return v
}
