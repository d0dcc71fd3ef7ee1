//lint:file-ignore SA5008 odd tags are what these types are for
//lint:file-ignore U1000 so are fields that nobody can reach

package fastjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/godstream/godstream/codec"
	"github.com/godstream/godstream/codec/fastjson"
)

// The types that both codecs are compared on.

type tweet struct {
	User struct {
		ScreenName string `json:"screen_name"`
	} `json:"user"`
}

// bigTweet is what a typical application declares.
type bigTweet struct {
	CreatedAt string `json:"created_at"`
	IDStr     string `json:"id_str"`
	Text      string `json:"text"`
	Lang      string `json:"lang"`
	User      struct {
		ScreenName     string `json:"screen_name"`
		FollowersCount int    `json:"followers_count"`
		Location       string `json:"location"`
	} `json:"user"`
	Entities struct {
		Hashtags []struct {
			Text string `json:"text"`
		} `json:"hashtags"`
		URLs []struct {
			ExpandedURL string `json:"expanded_url"`
		} `json:"urls"`
	} `json:"entities"`
	RetweetedStatus *bigTweet `json:"retweeted_status"`
}

type scalars struct {
	B   bool
	I   int
	I8  int8
	I64 int64
	U   uint
	U8  uint8
	U64 uint64
	F   float64
	S   string
	P   *int
	PS  *string
	PB  **bool
	u   int
}

type (
	text    string
	count   int
	buffer  []byte
	list    []string
	table   map[string]int
	nothing struct{}
)

type collections struct {
	L   []string
	I   []int
	A   [2]int
	AA  [2]scalars
	M   map[string]int
	MS  map[string]scalars
	MI  map[int8]string
	MU  map[uint]text
	MT  map[text]count
	LL  [][]int
	LP  []*scalars
	B   []byte
	LB  [][]byte
	AB  [3]byte
	PA  *[2]int
	PL  *[]int
	PM  *map[string]int
	Lst list
	Tbl table
	Buf buffer
	E   nothing
}

type anything struct {
	A any
	L []any
	M map[string]any
	P *any
}

// loud decodes itself from any short JSON value.
type loud struct{ s string }

func (l *loud) UnmarshalJSON(b []byte) error {
	if len(b) > 6 {
		return errors.New("too long")
	}
	l.s = strings.ToUpper(string(b))
	return nil
}
func (l loud) MarshalJSON() ([]byte, error) { return json.Marshal(l.s) }

// word decodes itself from a short string.
type word struct{ s string }

func (w *word) UnmarshalText(b []byte) error {
	if len(b) > 6 {
		return errors.New("too long")
	}
	w.s = strings.ToUpper(string(b))
	return nil
}
func (w word) MarshalText() ([]byte, error) { return []byte(w.s), nil }

type methods struct {
	T  time.Time
	TP *time.Time
	N  json.Number
	R  json.RawMessage
	LR []json.RawMessage
	IP netip.Addr
	Bi *big.Int
	L  loud
	LP **loud
	LL []loud
	W  word
	WP *word
	WL [2]word
	MW map[word]int
	ML map[string]loud
}

type quoted struct {
	I int         `json:",string"`
	U uint8       `json:"u,string"`
	F float64     `json:",string"`
	B bool        `json:",string"`
	S string      `json:",string"`
	P *int        `json:",string"`
	T text        `json:",string"`
	N json.Number `json:",string"`
	L []int       `json:",string"`
}

type quotedPointer struct {
	P *int `json:",string"`
}
type quotedScalars struct {
	I int     `json:",string"`
	U uint8   `json:"u,string,omitempty"`
	F float64 `json:",string"`
	B bool    `json:",string"`
	S string  `json:",string"`
	T text    `json:",string"`
}

type inner struct {
	X int
	Y string
}
type Outer struct {
	Y string
	Z int
}
type embeds struct {
	inner
	W int
}
type embedsTwo struct { // Y is in both, so in neither
	inner
	Outer
}
type embedsNamed struct {
	Outer `json:"outer"`
	Z     int
}
type embedsPointer struct {
	*Outer
	W int
}
type embedsHiddenPointer struct {
	*inner
	W int
}
type Middle struct{ *inner }
type embedsHiddenDeep struct{ *Middle }
type embedsTime struct {
	time.Time
	X int
}
type differsInCase struct {
	AB int `json:"ab"`
	Ab int `json:"Ab"`
}
type embedsOtherCase struct {
	Upper
	Ab int `json:"ab"`
}
type Upper struct{ AB int }

type names struct {
	A    int    `json:"a"`
	Dots int    `json:"c.d-e_f"`
	Cyr  int    `json:"ключ"`
	S    int    `json:"strasse"`
	K    int    `json:"kelvin"`
	No   int    `json:"-"`
	Dash int    `json:"-,"`
	Gap  int    `json:"with space"`
	HTML int    `json:"a<b"`
	Omit string `json:"omit,omitempty"`
	Zero inner  `json:"zero,omitzero"`

	ALongNameThatIsLongerThanThirtyTwoBytesOne int
	ALongNameThatIsLongerThanThirtyTwoBytesTwo int
}

