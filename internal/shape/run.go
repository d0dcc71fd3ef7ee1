package shape

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"time"
	"unsafe"
)

// The three functions below walk over a value by address. They must not let the
// address of the value escape, or each call would allocate: what is handed to
// others is on the heap already (format.heap) or copied there.

type sliceHeader struct {
	data     unsafe.Pointer
	len, cap int
}

// maxEmpty is how many elements without bytes a slice may have.
const maxEmpty = 1 << 20

// appendOps appends the value at p.
func appendOps(dst []byte, ops []op, p unsafe.Pointer) ([]byte, error) {
	var err error
	for i := range ops {
		o := &ops[i]
		q := unsafe.Add(p, o.offset)
		switch o.code {
		case codeBool, codeInt8, codeUint8:
			dst = append(dst, *(*byte)(q))
		case codeInt16:
			dst = appendVarint(dst, int64(*(*int16)(q)))
		case codeInt32:
			dst = appendVarint(dst, int64(*(*int32)(q)))
		case codeInt64:
			dst = appendVarint(dst, *(*int64)(q))
		case codeUint16:
			dst = appendUvarint(dst, uint64(*(*uint16)(q)))
		case codeUint32:
			dst = appendUvarint(dst, uint64(*(*uint32)(q)))
		case codeUint64:
			dst = appendUvarint(dst, *(*uint64)(q))
		case codeBits32:
			dst = binary.LittleEndian.AppendUint32(dst, *(*uint32)(q))
		case codeBits64:
			dst = binary.LittleEndian.AppendUint64(dst, *(*uint64)(q))
		case codeString:
			s := *(*string)(q)
			dst = append(appendUvarint(dst, uint64(len(s))), s...)
		case codeBytes:
			b := *(*[]byte)(q)
			if b == nil {
				dst = append(dst, 0)
				break
			}
			dst = append(appendUvarint(dst, uint64(len(b))+1), b...)
		case codeFixed:
			dst = append(dst, unsafe.Slice((*byte)(q), o.length)...)
		case codeArray:
			for i := range o.length {
				if dst, err = appendOps(dst, o.elem, unsafe.Add(q, uintptr(i)*o.size)); err != nil {
					return nil, err
				}
			}
		case codeSlice:
			s := *(*sliceHeader)(q)
			if s.data == nil {
				dst = append(dst, 0)
				break
			}
			dst = appendUvarint(dst, uint64(s.len)+1)
			if o.min == 0 {
				if s.len > maxEmpty {
					return nil, fmt.Errorf("shape: %s: %d elements that hold nothing, at most %d can be kept; keep their number", o.path, s.len, maxEmpty)
				}
				break
			}
			for i := range s.len {
				if dst, err = appendOps(dst, o.elem, unsafe.Add(s.data, uintptr(i)*o.size)); err != nil {
					return nil, err
				}
			}
		case codePointer:
			to := *(*unsafe.Pointer)(q)
			if to == nil {
				dst = append(dst, 0)
				break
			}
			if dst, err = appendOps(append(dst, 1), o.elem, to); err != nil {
				return nil, err
			}
		case codeMap:
			if dst, err = appendMap(dst, o, *(*unsafe.Pointer)(q)); err != nil {
				return nil, err
			}
		case codeTime:
			at := len(dst)
			if dst, err = (*time.Time)(q).AppendBinary(append(dst, 0)); err != nil {
				return nil, fmt.Errorf("shape: %s: %w", o.path, err)
			}
			dst[at] = byte(len(dst) - at - 1)
		case codeBinary, codeText:
			if dst, err = appendMarshaled(dst, o, hide(q)); err != nil {
				return nil, fmt.Errorf("shape: %s: %w", o.path, err)
			}
		}
	}
	return dst, nil
}

func appendVarint(dst []byte, x int64) []byte {
	return appendUvarint(dst, uint64(x)<<1^uint64(x>>63))
}

func appendUvarint(dst []byte, x uint64) []byte {
	if x < 0x80 {
		return append(dst, byte(x))
	}
	return binary.AppendUvarint(dst, x)
}

// hide keeps escape analysis from seeing that a marshaler is handed p. p is on
// the heap: see format.heap.
func hide(p unsafe.Pointer) unsafe.Pointer {
	x := uintptr(p)
	hidden := *(*unsafe.Pointer)(unsafe.Pointer(&x))
	runtime.KeepAlive(p)
	return hidden
}

