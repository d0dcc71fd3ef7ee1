// Package fastjson is codec.JSON by a faster library:
//
//	tweets, malformed := stream.Decode(messages, fastjson.JSON[Tweet]().Check(hasAuthor))
//
// It takes and refuses the same documents as [codec.JSON], gives the same
// values and errors, writes the same bytes and has the same name, so one may
// take the other's place at any time. A document of two kilobytes is decoded
// about six times as fast. How it is the same:
//
//   - What the library, github.com/goccy/go-json, refuses is given to codec.JSON,
//     which decides and words the error. So refusing costs what it costs there.
//   - Types that the library is known to decode otherwise than encoding/json are
//     decoded by codec.JSON: those that hold a float32, a field with the ",string"
//     option, a map with keys other than strings and integers, an embedded
//     pointer, or fields whose names differ only in case. So are documents over
//     4 MiB, as the library keeps a buffer of the size of the longest.
//   - Encoding is that of codec.JSON.
//
// One difference is left, in a document that repeats a member whose field is a
// slice (JSON allows it; hardly anyone means it). The later value counts, but
// where it says null or leaves out members, an element may show what the
// earlier one had there, always the same for the same document. In encoding/json
// it may too, for other elements.
//
// The library uses unsafe and, on amd64 and arm64, assembly. For who wants
// neither there is codec.JSON.
package fastjson

import (
	"bytes"
	"reflect"
	"unicode/utf8"

	"github.com/goccy/go-json"
	"github.com/godstream/godstream/codec"
)

// maxLen is the longest document given to the library, which keeps, for each
// processor, a buffer as long as the longest it was given.
const maxLen = 4 << 20

// JSON is [codec.JSON], faster. It looks at all of T when it is called: make a
// codec once, not for each value.
func JSON[T any]() codec.Codec[T] {
	exact := codec.JSON[T]()
	if !agrees(reflect.TypeFor[T]()) {
		return exact
	}
	return codec.New(exact.Name(), exact.Encode, func(data []byte) (T, error) {
		if v, ok := tryDecode[T](data); ok {
			return v, nil
		}
		return exact.Decode(data)
	})
}

// tryDecode decodes what the library takes. It is not ok for what it refuses,
// and for what it takes and codec.JSON refuses: null, and bytes that are no
// UTF-8, which it replaces. A panic is not ok either: one that comes from a
// method of T comes again from codec.JSON, and one of the library's own must not
// stop a program because of a bad document, as those of earlier versions did.
func tryDecode[T any](data []byte) (v T, ok bool) {
	if len(data) > maxLen || isNull(data) || !utf8.Valid(data) {
		return v, false
	}
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	ok = json.Unmarshal(data, &v) == nil
	return v, ok
}

// isNull tells whether data, if it is JSON, is null.
func isNull(data []byte) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	return len(data) > 0 && data[0] == 'n'
}
