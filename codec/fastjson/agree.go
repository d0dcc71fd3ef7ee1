package fastjson

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
)

// agrees tells whether the library decodes values of t exactly as encoding/json
// does. What it sorts out was found by running both on random documents for
// many types (go-json v0.12.0, Go 1.26) or is told in the library's issues/*.md:
// after an update of either, let TestRandomDocuments run for some hours.
func agrees(t reflect.Type) bool { return !differs(t, map[reflect.Type]bool{}) }

func differs(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	if decodesItself(t) {
		return false // both give its method the same bytes
	}
	switch t.Kind() {
	case reflect.Float32:
		return true // rounded twice: 1.0000000596046447753906250000000001 becomes 1
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return differs(t.Elem(), seen)
	case reflect.Map:
		return oddKey(t.Key()) || differs(t.Elem(), seen)
	case reflect.Struct:
		return fieldsDiffer(t, seen)
	default:
		return false
	}
}

func fieldsDiffer(t reflect.Type, seen map[reflect.Type]bool) bool {
	var names []string
	for _, f := range reflect.VisibleFields(t) { // those of embedded structs too
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		embedded := f.Anonymous && name == ""
		switch {
		case tag == "-", !f.IsExported() && !f.Anonymous:
			continue
		case embedded && f.Type.Kind() == reflect.Pointer:
			return true // behind two of them, the error about an unexported struct gets lost
		case strings.Contains(options, "string"):
			return true // takes "+1" and "NaN" for numbers, and text for a type with UnmarshalText
		case differs(f.Type, seen):
			return true
		case embedded && f.Type.Kind() == reflect.Struct:
			continue // it has no name in the document
		}
		if name == "" {
			name = f.Name
		}
		for _, other := range names {
			if strings.EqualFold(name, other) {
				return true // a name in a third case may go to the other field, from Go 1.27 on
			}
		}
		names = append(names, name)
	}
	return false
}

// oddKey tells whether encoding/json has no keys of type t in a map. It refuses
// such a map always, the library only if it has elements.
func oddKey(t reflect.Type) bool {
	return t.Kind() != reflect.String && (t.Kind() < reflect.Int || t.Kind() > reflect.Uintptr) && !decodesItself(t)
}

func decodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t) // has the methods of t too, except if t is an interface, which gives errors anyway
	return p.Implements(reflect.TypeFor[json.Unmarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}
