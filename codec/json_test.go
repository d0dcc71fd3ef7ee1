package codec_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/godstream/godstream/codec"
	"github.com/godstream/godstream/codec/internal/jsoncases"
)

type tweet struct {
	Text string `json:"text"`
	User struct {
		ScreenName string `json:"screen_name"`
		Followers  int8   `json:"followers"`
		Tags       []string
	} `json:"user"`
	At    *time.Time     `json:"at"`
	Count map[int]string `json:"count"`
}

// accepts tells whether Decode takes the text as a T.
func accepts[T any](text string) error {
	_, err := codec.JSON[T]().Decode([]byte(text))
	return err
}

func TestJSONTakesJSON(t *testing.T) {
	report := func(t *testing.T, c jsoncases.Case, where string, err error) {
		t.Helper()
		if c.Valid && err != nil {
			t.Errorf("%s: %v", where, err)
		}
		if !c.Valid && err == nil {
			t.Errorf("%s: taken", where)
		}
		if err != nil && (len(err.Error()) > 160 || strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "json: ")) {
			t.Errorf("%s: not a short line: %v", where, err)
		}
	}
	for _, c := range jsoncases.Values() {
		t.Run(c.Name, func(t *testing.T) {
			report(t, c, "alone", accepts[any](c.Text))
			report(t, c, "in an array", accepts[[]any](`[1,`+c.Text+`]`))
			report(t, c, "in a member", accepts[map[string]any](`{"a":`+c.Text+`,"b":1}`))
			report(t, c, "in a skipped member", accepts[tweet](`{"zzz":`+c.Text+`,"text":"x"}`))
			report(t, c, "deep in a skipped member", accepts[tweet](`{"zzz":[{"y":`+c.Text+`}],"text":"x"}`))
		})
	}
	for _, c := range jsoncases.Documents() {
		t.Run(c.Name, func(t *testing.T) {
			report(t, c, "as anything", accepts[any](c.Text))
			if !c.Valid || strings.HasPrefix(strings.TrimSpace(c.Text), "{") {
				report(t, c, "as a tweet", accepts[tweet](c.Text))
			}
		})
	}
}

func TestJSONCutAnywhere(t *testing.T) {
	document := string(jsoncases.Tweets()[0])
	if err := accepts[tweet](document); err != nil {
		t.Fatal(err)
	}
	for n := range len(document) {
		if err := accepts[tweet](document[:n]); err == nil {
			t.Errorf("the first %d bytes are taken", n)
		}
	}
}

func TestJSONError(t *testing.T) {
	long := strings.Repeat("9", 1_000_000)
	tests := map[string]struct{ in, want string }{
		"nothing":               {"", "json: empty input"},
		"only space":            {" \n", "json: empty input"},
		"null":                  {"null", "json: null where an object is wanted"},
		"null with space":       {" null\n", "json: null where an object is wanted"},
		"cut":                   {`{"user":`, "json: unexpected end of input after 8 bytes"},
		"two documents":         {`{}{}`, "json: invalid character '{' after top-level value at byte 2"},
		"HTML":                  {"<html>", "json: invalid character '<' looking for beginning of value at byte 0"},
		"byte order mark":       {"\ufeff{}", "json: byte order mark before the document"},
		"invalid UTF-8":         {"{\"zzz\":\"é\xe9\"}", "json: invalid UTF-8 at byte 10"},
		"array for an object":   {` [1]`, "json: array where an object is wanted before byte 2"},
		"string for an object":  {`"x"`, "json: string where an object is wanted before byte 3"},
		"array in a field":      {`{"user":[1]}`, "json: array where an object is wanted in user before byte 9"},
		"object for an array":   {`{"user":{"Tags":{}}}`, "json: object where an array is wanted in user.Tags before byte 17"},
		"element of an array":   {`{"user":{"Tags":["a",1]}}`, "json: number where string is wanted in user.Tags before byte 22"},
		"number out of range":   {`{"user":{"followers":300}}`, "json: number 300 where int8 is wanted in user.followers before byte 24"},
		"number beyond bounds":  {`{"user":{"followers":` + long + `}}`, "json: number " + strings.Repeat("9", 33) + "… where int8 is wanted in user.followers before byte 1000021"},
		"key of a map":          {`{"count":{"x":"y"}}`, "json: number x where int is wanted in count before byte 11"},
		"method of a field":     {`{"at":12}`, "json: Time.UnmarshalJSON: input is not a JSON string"},
		"long text in a method": {`{"at":"` + long + `"}`, "json: parsing time \"" + strings.Repeat("9", 200-14) + "…"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			v, err := codec.JSON[tweet]().Decode([]byte(test.in))
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
			if !reflect.ValueOf(v).IsZero() {
				t.Errorf("beside the error there is %+v", v)
			}
		})
	}
	t.Run("null for other types", func(t *testing.T) {
		for _, err := range []error{accepts[*tweet]("null"), accepts[map[string]int]("null")} {
			if err == nil || err.Error() != "json: null where an object is wanted" {
				t.Error(err)
			}
		}
		for want, err := range map[string]error{"an array": accepts[[]int]("null"), "a value": accepts[any]("null"), "string": accepts[string]("null")} {
			if err == nil || err.Error() != "json: null where "+want+" is wanted" {
				t.Error(err)
			}
		}
	})
	t.Run("the library's error is inside", func(t *testing.T) {
		var syntax *json.SyntaxError
		var mismatch *json.UnmarshalTypeError
		if !errors.As(accepts[tweet](`{"user":`), &syntax) || !errors.As(accepts[tweet](`[]`), &mismatch) {
			t.Error("not found")
		}
	})
	t.Run("a method's syntax error is not about the document", func(t *testing.T) {
		if err := accepts[[]nested](`["{"]`); err == nil || err.Error() != "json: unexpected end of JSON input" {
			t.Error(err)
		}
	})
}

