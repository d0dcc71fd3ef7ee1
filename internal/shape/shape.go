// Package shape says how elements of state, keys and panes are kept in a
// checkpoint: the built-in binary format of a type, and the shape, a text that
// describes a type so that a changed program is recognised.
//
//	format, err := shape.Of[Visit]()               // struct{Page string; Count int64}
//	data, err := format.Append(nil, Visit{"/", 7}) // 01 2f 0e
//	visit, rest, err := format.Decode(data)
//	older, err := format.Reading("struct{Page string}", false) // Count is 0 then
//
// The promise that is easy to get wrong: equal values have equal bytes, in every
// process, and each value has one encoding only; other bytes are refused. (Values
// with a marshaler or a codec keep this promise as far as that does.) A Format may
// be used by many goroutines at once.
//
// # Bytes
//
// Nothing in the bytes tells the type: a reader needs the shape. A uvarint is
// base 128, least significant group first, the high bit set in all bytes but the
// last (encoding/binary's), and as short as can be.
//
//	bool              1 byte, 0 or 1
//	int8 uint8        1 byte
//	uint uint16 …64   uvarint
//	int int16 …64     uvarint of the zigzag: 0, -1, 1, -2 … are 0, 1, 2, 3 …
//	float32 float64   4 or 8 bytes: the IEEE 754 bits, little endian
//	complex64 …128    the real part, the imaginary part
//	string            uvarint length in bytes, the bytes
//	[N]T              N values of T
//	[]T               uvarint length+1, that many values of T; nil is 0
//	*T                1 byte: 0 is nil, 1 is followed by the value of T
//	map[K]V           uvarint length+1, that many keys each with its value, by
//	                  ascending bytes of the keys; nil is 0
//	struct{…}         the fields in the order of the shape
//	binary            uvarint length, what MarshalBinary gives (time.Time too)
//	text              uvarint length, what MarshalText gives
//	codec NAME        uvarint length, what the codec gives
//
// # Shapes
//
// A shape is written like a Go type, of kinds and field names alone: named types
// have the shape of what they are made of. One blank stands where one is needed,
// fields are separated by "; ".
//
//	int64   []float64   [4]uint8   *int   map[string]int64   struct{}
//	struct{Page string; Seen binary; Tags []string}
//
// A type with both methods of encoding.BinaryMarshaler and BinaryUnmarshaler, its
// own or its pointer's, is "binary"; with those of TextMarshaler and
// TextUnmarshaler it is "text". "codec NAME" only stands alone.
package shape

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	"github.com/godstream/godstream/codec"
)

// Format turns values of T into bytes and back, and knows the shape of T. It is
// a small value: copy it. The zero Format only gives errors.
type Format[T any] struct{ f *format[T] }

type format[T any] struct {
	shape string
	kind  *node
	ops   []op // nil for a codec
	heap  bool // marshalers are handed pointers into the value
	codec *codec.Codec[T]
	exact bool // with a codec: values that are == are the same in every bit
}

var errZero = errors.New("shape: this is the zero Format; make one with shape.Of, shape.KeyOf or shape.ByCodec")

// Of returns the built-in format of T, or an error that names the field that has
// none and the way out.
func Of[T any]() (Format[T], error) { return of[T](false) }

// KeyOf returns the built-in format of a key. Pointers are refused: equal keys
// would not be found again. Floats are taken as they are, bit by bit.
func KeyOf[K comparable]() (Format[K], error) { return of[K](true) }

func of[T any](key bool) (Format[T], error) {
	t := reflect.TypeFor[T]()
	n, err := describe(t, key)
	if err != nil {
		return Format[T]{}, err
	}
	c := compiler{}
	ops, err := c.compile(nil, n, n, t, 0, rootName(t))
	if err != nil {
		return Format[T]{}, err
	}
	return Format[T]{&format[T]{shape: n.String(), kind: n, ops: ops, heap: c.heap}}, nil
}

// ByCodec is the format of a type that has a codec. Its shape is "codec NAME".
func ByCodec[T any](c codec.Codec[T]) Format[T] {
	n := &node{kind: kindCodec, name: c.Name()}
	return Format[T]{&format[T]{shape: n.String(), kind: n, codec: &c, exact: exact(reflect.TypeFor[T]())}}
}

// Shape describes T.
func (f Format[T]) Shape() string {
	if f.f == nil {
		return ""
	}
	return f.f.shape
}

