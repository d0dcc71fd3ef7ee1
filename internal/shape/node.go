package shape

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// What a shape may be at most, for it is read from disk.
const (
	maxDepth = 64
	maxText  = 1 << 16
	maxNodes = 1 << 13
)

// Kinds besides those of reflect.
const (
	kindBinary reflect.Kind = 100 + iota
	kindText
	kindCodec
)

// node is a shape as a tree.
type node struct {
	kind   reflect.Kind
	name   string  // of a codec
	length int     // of an array
	key    *node   // of a map
	elem   *node   // of an array, slice, pointer or map
	fields []field // of a struct
	min    int     // the least number of bytes of a value; if it is 0, no value has any
}

type field struct {
	name string
	*node
}

// scalars are the kinds whose shape is a word.
var scalars = map[string]reflect.Kind{"binary": kindBinary, "text": kindText}

func init() {
	for _, k := range []reflect.Kind{
		reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128, reflect.String,
	} {
		scalars[k.String()] = k
	}
}

func (n *node) String() string { return string(n.append(nil)) }

func (n *node) append(b []byte) []byte {
	switch n.kind {
	case kindBinary:
		return append(b, "binary"...)
	case kindText:
		return append(b, "text"...)
	case kindCodec:
		return append(append(b, "codec "...), n.name...)
	case reflect.Array:
		return n.elem.append(append(strconv.AppendInt(append(b, '['), int64(n.length), 10), ']'))
	case reflect.Slice:
		return n.elem.append(append(b, "[]"...))
	case reflect.Pointer:
		return n.elem.append(append(b, '*'))
	case reflect.Map:
		return n.elem.append(append(n.key.append(append(b, "map["...)), ']'))
	case reflect.Struct:
		b = append(b, "struct{"...)
		for i, f := range n.fields {
			if i > 0 {
				b = append(b, "; "...)
			}
			b = f.append(append(append(b, f.name...), ' '))
		}
		return append(b, '}')
	}
	return append(b, n.kind.String()...)
}

// least is n.min, from that of the parts.
func (n *node) least() int {
	switch n.kind {
	case reflect.Float32:
		return 4
	case reflect.Float64, reflect.Complex64:
		return 8
	case reflect.Complex128:
		return 16
	case reflect.Array:
		switch each := n.elem.min; {
		case each == 0:
			return 0
		case n.length > math.MaxInt/each:
			return math.MaxInt
		default:
			return n.length * each
		}
	case reflect.Struct:
		sum := 0
		for _, f := range n.fields {
			if sum += f.min; sum < 0 {
				return math.MaxInt
			}
		}
		return sum
	}
	return 1
}

// describe is the shape of t as a tree.
func describe(t reflect.Type, key bool) (*node, error) {
	d := describer{}
	n, err := d.describe(t, rootName(t), key)
	if err != nil {
		return nil, err
	}
	if text := n.String(); len(text) > maxText {
		return nil, fmt.Errorf("shape: %s: its shape has %d bytes, at most %d can be; %s", rootName(t), len(text), maxText, wayOut)
	}
	return n, nil
}

type describer struct {
	inside []reflect.Type
	nodes  int
}

const wayOut = "implement encoding.BinaryMarshaler and BinaryUnmarshaler, or give a codec with stream.StateCodec"

func (d *describer) describe(t reflect.Type, path string, key bool) (*node, error) {
	refuse := func(why string) (*node, error) { return nil, fmt.Errorf("shape: %s: %s", path, why) }
	if slices.Contains(d.inside, t) {
		return refuse(t.String() + " is a recursive type; " + wayOut)
	}
	if d.nodes++; d.nodes > maxNodes || len(d.inside) >= maxDepth {
		return refuse("the type is too large or nested too deep; " + wayOut)
	}
	d.inside = append(d.inside, t)
	defer func() { d.inside = d.inside[:len(d.inside)-1] }()

	if kind := marshaler(t); kind != 0 {
		if by := promoted(t); by != "" {
			return refuse("its marshaler may be that of the embedded " + by + ", which may be nil and knows no other field; give the field a name, or give a codec with stream.StateCodec")
		}
		return &node{kind: kind, min: 1}, nil
	}
	n := &node{kind: t.Kind()}
	var err error
	switch t.Kind() {
	case reflect.Array:
		n.length = t.Len()
		n.elem, err = d.describe(t.Elem(), path+"[]", key)
	case reflect.Slice:
		n.elem, err = d.describe(t.Elem(), path+"[]", key)
	case reflect.Pointer:
		if key {
			return refuse("a pointer can't be part of a key: equal keys would not be found again; use a value")
		}
		n.elem, err = d.describe(t.Elem(), path, key)
	case reflect.Map:
		if n.key, err = d.describe(t.Key(), path+"[key]", true); err != nil {
			return nil, err
		}
		n.elem, err = d.describe(t.Elem(), path+"[]", key)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			at := path + "." + f.Name
			if !f.IsExported() {
				return nil, fmt.Errorf("shape: %s: unexported field without a marshaler; export it, %s", at, wayOut)
			}
			kind, err := d.describe(f.Type, at, key)
			if err != nil {
				return nil, err
			}
			n.fields = append(n.fields, field{f.Name, kind})
		}
	case reflect.Interface:
		return refuse("an interface does not say what its value is; use a type of its own, or give a codec with stream.StateCodec")
	default:
		if _, ok := scalars[t.Kind().String()]; !ok {
			return refuse(fmt.Sprintf("a value of kind %v means nothing to another process; leave it out, %s", t.Kind(), wayOut))
		}
	}
	if err != nil {
		return nil, err
	}
	n.min = n.least()
	return n, nil
}

