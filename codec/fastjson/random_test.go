package fastjson_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var (
	documents = flag.Int("documents", 1000, "random documents for each type")
	seed      = flag.Uint64("seed", 0, "of the random documents; 0 for a new one")
)

// TestRandomDocuments compares the codecs on documents that nearly fit their
// type: wrong kinds and numbers out of range, names in other case and cut short,
// nulls, and often a few broken bytes. For more of them:
//
//	go test ./codec/fastjson -run Random -documents 1000000
func TestRandomDocuments(t *testing.T) {
	first := *seed
	if first == 0 {
		first = rand.Uint64()
	}
	for _, c := range comparisons {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for n := range *documents {
				r := rand.New(rand.NewPCG(first, uint64(n)))
				c.same(t, random(r, c.typ))
				if t.Failed() {
					t.Fatalf("document %d of -seed=%d", n, first)
				}
			}
		})
	}
}

func random(r *rand.Rand, t reflect.Type) []byte {
	w := writer{Rand: r}
	w.value(t, 0)
	for w.IntN(4) == 0 && len(w.out) > 0 {
		w.damage()
	}
	return w.out
}

type writer struct {
	*rand.Rand
	out []byte
}

func (w *writer) pick(texts ...string) string { return texts[w.IntN(len(texts))] }
func (w *writer) add(text string)             { w.out = append(w.out, text...) }

func (w *writer) space() {
	for w.IntN(8) == 0 {
		w.add(w.pick(" ", "\t", "\n", "\r"))
	}
}

func (w *writer) value(t reflect.Type, depth int) {
	w.space()
	defer w.space()
	if w.IntN(12) == 0 {
		w.add("null")
		return
	}
	kind := w.kind(t)
	if depth > 5 {
		kind = w.pick("bool", "string", "number")
	}
	switch kind {
	case "bool":
		w.add(w.pick("true", "false"))
	case "string":
		w.anyString(t)
	case "number":
		w.number(t)
	case "object":
		w.object(t, depth)
	case "array":
		w.array(t, depth)
	}
}

// kind is mostly the one that t is decoded from.
func (w *writer) kind(t reflect.Type) string {
	chance := w.pick("bool", "string", "string", "number", "number", "object", "object", "array")
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || w.IntN(20) == 0 {
		return chance
	}
	switch t {
	case reflect.TypeFor[time.Time](), reflect.TypeFor[netip.Addr](), reflect.TypeFor[word]():
		return "string"
	case reflect.TypeFor[big.Int](), reflect.TypeFor[json.Number]():
		return "number"
	case reflect.TypeFor[loud](), reflect.TypeFor[json.RawMessage]():
		return chance
	}
	switch t.Kind() {
	case reflect.Bool:
		return "bool"
	case reflect.String:
		return "string"
	case reflect.Struct, reflect.Map:
		return "object"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "string"
		}
		return "array"
	case reflect.Array:
		return "array"
	case reflect.Interface:
		return chance
	default:
		return "number"
	}
}

func (w *writer) object(t reflect.Type, depth int) {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	w.add("{")
	w.space()
	for i := range w.IntN(6) {
		if i > 0 {
			w.add(",")
			w.space()
		}
		var inside reflect.Type
		switch {
		case t != nil && t.Kind() == reflect.Struct && w.IntN(5) > 0 && t.NumField() > 0:
			fields := reflect.VisibleFields(t)
			f := fields[w.IntN(len(fields))]
			w.string(w.bend(fieldName(f)))
			inside = f.Type
		case t != nil && t.Kind() == reflect.Map:
			inside = t.Elem()
			fallthrough
		default:
			w.add(w.pick(`"a"`, `"b"`, `"X"`, `"y"`, `"é"`, `""`, `"1"`, `"2"`, `"-1"`, `"300"`, `"01"`, `"1.0"`, `"\u0031"`, `"abcdefgh"`, `"\ud83d"`, `"null"`, `"user"`))
		}
		w.space()
		w.add(":")
		w.value(inside, depth+1)
	}
	w.add("}")
}

func fieldName(f reflect.StructField) string {
	if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
		return name
	}
	return f.Name
}

// bend is mostly the name itself.
func (w *writer) bend(name string) string {
	switch w.IntN(12) {
	case 0:
		return strings.ToUpper(name)
	case 1:
		return strings.ToLower(name)
	case 2:
		return strings.NewReplacer("s", "ſ", "k", "\u212a").Replace(name) // which fold to s and k
	case 3:
		return strings.ToValidUTF8(name[:w.IntN(len(name)+1)], "")
	case 4:
		return name + "x"
	default:
		return name
	}
}