// nested is JSON within a JSON string.
type nested struct{ v any }

func (n *nested) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	return json.Unmarshal([]byte(s), &n.v)
}

func TestJSONValuesAreTheirOwn(t *testing.T) {
	type document struct {
		S string
		B []byte
		R json.RawMessage
		N json.Number
		M map[string]string
		A any
	}
	in := []byte(`{"S":"text","B":"Ynl0ZXM=","R":{"raw":1},"N":12.50,"M":{"key":"value"},"A":["any"]}`)
	want := document{"text", []byte("bytes"), json.RawMessage(`{"raw":1}`), "12.50", map[string]string{"key": "value"}, []any{"any"}}
	got, err := codec.JSON[document]().Decode(in)
	for i := range in {
		in[i] = 'X'
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestJSONEncode(t *testing.T) {
	type named []string
	check := func(name, want string, got []byte, err error) {
		t.Run(name, func(t *testing.T) {
			t.Helper()
			if err != nil || string(got) != "before"+want {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
		})
	}
	dst := func() []byte { return []byte("before") }
	b, err := codec.JSON[tweet]().Encode(dst(), tweet{Text: "<&>"})
	check("struct", `{"text":"\u003c\u0026\u003e","user":{"screen_name":"","followers":0,"Tags":null},"at":null,"count":null}`, b, err)
	b, err = codec.JSON[[]int]().Encode(dst(), nil)
	check("nil slice", "[]", b, err)
	b, err = codec.JSON[named]().Encode(dst(), nil)
	check("nil slice of a named type", "[]", b, err)
	b, err = codec.JSON[[]byte]().Encode(dst(), nil)
	check("nil bytes", `""`, b, err)
	b, err = codec.JSON[map[string]int]().Encode(dst(), nil)
	check("nil map", "{}", b, err)
	b, err = codec.JSON[any]().Encode(dst(), []int(nil))
	check("nil slice in an interface", "[]", b, err)
	b, err = codec.JSON[[][]int]().Encode(dst(), [][]int{nil})
	check("nil inside", "[null]", b, err)

	refuse := func(name, want string, got []byte, err error) {
		t.Run(name, func(t *testing.T) {
			t.Helper()
			if err == nil || err.Error() != want || string(got) != "before" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	b, err = codec.JSON[*tweet]().Encode(dst(), nil)
	refuse("nil pointer", "json: this *codec_test.tweet encodes as null, which Decode refuses", b, err)
	b, err = codec.JSON[any]().Encode(dst(), nil)
	refuse("nil interface", "json: this interface {} encodes as null, which Decode refuses", b, err)
	b, err = codec.JSON[json.RawMessage]().Encode(dst(), json.RawMessage(" null "))
	refuse("null from a method", "json: this json.RawMessage encodes as null, which Decode refuses", b, err)
	b, err = codec.JSON[chan int]().Encode(dst(), nil)
	refuse("type that JSON lacks", "json: unsupported type: chan int", b, err)
}

func FuzzJSON(f *testing.F) {
	for _, c := range jsoncases.Values() {
		f.Add([]byte(c.Text))
		f.Add([]byte(`{"user":{"Tags":[` + c.Text + `]},"zzz":` + c.Text + `}`))
	}
	for _, c := range jsoncases.Documents() {
		if len(c.Text) < 1000 {
			f.Add([]byte(c.Text))
		}
	}
	f.Add(jsoncases.Tweets()[0])
	f.Fuzz(func(t *testing.T, data []byte) {
		roundTrip[any](t, data)
		roundTrip[tweet](t, data)
		roundTrip[map[string]json.RawMessage](t, data)
		roundTrip[[]string](t, data)
	})
}

// roundTrip decodes data and, if it is taken, what its value is encoded to.
func roundTrip[T any](t *testing.T, data []byte) {
	c := codec.JSON[T]()
	given := string(data)
	v, err := c.Decode(data)
	if string(data) != given {
		t.Fatalf("Decode changed its input to %q", data)
	}
	var want T
	take := utf8.Valid(data) && strings.Trim(given, " \t\r\n") != "null" && json.Unmarshal(data, &want) == nil
	if take != (err == nil) || take && !reflect.DeepEqual(v, want) {
		t.Fatalf("%T: Decode(%q) = %+v, %v; encoding/json gives %+v, take: %t", v, data, v, err, want, take)
	}
	if err != nil {
		if len(err.Error()) > 400 {
			t.Fatalf("%T: long error: %v", v, err)
		}
		return
	}
	b, err := c.Encode(nil, v)
	if err != nil {
		t.Fatalf("%T: Encode(%+v) of %q: %v", v, v, data, err)
	}
	again, err := c.Decode(b)
	if err != nil {
		t.Fatalf("%T: Decode(Encode(Decode(%q))) of %q: %v", v, data, b, err)
	}
	twice, err := c.Encode(nil, again)
	if err != nil || string(twice) != string(b) {
		t.Fatalf("%T: %q becomes %q becomes %q, %v", v, data, b, twice, err)
	}
}