var timeType = reflect.TypeFor[time.Time]()

// marshaler is the kind of bytes that the methods of t, or of a pointer to it, give.
func marshaler(t reflect.Type) reflect.Kind {
	if t.Kind() == reflect.Interface || t.Kind() == reflect.Pointer {
		return 0
	}
	p := reflect.PointerTo(t)
	switch {
	case p.Implements(reflect.TypeFor[encoding.BinaryMarshaler]()) && p.Implements(reflect.TypeFor[encoding.BinaryUnmarshaler]()):
		return kindBinary
	case p.Implements(reflect.TypeFor[encoding.TextMarshaler]()) && p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return kindText
	}
	return 0
}

// promoted is the embedded field that t may have its marshaler from, if that
// could lose other fields or meet nil. (reflect can't tell for sure.)
func promoted(t reflect.Type) string {
	if t.Kind() != reflect.Struct {
		return ""
	}
	for i := range t.NumField() {
		f := t.Field(i)
		switch {
		case !f.Anonymous:
		case f.Type.Kind() == reflect.Interface && f.Type.NumMethod() > 0:
			return f.Name
		case f.Type.Kind() == reflect.Pointer && marshaler(f.Type.Elem()) != 0:
			return f.Name
		case marshaler(f.Type) != 0 && t.NumField() > 1:
			return f.Name
		}
	}
	return ""
}

// rootName begins the paths in messages.
func rootName(t reflect.Type) string {
	name, _, _ := strings.Cut(t.Name(), "[")
	switch {
	case name != "":
		return name
	case t.Kind() == reflect.Struct:
		return "struct"
	}
	return t.String()
}

// exact says that two values of t that are == are the same in every bit.
func exact(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Array:
		return exact(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.Name == "_" || !exact(f.Type) { // == does not look at _
				return false
			}
		}
		return true
	case reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return false
	}
	_, ok := scalars[t.Kind().String()]
	return ok
}

// parse reads a shape. What it takes, String gives back.
func parse(text string) (*node, error) {
	if name, ok := strings.CutPrefix(text, "codec "); ok {
		return &node{kind: kindCodec, name: name}, nil
	}
	p := parser{rest: text}
	n, err := p.node(0)
	if len(text) > maxText {
		n, err = nil, fmt.Errorf("it has %d bytes, at most %d can be", len(text), maxText)
	}
	if err == nil && p.rest != "" {
		err = errors.New("something follows the shape")
	}
	if err != nil {
		return nil, fmt.Errorf("shape: the stored shape %.200q can't be read: at byte %d: %w", text, len(text)-len(p.rest), err)
	}
	return n, nil
}

type parser struct {
	rest  string
	nodes int
}

func (p *parser) take(prefix string) bool {
	rest, ok := strings.CutPrefix(p.rest, prefix)
	p.rest = rest
	return ok
}

func (p *parser) word() string {
	end := strings.IndexFunc(p.rest, func(r rune) bool {
		return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) || r == utf8.RuneError
	})
	if end < 0 {
		end = len(p.rest)
	}
	word := p.rest[:end]
	p.rest = p.rest[end:]
	return word
}

func (p *parser) node(depth int) (n *node, err error) {
	if p.nodes++; p.nodes > maxNodes || depth >= maxDepth {
		return nil, errors.New("too large or nested too deep")
	}
	n = &node{}
	switch {
	case p.take("[]"):
		n.kind = reflect.Slice
		n.elem, err = p.node(depth + 1)
	case p.take("["):
		n.kind = reflect.Array
		digits := p.word()
		if n.length, err = strconv.Atoi(digits); err != nil || strconv.Itoa(n.length) != digits {
			return nil, fmt.Errorf("%q is no length of an array", digits)
		}
		if !p.take("]") {
			return nil, errors.New("want ]")
		}
		n.elem, err = p.node(depth + 1)
	case p.take("*"):
		n.kind = reflect.Pointer
		n.elem, err = p.node(depth + 1)
	case p.take("map["):
		n.kind = reflect.Map
		if n.key, err = p.node(depth + 1); err != nil {
			return nil, err
		}
		if !p.take("]") {
			return nil, errors.New("want ]")
		}
		n.elem, err = p.node(depth + 1)
	case p.take("struct{"):
		n.kind = reflect.Struct
		names := map[string]bool{}
		for !p.take("}") {
			if len(n.fields) > 0 && !p.take("; ") {
				return nil, errors.New("want } or ;")
			}
			name := p.word()
			if name == "" || names[name] || !p.take(" ") {
				return nil, fmt.Errorf("%q is no name of a field, or stands here twice", name)
			}
			names[name] = true
			kind, err := p.node(depth + 1)
			if err != nil {
				return nil, err
			}
			n.fields = append(n.fields, field{name, kind})
		}
	default:
		word := p.word()
		kind, ok := scalars[word]
		if !ok {
			return nil, fmt.Errorf("%q is no kind", word)
		}
		n.kind = kind
	}
	if err != nil {
		return nil, err
	}
	n.min = n.least()
	return n, nil
}