func appendMarshaled(dst []byte, o *op, p unsafe.Pointer) ([]byte, error) {
	v := reflect.NewAt(o.typ, p).Interface()
	return appendSized(dst, func(dst []byte) ([]byte, error) {
		var b []byte
		var err error
		if o.code == codeBinary {
			if a, ok := v.(encoding.BinaryAppender); ok {
				return a.AppendBinary(dst)
			}
			b, err = v.(encoding.BinaryMarshaler).MarshalBinary()
		} else {
			if a, ok := v.(encoding.TextAppender); ok {
				return a.AppendText(dst)
			}
			b, err = v.(encoding.TextMarshaler).MarshalText()
		}
		return append(dst, b...), err
	})
}

// buffer is where the entries of a map are put before they are sorted, and
// values that are compared by their bytes.
type buffer struct {
	data    []byte
	entries []entry
}

type entry struct{ start, value, end int }

var scratch = sync.Pool{New: func() any { return new(buffer) }}

func appendMap(dst []byte, o *op, m unsafe.Pointer) ([]byte, error) {
	if m == nil {
		return append(dst, 0), nil
	}
	box := new(unsafe.Pointer)
	*box = m
	v := reflect.NewAt(o.typ, unsafe.Pointer(box)).Elem()
	dst = appendUvarint(dst, uint64(v.Len())+1)

	buf := scratch.Get().(*buffer)
	defer scratch.Put(buf)
	data, entries := buf.data[:0], buf.entries[:0]
	key, elem := reflect.New(o.typ.Key()), reflect.New(o.typ.Elem())
	var err error
	for iter := v.MapRange(); iter.Next(); {
		var e entry
		e.start = len(data)
		key.Elem().SetIterKey(iter)
		if data, err = appendOps(data, o.key, key.UnsafePointer()); err != nil {
			return nil, err
		}
		e.value = len(data)
		elem.Elem().SetIterValue(iter)
		if data, err = appendOps(data, o.elem, elem.UnsafePointer()); err != nil {
			return nil, err
		}
		e.end = len(data)
		entries = append(entries, e)
	}
	buf.data, buf.entries = data, entries
	slices.SortFunc(entries, func(a, b entry) int {
		return bytes.Compare(data[a.start:a.value], data[b.start:b.value])
	})
	for i, e := range entries {
		if i > 0 && bytes.Equal(data[entries[i-1].start:entries[i-1].value], data[e.start:e.value]) {
			return nil, fmt.Errorf("shape: %s: two keys of the map have the same encoding (% .20x)", o.path, data[e.start:e.value])
		}
		dst = append(dst, data[e.start:e.end]...)
	}
	return dst, nil
}

