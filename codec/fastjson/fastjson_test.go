//lint:file-ignore SA5008 odd tags are what these types are for

package fastjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/godstream/godstream/codec"
	"github.com/godstream/godstream/codec/fastjson"
	"github.com/godstream/godstream/codec/internal/jsoncases"
)

func TestTakesWhatCodecJSONTakes(t *testing.T) {
	one, whole := of[tweet](), of[any]()
	for _, c := range jsoncases.Values() {
		t.Run(c.Name, func(t *testing.T) {
			takes[any](t, c, c.Text)
			takes[[]any](t, c, `[1,`+c.Text+`]`)
			takes[map[string]any](t, c, `{"a":`+c.Text+`,"b":1}`)
			takes[tweet](t, c, `{"zzz":`+c.Text+`,"user":{"screen_name":"ada"}}`)
			takes[tweet](t, c, `{"user":{"screen_name":"ada"},"zzz":`+c.Text+`}`)
			takes[tweet](t, c, `{"zzz":[{"y":`+c.Text+`}]}`)
			takes[map[string]json.RawMessage](t, c, `{"a":{"b":`+c.Text+`}}`)
			for _, document := range []string{c.Text, `{"user":` + c.Text + `}`, `{"user":{"screen_name":` + c.Text + `}}`} {
				for _, both := range comparisons {
					both.same(t, []byte(document))
				}
			}
		})
	}
	for _, c := range jsoncases.Documents() {
		t.Run(c.Name, func(t *testing.T) {
			takes[any](t, c, c.Text)
			one.same(t, []byte(c.Text))
			whole.same(t, []byte(c.Text))
		})
	}
}

func takes[T any](t *testing.T, c jsoncases.Case, document string) {
	t.Helper()
	if _, err := fastjson.JSON[T]().Decode([]byte(document)); (err == nil) != c.Valid {
		t.Errorf("%.60q: %v, valid: %t", document, err, c.Valid)
	}
	same(t, codec.JSON[T](), fastjson.JSON[T](), []byte(document))
}

func TestTweets(t *testing.T) {
	both := []comparison{of[tweet](), of[bigTweet](), of[any](), of[map[string]json.RawMessage]()}
	for _, c := range both {
		t.Run(c.name, func(t *testing.T) {
			for _, document := range jsoncases.Tweets() {
				c.same(t, document)
			}
		})
	}
}

func TestTweetCutAnywhere(t *testing.T) {
	document := jsoncases.Tweets()[0]
	for _, c := range []comparison{of[tweet](), of[bigTweet](), of[any]()} {
		t.Run(c.name, func(t *testing.T) {
			for n := range document {
				c.same(t, document[:n])
			}
		})
	}
	t.Run("is refused", func(t *testing.T) {
		for n := range document {
			if _, err := fastjson.JSON[tweet]().Decode(document[:n]); err == nil {
				t.Errorf("the first %d bytes are taken", n)
			}
		}
	})
}

func TestTweetWithABrokenByte(t *testing.T) {
	document := jsoncases.Tweets()[0]
	tests := map[string]struct {
		both comparison
		bits int // flipped at each position
	}{
		"one field":     {of[tweet](), 3},
		"twelve fields": {of[bigTweet](), 1},
		"maps":          {of[any](), 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			broken := bytes.Clone(document)
			for i, b := range document {
				for bit := range test.bits {
					broken[i] = b ^ 1<<((i+3*bit)%8)
					test.both.same(t, broken)
				}
				for _, other := range []byte{'"', '\\', ',', 0xff}[:1+test.bits] {
					broken[i] = other
					test.both.same(t, broken)
				}
				broken[i] = b
			}
		})
	}
}