// Append appends v to dst and returns it, or returns dst as it was and an error.
func (f Format[T]) Append(dst []byte, v T) (out []byte, err error) {
	switch {
	case f.f == nil:
		return dst, errZero
	case f.f.codec != nil:
		out, err = appendSized(dst, func(dst []byte) ([]byte, error) { return f.f.codec.Encode(dst, v) })
	case f.f.heap:
		out, err = appendOps(dst, f.f.ops, unsafe.Pointer(onHeap(v)))
	default:
		out, err = appendOps(dst, f.f.ops, unsafe.Pointer(&v))
	}
	if err != nil {
		return dst, err
	}
	return out, nil
}

// Decode reads a value from the start of data and returns what follows. The
// value keeps none of data. With an error it is the zero T, and rest is data.
func (f Format[T]) Decode(data []byte) (v T, rest []byte, err error) {
	switch {
	case f.f == nil:
		return v, data, errZero
	case f.f.codec != nil:
		return f.f.byCodec(data)
	}
	return decode[T](f.f.ops, f.f.heap, data)
}

func decode[T any](ops []op, heap bool, data []byte) (v T, rest []byte, err error) {
	if heap {
		h := onHeap(v)
		if rest, err = decodeOps(data, ops, unsafe.Pointer(h)); err == nil {
			return *h, rest, nil
		}
	} else if rest, err = decodeOps(data, ops, unsafe.Pointer(&v)); err == nil {
		return v, rest, nil
	}
	var zero T
	return zero, data, err
}

func (f *format[T]) byCodec(data []byte) (T, []byte, error) {
	var zero T
	body, rest, err := sized(data, rootName(reflect.TypeFor[T]()))
	if err != nil {
		return zero, data, err
	}
	v, err := f.codec.Decode(body)
	if err != nil {
		return zero, data, err
	}
	return v, rest, nil
}

// Reading returns the decoder of bytes that were written with the shape stored.
// Fields may have been added (they are zero then) and moved, integers may have
// become wider. A field that is gone is an error, unless accept is true: it is
// skipped then. Another kind is always an error.
func (f Format[T]) Reading(stored string, accept bool) (func(data []byte) (T, []byte, error), error) {
	if f.f == nil {
		return nil, errZero
	}
	if stored == f.f.shape {
		return f.Decode, nil
	}
	was, err := parse(stored)
	if err != nil {
		return nil, err
	}
	t := reflect.TypeFor[T]()
	c := compiler{accept: accept}
	ops, err := c.compile(nil, was, f.f.kind, t, 0, rootName(t))
	if err != nil {
		return nil, err
	}
	return func(data []byte) (T, []byte, error) { return decode[T](ops, c.heap, data) }, nil
}

// Equal says whether a and b have the same encoding. It encodes them only where
// it must, as with maps and marshalers; a value that can't be encoded then equals
// none.
func (f Format[T]) Equal(a, b T) bool {
	switch {
	case f.f == nil:
		return false
	case f.f.codec != nil:
		if f.f.exact && any(a) == any(b) {
			return true
		}
		buf := scratch.Get().(*buffer)
		defer scratch.Put(buf)
		first, err := f.f.codec.Encode(buf.data[:0], a)
		if err != nil {
			return false
		}
		both, err := f.f.codec.Encode(first, b)
		buf.data = both
		return err == nil && bytes.Equal(both[:len(first)], both[len(first):])
	case f.f.heap:
		return sameOps(f.f.ops, unsafe.Pointer(onHeap(a)), unsafe.Pointer(onHeap(b)))
	}
	return sameOps(f.f.ops, unsafe.Pointer(&a), unsafe.Pointer(&b))
}

// onHeap copies v, and what it points to, to where others may keep pointers to it.
//
//go:noinline
func onHeap[T any](v T) *T { return &v }

// appendSized appends what add appends, its length before it.
func appendSized(dst []byte, add func([]byte) ([]byte, error)) ([]byte, error) {
	at := len(dst)
	dst, err := add(append(dst, 0)) // one byte is most often enough for the length
	if err != nil {
		return nil, err
	}
	n := len(dst) - at - 1
	if n < 0 {
		return nil, errors.New("shape: the marshaler took bytes away instead of appending some")
	}
	if n < 0x80 {
		dst[at] = byte(n)
		return dst, nil
	}
	var length [binary.MaxVarintLen64]byte
	k := binary.PutUvarint(length[:], uint64(n))
	dst = append(dst, length[:k-1]...)
	copy(dst[at+k:], dst[at+1:at+1+n])
	copy(dst[at:], length[:k])
	return dst, nil
}

// sized is the opposite of appendSized.
func sized(data []byte, path string) (body, rest []byte, err error) {
	n, k := uvarint(data)
	if k <= 0 {
		return nil, nil, badVarint(path, k)
	}
	data = data[k:]
	if n > uint64(len(data)) {
		return nil, nil, fmt.Errorf("shape: %s: %d bytes are left, want %d", path, len(data), n)
	}
	return data[:n:n], data[n:], nil
}
