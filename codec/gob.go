package codec

import (
	"bytes"
	"encoding"
	"encoding/gob"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// Gob is one gob stream that holds one value, by encoding/gob: the definitions
// of its types, then the value. Go programs alone read it.
//
// Decode takes what [gob.Decoder] takes, so fields may have been added to T,
// removed and put into another order since; a type that has become another one
// is an error. It looks at all of the data first and refuses what is left over
// in or behind the value, lengths that the data does not have, and values nested
// more than 10,000 deep, so hostile bytes cost memory in proportion to their
// length: each of their elements has a byte at least and becomes one of T's. A
// panic while decoding, of a method of T too, is an error.
//
// T may hold no interface, whose value could be of any registered type. As gob
// does, Encode leaves out unexported fields, functions and channels, and does
// not tell a pointer to zero from nil, nor an empty slice from a nil one, in a
// field. Equal values may become different bytes: maps are written in any order,
// and types have the numbers in which the process came to know them.
//
// Each value brings its types along, which Decode has to compile each time: a
// struct of three fields takes 65 bytes and 20 µs to decode, where JSON takes 36
// bytes and 1.5 µs. It is for what JSON can't say, and for large values.
func Gob[T any]() Codec[T] {
	if where := findInterface(reflect.TypeFor[T](), map[reflect.Type]bool{}); where != "" {
		return Invalid[T]("gob", fmt.Errorf("codec: Gob of %s: %s is an interface; use a type of its own, or another codec", reflect.TypeFor[T](), where))
	}
	return New("gob", encodeGob[T], decodeGob[T])
}

func encodeGob[T any](dst []byte, v T) ([]byte, error) {
	if r := reflect.ValueOf(&v).Elem(); r.Kind() == reflect.Pointer && r.IsNil() {
		return nil, fmt.Errorf("gob: nil %s", r.Type())
	}
	out := bytes.NewBuffer(dst)
	if err := gob.NewEncoder(out).Encode(&v); err != nil {
		return nil, gobError(err)
	}
	return out.Bytes(), nil
}

func decodeGob[T any](data []byte) (v T, err error) {
	if err := walkGob(data); err != nil {
		return v, err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("gob: panic while decoding: %s", clip(fmt.Sprint(p), 200))
		}
	}()
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&v); err != nil {
		return v, gobError(err)
	}
	return v, nil
}

func gobError(err error) error {
	return &textError{text: "gob: " + clip(strings.TrimPrefix(err.Error(), "gob: "), 200), cause: err}
}

// findInterface names an interface that values of t hold, "" if there is none.
func findInterface(t reflect.Type, seen map[reflect.Type]bool) string {
	if seen[t] {
		return ""
	}
	seen[t] = true
	if t.Kind() == reflect.Interface {
		return "it"
	}
	for _, own := range []reflect.Type{reflect.TypeFor[gob.GobDecoder](), reflect.TypeFor[encoding.BinaryUnmarshaler](), reflect.TypeFor[encoding.TextUnmarshaler]()} {
		if t.Implements(own) || reflect.PointerTo(t).Implements(own) {
			return ""
		}
	}
	switch t.Kind() {
	case reflect.Struct:
		for f := range t.Fields() {
			if !f.IsExported() || f.Type.Kind() == reflect.Func || f.Type.Kind() == reflect.Chan {
				continue
			}
			switch where := findInterface(f.Type, seen); where {
			case "":
			case "it":
				return f.Name
			default:
				return f.Name + "." + where
			}
		}
	case reflect.Map:
		if where := findInterface(t.Key(), seen); where != "" {
			return where
		}
		return findInterface(t.Elem(), seen)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return findInterface(t.Elem(), seen)
	}
	return ""
}

// gobDepth is how deep values may be nested: encoding/gob has no limit, and a
// stack that overflows ends the process.
const gobDepth = 10000

// walkGob tells whether data is a gob stream that holds one value and nothing
// else. encoding/gob makes a map as large as the data says, and ignores what is
// left of a message behind the value.
func walkGob(data []byte) error {
	if len(data) == 0 {
		return errors.New("gob: empty input")
	}
	types := map[int64]gobType{}
	stream := gobWalk{rest: data}
	for {
		message := gobWalk{rest: stream.bytes(), types: types, err: stream.err}
		id := message.int()
		if id < 0 {
			message.define(-id)
		} else {
			if types[id].kind != 'S' && message.uint() != 0 && message.err == nil {
				message.err = errors.New("gob: a value that is no struct does not begin with zero")
			}
			message.value(id, 0)
		}
		at := len(data) - len(stream.rest) - len(message.rest)
		switch {
		case message.err == errGobShort:
			return fmt.Errorf("gob: the stream of %d bytes ends within a value or a type", len(data))
		case message.err != nil:
			return fmt.Errorf("%w, before byte %d", message.err, at)
		case len(message.rest) > 0 || id >= 0 && len(stream.rest) > 0:
			return fmt.Errorf("gob: data is left over at byte %d", at)
		case id >= 0:
			return nil
		}
	}
}