// The library is known to treat these otherwise, or to have done so.
func TestTypesThatAreLeftToCodecJSON(t *testing.T) {
	tests := map[string]struct {
		both     comparison
		document string
	}{
		"float32 between two": {of[float32](), `1.0000000596046447753906250000000001`},
		"largest float32":     {of[singles](), `{"F":3.4028235e38,"L":[1.0000000596046447753906250000000001]}`},
		"float32 in a field named -": {of[struct {
			F *[]map[string]float32 `json:"-,"`
		}](), `{"-":[{"a":1.0000000596046447753906250000000001}]}`},
		"empty object for a map with float keys": {of[oddKeys](), `{"F":{}}`},
		"empty object for a map with bool keys":  {of[map[bool]int](), `{}`},
		"quoted string with UnmarshalText": {of[struct {
			W shout `json:",string"`
		}](), `{"W":"tea"}`},
		"quoted number with a plus":                       {of[quotedPointer](), `{"P":"+1"}`},
		"quoted NaN":                                      {of[quotedScalars](), `{"F":"NaN"}`},
		"quoted json.Number that is no number":            {of[quoted](), `{"N":"2024-05-01"}`},
		"hidden struct behind two embedded pointers":      {of[embedsHiddenDeep](), `{"X":1}`},
		"name in the case of neither of two fields":       {of[embedsOtherCase](), `{"aB":1}`},
		"array for null in a slice named once":            {of[[]int](), `[1,null,3]`},
		"name that folds":                                 {of[names](), `{"ſtraſſe":1,"` + "\u212a" + `elvin":2,"КЛЮЧ":3}`},
		"escaped name":                                    {of[tweet](), `{"\u0075ser":{"screen_\u006eame":"ada"}}`},
		"member twice":                                    {of[tweet](), `{"user":{"screen_name":"ada"},"user":{}}`},
		"member twice, then null":                         {of[tweet](), `{"user":{"screen_name":"ada"},"user":null}`},
		"member twice in other case":                      {of[tweet](), `{"user":{"screen_name":"ada"},"USER":{"screen_name":"bob"}}`},
		"map twice":                                       {of[collections](), `{"M":{"a":1},"M":{"b":2}}`},
		"map in an interface twice":                       {of[anything](), `{"A":{"a":1},"A":{"b":2}}`},
		"number too large for float64":                    {of[any](), `[1e400]`},
		"number too large for float64 in what is skipped": {of[tweet](), `{"zzz":1e400}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test.both.same(t, []byte(test.document)) })
	}
}

// shout is a string with a method.
type shout string

func (s *shout) UnmarshalText(b []byte) error { *s = shout(bytes.ToUpper(b)); return nil }

func TestLongDocument(t *testing.T) {
	for _, size := range []int{1 << 10, 4<<20 - 100, 4<<20 + 100} {
		document := []byte(`{"zzz":"` + strings.Repeat("é", size/2) + `","user":{"screen_name":"ada"}}`)
		of[tweet]().same(t, document)
		of[tweet]().same(t, document[:size])
		of[tweet]().same(t, append(document, 'x'))
	}
}

// stumbling panics while decoding, at most that many times.
type stumbling struct{ s string }

var stumbles int

func (s *stumbling) UnmarshalJSON(b []byte) error {
	if stumbles--; stumbles >= 0 {
		panic("stumbled")
	}
	return json.Unmarshal(b, &s.s)
}

func TestPanic(t *testing.T) {
	c := fastjson.JSON[[]stumbling]()
	stumbles = 1 // as a bug in the library would
	if v, err := c.Decode([]byte(`["tea"]`)); err != nil || len(v) != 1 || v[0].s != "tea" {
		t.Errorf("after a panic beneath the library: %v, %v", v, err)
	}
	stumbles = 2
	defer func() {
		if p := recover(); p != "stumbled" {
			t.Errorf("a panic of the user's method came out as %v", p)
		}
		stumbles = 0
		if v, err := c.Decode([]byte(`["tea"]`)); err != nil || v[0].s != "tea" {
			t.Errorf("after a panic: %v, %v", v, err)
		}
	}()
	_, _ = c.Decode([]byte(`["tea"]`))
	t.Error("the panic of the user's method is gone")
}

func TestAllocatesLess(t *testing.T) {
	document := jsoncases.Tweets()[0]
	allocations := func(c codec.Codec[tweet]) float64 {
		return testing.AllocsPerRun(100, func() { _, _ = c.Decode(document) })
	}
	if exact, fast := allocations(codec.JSON[tweet]()), allocations(fastjson.JSON[tweet]()); fast >= exact {
		t.Errorf("%v allocations, encoding/json has %v: is it the library that decodes?", fast, exact)
	}
}

func TestIsACodec(t *testing.T) {
	c := fastjson.JSON[tweet]()
	if c.Err() != nil || c.Name() != codec.JSON[tweet]().Name() {
		t.Errorf("Err, Name = %v, %q", c.Err(), c.Name())
	}
	missing := errors.New("missing")
	v, err := c.Check(func(t tweet) error {
		if t.User.ScreenName == "" {
			return missing
		}
		return nil
	}).Decode([]byte(`{}`))
	if err != missing || v != (tweet{}) {
		t.Errorf("Check: %v, %v", v, err)
	}
	if err := c.Check(nil).Err(); err == nil {
		t.Error("Check(nil) can be used")
	}
}

func TestEncode(t *testing.T) {
	// This ends the process in go-json v0.12.0, which is why it does not encode.
	number := big.NewInt(77)
	encodesSame(t, "pointer to a pointer with a method", struct{ A **big.Int }{&number})
	encodesSame(t, "struct", bigTweet{Text: "<a&b>\u2028"})
	encodesSame(t, "invalid UTF-8", "a\xffb")
	encodesSame(t, "keys in order", map[string]int{"b": 1, "a": 2, "é": 3, "": 4})
	encodesSame(t, "method", loud{"x"})
	encodesSame(t, "not a number", math.NaN())
	encodesSame(t, "nil slice", []int(nil))
	encodesSame(t, "nil pointer", (*tweet)(nil))
}

func encodesSame[T any](t *testing.T, name string, v T) {
	t.Run(name, func(t *testing.T) {
		for _, before := range [][]byte{nil, []byte("before")} {
			want, wantErr := codec.JSON[T]().Encode(bytes.Clone(before), v)
			got, err := fastjson.JSON[T]().Encode(bytes.Clone(before), v)
			if string(got) != string(want) || (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
				t.Errorf("got %q, %v; want %q, %v", got, err, want, wantErr)
			}
		}
	})
}

func TestManyGoroutines(t *testing.T) {
	documents := jsoncases.Tweets()
	c := fastjson.JSON[bigTweet]()
	var want []bigTweet
	for _, document := range documents {
		v, err := codec.JSON[bigTweet]().Decode(document)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, v)
	}
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			type fresh struct{ A []map[string]*bigTweet } // all goroutines are the first to use it
			if v, err := fastjson.JSON[fresh]().Decode([]byte(`{"A":[{"a":{"text":"tea"}}]}`)); err != nil || v.A[0]["a"].Text != "tea" {
				t.Error(v, err)
			}
			var kept []bigTweet
			for i := range 20 * len(documents) {
				data := bytes.Clone(documents[(g+i)%len(documents)])
				v, err := c.Decode(data)
				clear(data)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = c.Decode([]byte(`{"user":`)) // a refused one in between
				kept = append(kept, v)
			}
			for i, v := range kept {
				if !reflect.DeepEqual(v, want[(g+i)%len(documents)]) {
					t.Errorf("tweet %d is another one now: %+v", i, v)
					return
				}
			}
		})
	}
	group.Wait()
}

func FuzzJSON(f *testing.F) {
	for _, c := range jsoncases.Values() {
		f.Add([]byte(c.Text))
		f.Add([]byte(`{"zzz":` + c.Text + `,"user":{"screen_name":` + c.Text + `}}`))
	}
	for _, c := range jsoncases.Documents() {
		if len(c.Text) < 1000 {
			f.Add([]byte(c.Text))
		}
	}
	for _, document := range []string{
		`{"L":["a"],"I":[1,null],"A":[1,2,3],"M":{"a":1},"MI":{"1":"a"},"LL":[[1],[]],"B":"YWJj","PA":[1],"Buf":"YQ=="}`,
		`{"T":"2024-05-01T10:00:00Z","N":1.5,"R":{"a":[1]},"IP":"::1","Bi":12,"L":"x","W":"y","MW":{"k":1}}`,
		`{"I":"1","u":"2","F":"1.5","B":"true","S":"\"x\"","P":"3","N":"4","A":{"a":[null]},"V":1,"Kids":[{"V":2}],"Next":{"M":{"a":{}}}}`,
		`{"X":1,"Y":"y","Z":2,"W":3,"outer":{"Z":1},"ab":1,"Ab":2,"aB":3,"ſtrasse":1,"omit":"x","-":1}`,
	} {
		f.Add([]byte(document))
	}
	f.Add(jsoncases.Tweets()[0])
	both := []comparison{ // few, for speed: TestRandomDocuments has them all
		of[tweet](), of[bigTweet](), of[any](), of[collections](), of[anything](), of[methods](), of[quoted](), of[names](), of[tree](), of[embedsTwo](),
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, c := range both {
			c.same(t, data)
		}
	})
}
