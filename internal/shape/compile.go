package shape

import (
	"fmt"
	"reflect"
)

// op is one step of encoding or decoding: a value at an offset. Structs leave no
// trace, their fields follow one another as their bytes do.
type op struct {
	code    code
	oneByte bool // the stored integer was an int8 or uint8
	offset  uintptr
	path    string

	length int          // of an array
	size   uintptr      // of an element in memory
	min    int          // the least number of bytes of an element, or of key and value
	key    []op         // of a map
	elem   []op         // of an array, slice, pointer or map
	typ    reflect.Type // what reflect must make: slice, pointer's element, map, marshaler
	skip   *node        // what was stored and is no more
}

type code uint8

const (
	codeBool code = iota
	codeInt8
	codeInt16
	codeInt32
	codeInt64
	codeUint8
	codeUint16
	codeUint32
	codeUint64
	codeBits32 // float32
	codeBits64 // float64
	codeString
	codeBytes // []uint8
	codeFixed // [N]uint8
	codeArray
	codeSlice
	codePointer
	codeMap
	codeTime
	codeBinary
	codeText
	codeSkip
)

type compiler struct {
	accept bool
	heap   bool // set when a marshaler is met
}

// compile appends to ops what reads and, if was is now, writes a t at offset.
// was is the stored shape, now that of t.
func (c *compiler) compile(ops []op, was, now *node, t reflect.Type, offset uintptr, path string) ([]op, error) {
	if !compatible(was, now) {
		return nil, fmt.Errorf("shape: %s: the checkpoint has %v, the program %v; what is of another kind needs another name", path, was, now)
	}
	o := op{offset: offset, path: path}
	var err error
	switch now.kind {
	case reflect.Bool:
		o.code = codeBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		o.code = map[uintptr]code{1: codeInt8, 2: codeInt16, 4: codeInt32, 8: codeInt64}[t.Size()]
		o.oneByte = was.kind == reflect.Int8
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		o.code = map[uintptr]code{1: codeUint8, 2: codeUint16, 4: codeUint32, 8: codeUint64}[t.Size()]
		o.oneByte = was.kind == reflect.Uint8
	case reflect.Float32:
		o.code = codeBits32
	case reflect.Float64:
		o.code = codeBits64
	case reflect.Complex64:
		o.code = codeBits32
		second := o
		second.offset += 4
		return append(ops, o, second), nil
	case reflect.Complex128:
		o.code = codeBits64
		second := o
		second.offset += 8
		return append(ops, o, second), nil
	case reflect.String:
		o.code = codeString
	case reflect.Array:
		if now.elem.kind == reflect.Uint8 && was.elem.kind == reflect.Uint8 {
			o.code, o.length = codeFixed, t.Len()
			break
		}
		o.code, o.length, o.size = codeArray, t.Len(), t.Elem().Size()
		if o.elem, err = c.compile(nil, was.elem, now.elem, t.Elem(), 0, path+"[]"); err != nil {
			return nil, err
		}
		if o.length == 0 || len(o.elem) == 0 {
			return ops, nil
		}
	case reflect.Slice:
		if now.elem.kind == reflect.Uint8 && was.elem.kind == reflect.Uint8 {
			o.code = codeBytes
			break
		}
		o.code, o.typ, o.size, o.min = codeSlice, t, t.Elem().Size(), was.elem.min
		if o.elem, err = c.compile(nil, was.elem, now.elem, t.Elem(), 0, path+"[]"); err != nil {
			return nil, err
		}
		if o.min == 0 && o.size > 0 { // some bytes could ask for any amount of memory
			return nil, fmt.Errorf("shape: %s[]: the checkpoint has %v, of which nothing is stored; it can't be read as %v", path, was.elem, now.elem)
		}
	case reflect.Pointer:
		o.code, o.typ, o.min = codePointer, t.Elem(), was.elem.min
		if o.elem, err = c.compile(nil, was.elem, now.elem, t.Elem(), 0, path); err != nil {
			return nil, err
		}
	case reflect.Map:
		o.code, o.typ, o.min = codeMap, t, was.key.min
		if more := was.elem.min; o.min+more >= o.min {
			o.min += more
		}
		if o.key, err = c.compile(nil, was.key, now.key, t.Key(), 0, path+"[key]"); err != nil {
			return nil, err
		}
		if o.elem, err = c.compile(nil, was.elem, now.elem, t.Elem(), 0, path+"[]"); err != nil {
			return nil, err
		}
	case reflect.Struct:
		return c.fields(ops, was, now, t, offset, path)
	case kindBinary:
		if t == timeType {
			o.code = codeTime
			break
		}
		o.code, o.typ = codeBinary, t
		c.heap = true
	case kindText:
		o.code, o.typ = codeText, t
		c.heap = true
	}
	return append(ops, o), nil
}

func (c *compiler) fields(ops []op, was, now *node, t reflect.Type, offset uintptr, path string) ([]op, error) {
	index := make(map[string]int, len(now.fields))
	for i, f := range now.fields {
		index[f.name] = i
	}
	for _, old := range was.fields {
		at := path + "." + old.name
		i, kept := index[old.name]
		if !kept {
			if !c.accept {
				return nil, fmt.Errorf("shape: %s: the checkpoint has this field (%v), the program does not (%v); give it back, or accept with checkpoint.AcceptLoss that what it holds is lost", at, was, now)
			}
			ops = append(ops, op{code: codeSkip, path: at, skip: old.node})
			continue
		}
		f := t.Field(i)
		var err error
		if ops, err = c.compile(ops, old.node, now.fields[i].node, f.Type, offset+f.Offset, at); err != nil {
			return nil, err
		}
	}
	return ops, nil
}

// compatible says whether a value of was can be read as one of now, as far as
// the outermost kind tells.
func compatible(was, now *node) bool {
	switch {
	case signed[was.kind] > 0:
		return signed[was.kind] <= signed[now.kind]
	case unsigned[was.kind] > 0:
		return unsigned[was.kind] <= unsigned[now.kind]
	}
	return was.kind == now.kind && was.length == now.length && was.name == now.name
}

// How wide integers are, in bits. An int may be read on any machine if it fits.
var (
	signed   = map[reflect.Kind]int{reflect.Int8: 8, reflect.Int16: 16, reflect.Int32: 32, reflect.Int: 64, reflect.Int64: 64}
	unsigned = map[reflect.Kind]int{reflect.Uint8: 8, reflect.Uint16: 16, reflect.Uint32: 32, reflect.Uint: 64, reflect.Uint64: 64}
)