// decodeOps reads a value into p, which is zero, and returns what follows it.
func decodeOps(data []byte, ops []op, p unsafe.Pointer) ([]byte, error) {
	var err error
	for i := range ops {
		o := &ops[i]
		q := unsafe.Add(p, o.offset)
		switch o.code {
		case codeBool:
			if len(data) == 0 || data[0] > 1 {
				return nil, badByte(o.path, data)
			}
			*(*bool)(q) = data[0] == 1
			data = data[1:]
		case codeInt8, codeUint8:
			if len(data) == 0 {
				return nil, short(o.path, data, 1)
			}
			*(*byte)(q) = data[0]
			data = data[1:]
		case codeInt16, codeInt32, codeInt64:
			var x int64
			if o.oneByte {
				if len(data) == 0 {
					return nil, short(o.path, data, 1)
				}
				x = int64(int8(data[0]))
				data = data[1:]
			} else {
				u, k := uvarint(data)
				if k <= 0 {
					return nil, badVarint(o.path, k)
				}
				x = int64(u>>1) ^ -int64(u&1)
				data = data[k:]
			}
			switch {
			case o.code == codeInt64:
				*(*int64)(q) = x
			case o.code == codeInt32 && int64(int32(x)) == x:
				*(*int32)(q) = int32(x)
			case o.code == codeInt16 && int64(int16(x)) == x:
				*(*int16)(q) = int16(x)
			default:
				return nil, fmt.Errorf("shape: %s: %d does not fit", o.path, x)
			}
		case codeUint16, codeUint32, codeUint64:
			var x uint64
			if o.oneByte {
				if len(data) == 0 {
					return nil, short(o.path, data, 1)
				}
				x = uint64(data[0])
				data = data[1:]
			} else {
				var k int
				if x, k = uvarint(data); k <= 0 {
					return nil, badVarint(o.path, k)
				}
				data = data[k:]
			}
			switch {
			case o.code == codeUint64:
				*(*uint64)(q) = x
			case o.code == codeUint32 && x <= math.MaxUint32:
				*(*uint32)(q) = uint32(x)
			case o.code == codeUint16 && x <= math.MaxUint16:
				*(*uint16)(q) = uint16(x)
			default:
				return nil, fmt.Errorf("shape: %s: %d does not fit", o.path, x)
			}
		case codeBits32:
			if len(data) < 4 {
				return nil, short(o.path, data, 4)
			}
			*(*uint32)(q) = binary.LittleEndian.Uint32(data)
			data = data[4:]
		case codeBits64:
			if len(data) < 8 {
				return nil, short(o.path, data, 8)
			}
			*(*uint64)(q) = binary.LittleEndian.Uint64(data)
			data = data[8:]
		case codeString:
			n, k := uvarint(data)
			if k <= 0 {
				return nil, badVarint(o.path, k)
			}
			data = data[k:]
			if n > uint64(len(data)) {
				return nil, short(o.path, data, n)
			}
			*(*string)(q) = string(data[:n])
			data = data[n:]
		case codeBytes:
			n, isNil, rest, err := length(data, 1, o.path)
			if err != nil {
				return nil, err
			}
			data = rest
			if !isNil {
				b := make([]byte, n)
				copy(b, data)
				*(*[]byte)(q) = b
				data = data[n:]
			}
		case codeFixed:
			if len(data) < o.length {
				return nil, short(o.path, data, uint64(o.length))
			}
			copy(unsafe.Slice((*byte)(q), o.length), data)
			data = data[o.length:]
		case codeArray:
			for i := range o.length {
				if data, err = decodeOps(data, o.elem, unsafe.Add(q, uintptr(i)*o.size)); err != nil {
					return nil, err
				}
			}
		case codeSlice:
			n, isNil, rest, err := length(data, o.min, o.path)
			if err != nil {
				return nil, err
			}
			data = rest
			if isNil {
				break
			}
			s := sliceHeader{data: newArray(o, n), len: n, cap: n}
			if o.min > 0 {
				for i := range n {
					if data, err = decodeOps(data, o.elem, unsafe.Add(s.data, uintptr(i)*o.size)); err != nil {
						return nil, err
					}
				}
			}
			*(*sliceHeader)(q) = s
		case codePointer:
			if len(data) == 0 || data[0] > 1 {
				return nil, badByte(o.path, data)
			}
			there := data[0] == 1
			data = data[1:]
			if !there {
				break
			}
			if len(data) < o.min {
				return nil, short(o.path, data, uint64(o.min))
			}
			to := reflect.New(o.typ).UnsafePointer()
			if data, err = decodeOps(data, o.elem, to); err != nil {
				return nil, err
			}
			*(*unsafe.Pointer)(q) = to
		case codeMap:
			var m unsafe.Pointer
			if m, data, err = decodeMap(data, o); err != nil {
				return nil, err
			}
			*(*unsafe.Pointer)(q) = m
		case codeTime:
			body, rest, err := sized(data, o.path)
			if err != nil {
				return nil, err
			}
			if err := (*time.Time)(q).UnmarshalBinary(body); err != nil {
				return nil, fmt.Errorf("shape: %s: %w", o.path, err)
			}
			data = rest
		case codeBinary, codeText:
			body, rest, err := sized(data, o.path)
			if err != nil {
				return nil, err
			}
			if err := unmarshal(body, o, hide(q)); err != nil {
				return nil, fmt.Errorf("shape: %s: %w", o.path, err)
			}
			data = rest
		case codeSkip:
			if data, err = skip(data, o.skip, o.path); err != nil {
				return nil, err
			}
		}
	}
	return data, nil
}