func (w *writer) array(t reflect.Type, depth int) {
	var inside reflect.Type
	if t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
		inside = t.Elem()
	}
	w.add("[")
	w.space()
	for i := range w.IntN(5) {
		if i > 0 {
			w.add(",")
		}
		w.value(inside, depth+1)
	}
	w.add("]")
}

func (w *writer) anyString(t reflect.Type) {
	if w.IntN(4) == 0 || t != nil && t.Kind() != reflect.String && w.IntN(2) == 0 {
		w.add(w.pick(`""`, `"null"`, `"true"`, `"1"`, `"-0"`, `"1.5"`, `"01"`, `" 1"`, `"1 "`, `"+1"`, `"1e3"`, `"0x10"`, `"NaN"`, `"\u0031"`, `"12"`, `"\"a\""`, `"\"\""`,
			`"YWJj"`, `"YW\nJj"`, `"YQ=="`, `"YQ"`, `"YQ==="`, `"2024-05-01T10:00:00Z"`, `"2024-05-01T10:00:00+02:00"`, `"1.2.3.4"`, `"::1"`,
			`"\ud83d\ude00"`, `"\ud83d"`, `"\ude00x"`, `"\ud83d\ud83d\ude00"`, `"\u0000"`, `"\/\b\f"`))
		return
	}
	n := w.IntN(20)
	if w.IntN(30) == 0 {
		n = w.IntN(300)
	}
	letters := []rune("abcdefghijklmnop XYZ0123456789\"\\\n{}[],:é日😀/<>&\u2028\x7f")
	var s strings.Builder
	for range n {
		s.WriteRune(letters[w.IntN(len(letters))])
	}
	w.string(s.String())
}

func (w *writer) string(s string) {
	w.add(`"`)
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			w.add(`\` + string(r))
		case r < ' ' || r < 0x10000 && w.IntN(12) == 0:
			w.add(fmt.Sprintf(`\u%04x`, r))
		default:
			w.out = utf8.AppendRune(w.out, r)
		}
	}
	w.add(`"`)
}

func (w *writer) number(t reflect.Type) {
	if w.IntN(12) == 0 {
		w.add(`"`)
		defer w.add(`"`)
	}
	choice := w.IntN(6)
	if t != nil && reflect.Int <= t.Kind() && t.Kind() <= reflect.Uintptr && w.IntN(3) > 0 {
		choice = 5
	}
	switch choice {
	case 0: // at the bounds of the types
		w.add(w.pick("0", "-0", "1", "-1", "127", "128", "-128", "-129", "255", "256", "65535", "65536", "2147483648", "4294967296", "9007199254740993",
			"9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616",
			"1.0", "1e5", "1E+2", "1e-2", "0e0", "-0.0", "1e23", "8.5e22", "1e400", "-1e400", "1e-400", "1e1000000000000000000000", "123456789012345678901234567890",
			"3.4028235e38", "3.4028236e38", "1.0000000596046447753906250000000001", "1.7976931348623157e308", "1.7976931348623159e308", "5e-324", "2e-324", "2.2250738585072011e-308"))
	case 1:
		w.add(strconv.FormatInt(int64(w.Uint64()), 10))
	case 2:
		w.add(strconv.FormatFloat(w.NormFloat64()*1000, "fge"[w.IntN(3)], w.IntN(25), 64))
	case 3:
		w.add(strconv.FormatFloat(w.NormFloat64(), 'g', -1, 32+32*w.IntN(2)))
	case 4:
		w.add(strconv.Itoa(w.IntN(1000)-500) + ".")
		for range 1 + w.IntN(25) {
			w.add(strconv.Itoa(w.IntN(10)))
		}
		if w.IntN(2) == 0 {
			w.add("e" + strconv.Itoa(w.IntN(700)-350))
		}
	case 5:
		w.add(strconv.Itoa(w.IntN(100)))
	}
}

func (w *writer) damage() {
	at := w.IntN(len(w.out))
	switch w.IntN(5) {
	case 0: // flip a bit
		w.out[at] ^= 1 << w.IntN(8)
	case 1: // lose a byte
		w.out = append(w.out[:at], w.out[at+1:]...)
	case 2: // cut
		w.out = w.out[:at]
	case 3: // put another byte in
		const bytes = `{}[]",:\0123456789.eE+-nulltruefalse u/`
		w.out = append(w.out[:at+1], w.out[at:]...)
		w.out[at] = bytes[w.IntN(len(bytes))]
	case 4: // repeat a part at the end
		w.out = append(w.out, w.out[at:min(len(w.out), at+w.IntN(5))]...)
	}
}
