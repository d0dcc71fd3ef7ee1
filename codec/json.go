package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// JSON is one JSON document, by encoding/json and its struct tags.
//
// Decode takes what [json.Unmarshal] takes, but refuses null, which would leave
// a zero value without a word, and bytes that are no UTF-8, which it would
// replace. It is as lenient as encoding/json otherwise: members that T has no
// field for are skipped (but must be JSON), names match without regard to case,
// of a repeated member the last one counts, a null inside the document leaves
// its field as it is, and half a surrogate pair (\ud83d) becomes U+FFFD.
// Whether a field was there at all is for [Codec.Check] to ask.
//
// Encode writes what [json.Marshal] writes. As null can't be read back, a nil
// slice or map is written as an empty one, and any other null is an error.
//
// Values share no memory with the bytes, unless an UnmarshalJSON of their own
// keeps its argument against the rule of [json.Unmarshaler]. Package fastjson
// has the same codec several times as fast.
func JSON[T any]() Codec[T] { return New("json", encodeJSON[T], decodeJSON[T]) }

func decodeJSON[T any](data []byte) (T, error) {
	var v T
	if !utf8.Valid(data) {
		return v, fmt.Errorf("json: invalid UTF-8 at byte %d", invalidUTF8(data))
	}
	if string(trimJSON(data)) == "null" {
		return v, fmt.Errorf("json: null where %s is wanted", wanted(reflect.TypeFor[T]()))
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return v, explainJSON(data, err)
	}
	return v, nil
}

func encodeJSON[T any](dst []byte, v T) ([]byte, error) {
	text, err := json.Marshal(v)
	if err == nil && string(text) == "null" {
		text, err = json.Marshal(emptied(v))
		if err == nil && string(text) == "null" {
			return nil, fmt.Errorf("json: this %s encodes as null, which Decode refuses", reflect.TypeFor[T]())
		}
	}
	if err != nil {
		return nil, &textError{text: "json: " + clip(strings.TrimPrefix(err.Error(), "json: "), 200), cause: err}
	}
	return append(dst, text...), nil
}

// emptied is an empty slice or map for a nil one, v otherwise.
func emptied(v any) any {
	switch r := reflect.ValueOf(v); {
	case r.Kind() == reflect.Slice && r.IsNil():
		return reflect.MakeSlice(r.Type(), 0, 0).Interface()
	case r.Kind() == reflect.Map && r.IsNil():
		return reflect.MakeMap(r.Type()).Interface()
	}
	return v
}

// textError says in a line what a library says in terms of Go, or at any
// length, as it repeats parts of the document.
type textError struct {
	text  string
	cause error
}

func (e *textError) Error() string { return e.text }
func (e *textError) Unwrap() error { return e.cause }

// explainJSON says what is wrong with data, and where.
func explainJSON(data []byte, err error) error {
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	var text string
	switch {
	case len(trimJSON(data)) == 0:
		text = "empty input"
	case bytes.HasPrefix(data, []byte("\ufeff")):
		text = "byte order mark before the document"
	case errors.As(err, &mismatch):
		text = fmt.Sprintf("%s where %s is wanted", clip(mismatch.Value, 40), wanted(mismatch.Type))
		if mismatch.Field != "" {
			text += " in " + clip(mismatch.Field, 100)
		}
		text += fmt.Sprintf(" before byte %d", mismatch.Offset)
	case errors.As(err, &syntax) && !json.Valid(data): // a method of T may have its own about something else
		if syntax.Offset >= int64(len(data)) && strings.HasPrefix(syntax.Error(), "unexpected end") {
			text = fmt.Sprintf("unexpected end of input after %d bytes", len(data))
		} else {
			text = fmt.Sprintf("%s at byte %d", syntax.Error(), max(0, syntax.Offset-1)) // Offset counts the bad byte
		}
	default: // from a method of T, or about a tag
		text = clip(strings.TrimPrefix(err.Error(), "json: "), 200)
	}
	return &textError{text: "json: " + text, cause: err}
}

// wanted is what JSON calls a value of t; scalars keep Go's name, which says
// their range.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return wanted(t.Elem())
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Interface:
		return "a value"
	default:
		return t.String()
	}
}

// trimJSON cuts off what JSON calls white space, which is less than Unicode does.
func trimJSON(data []byte) []byte { return bytes.Trim(data, " \t\r\n") }

// clip cuts s to about n bytes.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