// newArray makes the n elements of a slice, without reflect for the usual ones.
func newArray(o *op, n int) unsafe.Pointer {
	switch o.typ.Elem().Kind() {
	case reflect.Int64, reflect.Uint64, reflect.Float64:
		return unsafe.Pointer(unsafe.SliceData(make([]uint64, n)))
	case reflect.String:
		return unsafe.Pointer(unsafe.SliceData(make([]string, n)))
	}
	return reflect.MakeSlice(o.typ, n, n).UnsafePointer()
}

func unmarshal(body []byte, o *op, p unsafe.Pointer) error {
	v := reflect.NewAt(o.typ, p).Interface()
	if o.code == codeBinary {
		return v.(encoding.BinaryUnmarshaler).UnmarshalBinary(body)
	}
	return v.(encoding.TextUnmarshaler).UnmarshalText(body)
}

func decodeMap(data []byte, o *op) (unsafe.Pointer, []byte, error) {
	n, isNil, data, err := length(data, o.min, o.path)
	if isNil || err != nil {
		return nil, data, err
	}
	if o.min == 0 && n > 1 { // before room is made for them
		return nil, nil, unordered(o.path)
	}
	m := reflect.MakeMapWithSize(o.typ, n)
	key, elem := reflect.New(o.typ.Key()), reflect.New(o.typ.Elem())
	var before []byte
	for i := range n {
		key.Elem().SetZero()
		elem.Elem().SetZero()
		start := data
		if data, err = decodeOps(data, o.key, key.UnsafePointer()); err != nil {
			return nil, nil, err
		}
		now := start[:len(start)-len(data)]
		if i > 0 && bytes.Compare(before, now) >= 0 {
			return nil, nil, unordered(o.path)
		}
		before = now
		if data, err = decodeOps(data, o.elem, elem.UnsafePointer()); err != nil {
			return nil, nil, err
		}
		m.SetMapIndex(key.Elem(), elem.Elem())
	}
	if m.Len() != n { // -0 and 0, or what a field that is gone told apart
		return nil, nil, fmt.Errorf("shape: %s: of the map's %d keys only %d differ", o.path, n, m.Len())
	}
	return m.UnsafePointer(), data, nil
}

// skip passes over a value that the program has no place for.
func skip(data []byte, n *node, path string) ([]byte, error) {
	least := n.min
	if len(data) < least {
		return nil, short(path, data, uint64(least))
	}
	var err error
	switch n.kind {
	case reflect.Bool, reflect.Int8, reflect.Uint8, reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return data[least:], nil
	case reflect.String, kindBinary, kindText:
		_, rest, err := sized(data, path)
		return rest, err
	case reflect.Array:
		for i := 0; least > 0 && i < n.length; i++ {
			if data, err = skip(data, n.elem, path); err != nil {
				return nil, err
			}
		}
	case reflect.Slice:
		each := n.elem.min
		count, _, rest, err := length(data, each, path)
		if err != nil {
			return nil, err
		}
		data = rest
		for i := 0; each > 0 && i < count; i++ {
			if data, err = skip(data, n.elem, path); err != nil {
				return nil, err
			}
		}
	case reflect.Pointer:
		if data[0] > 1 {
			return nil, badByte(path, data)
		}
		if data[0] == 1 {
			return skip(data[1:], n.elem, path)
		}
		data = data[1:]
	case reflect.Map:
		each := n.key.min
		if more := n.elem.min; each+more >= each {
			each += more
		}
		count, _, rest, err := length(data, each, path)
		if err != nil {
			return nil, err
		}
		if each == 0 && count > 1 {
			return nil, unordered(path)
		}
		data = rest
		for range count {
			if data, err = skip(data, n.key, path); err != nil {
				return nil, err
			}
			if data, err = skip(data, n.elem, path); err != nil {
				return nil, err
			}
		}
	case reflect.Struct:
		for _, f := range n.fields {
			if data, err = skip(data, f.node, path); err != nil {
				return nil, err
			}
		}
	default: // the other integers
		_, k := uvarint(data)
		if k <= 0 {
			return nil, badVarint(path, k)
		}
		data = data[k:]
	}
	return data, nil
}