// gobType is a type as the stream defines it: an (a)rray, a (s)lice, a (S)truct,
// a (m)ap or (o)paque bytes of a marshaler.
type gobType struct {
	kind      byte
	key, elem int64
	len       int64
	fields    []int64
}

// gobWalk reads one message. The first error stays.
type gobWalk struct {
	rest  []byte
	types map[int64]gobType
	err   error
}

var errGobShort = errors.New("gob: the data is too short")

func (w *gobWalk) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *gobWalk) uint() uint64 {
	if w.err != nil || len(w.rest) == 0 {
		w.fail(errGobShort)
		return 0
	}
	first := w.rest[0]
	w.rest = w.rest[1:]
	if first < 0x80 {
		return uint64(first)
	}
	n := -int(int8(first))
	if n > 8 {
		w.fail(fmt.Errorf("gob: an integer of %d bytes", n))
		return 0
	}
	if n > len(w.rest) {
		w.fail(errGobShort)
		return 0
	}
	var u uint64
	for _, b := range w.rest[:n] {
		u = u<<8 | uint64(b)
	}
	w.rest = w.rest[n:]
	return u
}

func (w *gobWalk) int() int64 {
	u := w.uint()
	if u&1 != 0 {
		return ^int64(u >> 1)
	}
	return int64(u >> 1)
}

func (w *gobWalk) bytes() []byte {
	n := w.uint()
	if w.err != nil || n > uint64(len(w.rest)) {
		w.fail(errGobShort)
		return nil
	}
	out := w.rest[:n]
	w.rest = w.rest[n:]
	return out
}

// structure reads the fields of a struct; the function reads that of a number.
func (w *gobWalk) structure(known int, field func(n int)) {
	for at := uint64(0); ; {
		delta := w.uint()
		if w.err != nil || delta == 0 {
			return
		}
		if delta > uint64(known)-at {
			w.fail(fmt.Errorf("gob: field %d past the last of a struct of %d", delta, known))
			return
		}
		at += delta
		field(int(at))
	}
}

// define reads a wireType of encoding/gob.
func (w *gobWalk) define(id int64) {
	const firstOfUser = 64
	if _, again := w.types[id]; w.err == nil && (again || id < firstOfUser) {
		w.fail(fmt.Errorf("gob: type %d may not be defined here", id))
	}
	var t gobType
	w.structure(7, func(form int) {
		if t.kind != 0 {
			w.fail(fmt.Errorf("gob: type %d is defined as two kinds", id))
		}
		t.kind = "asSmooo"[form-1]
		w.structure([]int{3, 2, 2, 3, 1, 1, 1}[form-1], func(n int) {
			switch {
			case n == 1: // name and id, which gob does not look at
				w.structure(2, func(n int) {
					if n == 1 {
						w.bytes()
					} else {
						w.int()
					}
				})
			case t.kind == 'S':
				for left := w.uint(); left > 0 && w.err == nil; left-- {
					typ := int64(0)
					w.structure(2, func(n int) {
						if n == 1 {
							w.bytes()
						} else {
							typ = w.int()
						}
					})
					t.fields = append(t.fields, typ)
				}
			case t.kind == 'm' && n == 2:
				t.key = w.int()
			case t.kind == 'a' && n == 3:
				t.len = w.int()
			default:
				t.elem = w.int()
			}
		})
	})
	if t.kind == 0 {
		w.fail(fmt.Errorf("gob: type %d is of no kind", id))
	}
	if w.err == nil {
		w.types[id] = t
	}
}

// value reads a value of a type: each takes a byte at least, so that what is
// read many times ends with the data.
func (w *gobWalk) value(id int64, depth int) {
	if w.err == nil && depth > gobDepth {
		w.fail(fmt.Errorf("gob: values nested more than %d deep", gobDepth))
	}
	if w.err != nil {
		return
	}
	switch id {
	case 1, 2, 3, 4: // bool, int, uint, float
		w.uint()
		return
	case 5, 6: // []byte, string
		w.bytes()
		return
	case 7: // complex
		w.uint()
		w.uint()
		return
	case 8:
		w.fail(errors.New("gob: an interface value, which may be of any type"))
		return
	}
	switch t := w.types[id]; t.kind {
	case 'a', 's', 'm':
		n := w.uint()
		if t.kind == 'a' && n != uint64(t.len) {
			w.fail(fmt.Errorf("gob: an array of %d has %d elements", t.len, n))
		}
		for ; n > 0 && w.err == nil; n-- {
			if t.kind == 'm' {
				w.value(t.key, depth+1)
			}
			w.value(t.elem, depth+1)
		}
	case 'S':
		w.structure(len(t.fields), func(n int) { w.value(t.fields[n-1], depth+1) })
	case 'o':
		w.bytes()
	default:
		w.fail(fmt.Errorf("gob: type %d is not defined", id))
	}
}