type many struct {
	F00, F01, F02, F03, F04, F05, F06, F07, F08, F09 int
	F10, F11, F12, F13, F14, F15, F16, F17, F18, F19 string
	F20, F21, F22, F23, F24, F25, F26, F27, F28, F29 float64
	F30, F31, F32, F33, F34, F35, F36, F37, F38, F39 bool
	F40, F41, F42, F43, F44, F45, F46, F47, F48, F49 *int
	F50, F51, F52, F53, F54, F55, F56, F57, F58, F59 []int
	F60, F61, F62, F63, F64, F65, F66, F67, F68, F69 uint16
}

type tree struct {
	V    int
	Kids []tree
	Next *tree
	M    map[string]tree
}

type singles struct {
	F float32
	L []float32
}

type oddKeys struct {
	F map[float64]int
	B map[bool]int
	P map[*int]int
	A map[any]int
}

type odd struct {
	C chan int
	F func()
	X complex128
	U uintptr
	E error
	M json.Unmarshaler
	Z [0]int
}

// comparison is both codecs for one type.
type comparison struct {
	name string
	typ  reflect.Type
	same func(t *testing.T, data []byte)
}

func of[T any]() comparison {
	exact, fast := codec.JSON[T](), fastjson.JSON[T]()
	return comparison{reflect.TypeFor[T]().String(), reflect.TypeFor[T](), func(t *testing.T, data []byte) {
		t.Helper()
		same(t, exact, fast, data)
	}}
}

var comparisons = []comparison{
	of[tweet](), of[bigTweet](), of[*tweet](), of[[]tweet](), of[map[string]tweet](),
	of[any](), of[map[string]any](), of[[]any](), of[string](), of[int](), of[float64](), of[bool](), of[[]byte](), of[[3]int](), of[map[int]int](),
	of[scalars](), of[collections](), of[anything](), of[methods](), of[quoted](), of[quotedPointer](), of[quotedScalars](), of[names](), of[many](), of[tree](),
	of[embeds](), of[embedsTwo](), of[embedsNamed](), of[embedsPointer](), of[embedsHiddenPointer](), of[embedsHiddenDeep](), of[embedsTime](),
	of[differsInCase](), of[embedsOtherCase](), of[singles](), of[float32](), of[oddKeys](), of[odd](), of[nothing](),
	of[json.RawMessage](), of[json.Number](), of[time.Time](), of[loud](), of[[]*loud](), of[word](), of[map[word]word](),
}

// same checks that both codecs do the same with data, and with its value.
func same[T any](t *testing.T, exact, fast codec.Codec[T], data []byte) {
	t.Helper()
	shown := data[:min(len(data), 2000)]
	want, wantErr := exact.Decode(data)
	in := bytes.Clone(data)
	got, err := fast.Decode(in)
	if !bytes.Equal(in, data) {
		t.Fatalf("%T: the input is changed: %q to %q", want, shown, in[:len(shown)])
	}
	for i := range in { // nothing may point there
		in[i] = '#'
	}
	if wantErr == nil && err != nil || wantErr != nil && (err == nil || err.Error() != wantErr.Error()) {
		t.Fatalf("%T: %q\ngot error  %v\nwant error %v", want, shown, err, wantErr)
	}
	if err != nil {
		return
	}
	if !reflect.DeepEqual(got, want) && !repeatsMember(data) {
		t.Fatalf("%T: %q\ngot  %+v\nwant %+v", want, shown, got, want)
	}
	wantText, wantErr := exact.Encode([]byte("before"), want)
	text, err := fast.Encode([]byte("before"), want)
	if !bytes.Equal(text, wantText) || (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
		t.Fatalf("%T: %+v\nencodes to   %q, %v\nshould be to %q, %v", want, want, text, err, wantText, wantErr)
	}
}

// repeatsMember tells whether an object in the document data names a member
// twice, case aside: the one thing in which values may differ.
func repeatsMember(data []byte) bool {
	type open struct {
		names map[string]bool // nil for an array
		value bool            // the next token is the value of a name
	}
	var stack []open
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // any number will do
	for {
		token, err := d.Token()
		if err != nil {
			return false
		}
		delim, _ := token.(json.Delim)
		if delim == ']' || delim == '}' {
			stack = stack[:len(stack)-1]
			continue
		}
		if n := len(stack); n > 0 && stack[n-1].names != nil {
			top := &stack[n-1]
			if top.value = !top.value; top.value {
				name := strings.ToLower(strings.ToUpper(token.(string)))
				if top.names[name] {
					return true
				}
				top.names[name] = true
				continue
			}
		}
		switch delim {
		case '[':
			stack = append(stack, open{})
		case '{':
			stack = append(stack, open{names: map[string]bool{}})
		}
	}
}