// length reads the length of a slice or map whose elements have at least each bytes.
func length(data []byte, each int, path string) (n int, isNil bool, rest []byte, err error) {
	u, k := uvarint(data)
	if k <= 0 {
		return 0, false, nil, badVarint(path, k)
	}
	rest = data[k:]
	if u == 0 {
		return 0, true, rest, nil
	}
	most := maxEmpty
	if each > 0 {
		most = len(rest) / each
	}
	if u-1 > uint64(most) {
		return 0, false, nil, fmt.Errorf("shape: %s: %d elements can't be in the %d bytes that are left", path, u-1, len(rest))
	}
	return int(u - 1), false, rest, nil
}

// uvarint is binary.Uvarint, but what could be shorter is refused: k is 0 if
// data ends too early, and negative if the number is no uvarint of 64 bits.
func uvarint(data []byte) (x uint64, k int) {
	if len(data) > 0 && data[0] < 0x80 {
		return uint64(data[0]), 1
	}
	x, k = binary.Uvarint(data)
	if k > 1 && data[k-1] == 0 {
		return 0, -k
	}
	return x, k
}

func badVarint(path string, k int) error {
	if k == 0 {
		return fmt.Errorf("shape: %s: the bytes end within a number", path)
	}
	return fmt.Errorf("shape: %s: a number is longer than it can be", path)
}

func badByte(path string, data []byte) error {
	if len(data) == 0 {
		return short(path, data, 1)
	}
	return fmt.Errorf("shape: %s: the byte is %d, want 0 or 1", path, data[0])
}

func short(path string, data []byte, want uint64) error {
	return fmt.Errorf("shape: %s: %d bytes are left, want %d", path, len(data), want)
}

func unordered(path string) error {
	return fmt.Errorf("shape: %s: the keys of the map are not in ascending order", path)
}

// sameOps says whether the values at a and b have the same encoding.
func sameOps(ops []op, a, b unsafe.Pointer) bool {
	for i := range ops {
		o := &ops[i]
		p, q := unsafe.Add(a, o.offset), unsafe.Add(b, o.offset)
		same := true
		switch o.code {
		case codeBool, codeInt8, codeUint8:
			same = *(*byte)(p) == *(*byte)(q)
		case codeInt16, codeUint16:
			same = *(*uint16)(p) == *(*uint16)(q)
		case codeInt32, codeUint32, codeBits32:
			same = *(*uint32)(p) == *(*uint32)(q)
		case codeInt64, codeUint64, codeBits64:
			same = *(*uint64)(p) == *(*uint64)(q)
		case codeString:
			same = *(*string)(p) == *(*string)(q)
		case codeBytes:
			x, y := *(*[]byte)(p), *(*[]byte)(q)
			same = (x == nil) == (y == nil) && bytes.Equal(x, y)
		case codeFixed:
			same = bytes.Equal(unsafe.Slice((*byte)(p), o.length), unsafe.Slice((*byte)(q), o.length))
		case codeArray:
			for i := 0; same && i < o.length; i++ {
				same = sameOps(o.elem, unsafe.Add(p, uintptr(i)*o.size), unsafe.Add(q, uintptr(i)*o.size))
			}
		case codeSlice:
			x, y := *(*sliceHeader)(p), *(*sliceHeader)(q)
			same = (x.data == nil) == (y.data == nil) && x.len == y.len
			for i := 0; same && o.min > 0 && i < x.len; i++ {
				same = sameOps(o.elem, unsafe.Add(x.data, uintptr(i)*o.size), unsafe.Add(y.data, uintptr(i)*o.size))
			}
		case codePointer:
			x, y := *(*unsafe.Pointer)(p), *(*unsafe.Pointer)(q)
			if x == nil || y == nil {
				same = x == y
			} else {
				same = sameOps(o.elem, x, y)
			}
		case codeTime:
			same = *(*time.Time)(p) == *(*time.Time)(q) || sameBytes(ops[i:i+1], a, b)
		default: // maps and marshalers, by their bytes
			same = sameBytes(ops[i:i+1], a, b)
		}
		if !same {
			return false
		}
	}
	return true
}

func sameBytes(ops []op, a, b unsafe.Pointer) bool {
	buf := scratch.Get().(*buffer)
	defer scratch.Put(buf)
	first, err := appendOps(buf.data[:0], ops, a)
	if err != nil {
		return false
	}
	both, err := appendOps(first, ops, b)
	if err != nil {
		return false
	}
	buf.data = both
	return bytes.Equal(both[:len(first)], both[len(first):])
}
