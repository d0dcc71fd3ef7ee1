package codec_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/godstream/godstream/codec"
)

// number is a codec of four bytes.
func number() codec.Codec[uint32] {
	return codec.New("number",
		func(dst []byte, v uint32) ([]byte, error) {
			if v == 13 {
				return []byte("lost"), errors.New("number: 13 brings bad luck")
			}
			return binary.BigEndian.AppendUint32(dst, v), nil
		},
		func(data []byte) (uint32, error) {
			if len(data) != 4 {
				return 99, fmt.Errorf("number: %d bytes, want 4", len(data))
			}
			return binary.BigEndian.Uint32(data), nil
		})
}

func TestCodec(t *testing.T) {
	c := number()
	if err := c.Err(); err != nil || c.Name() != "number" {
		t.Fatalf("Err, Name = %v, %q", err, c.Name())
	}
	b, err := c.Encode([]byte("before"), 258)
	if string(b) != "before\x00\x00\x01\x02" || err != nil {
		t.Errorf("Encode = %q, %v", b, err)
	}
	b, err = c.Encode([]byte("before"), 13)
	if string(b) != "before" || err == nil {
		t.Errorf("Encode with an error = %q, %v; want dst as it was", b, err)
	}
	v, err := c.Decode([]byte{0, 0, 1, 2})
	if v != 258 || err != nil {
		t.Errorf("Decode = %d, %v", v, err)
	}
	v, err = c.Decode(nil)
	if v != 0 || err == nil || err.Error() != "number: 0 bytes, want 4" {
		t.Errorf("Decode of nothing = %d, %v; want zero and the error as it is", v, err)
	}
}

func TestCodecThatCantBeUsed(t *testing.T) {
	encode := func(dst []byte, v int) ([]byte, error) { return dst, nil }
	decode := func(data []byte) (int, error) { return 0, nil }
	fine := func(int) error { return nil }
	tests := map[string]struct {
		codec codec.Codec[int]
		want  string
	}{
		"zero":                 {codec.Codec[int]{}, "codec: this is the zero Codec; make one with codec.JSON, codec.Text or codec.New"},
		"zero with a check":    {codec.Codec[int]{}.Check(fine), "codec: this is the zero Codec; make one with codec.JSON, codec.Text or codec.New"},
		"no encode":            {codec.New("x", nil, decode), `codec: New("x"): encode is nil`},
		"no decode":            {codec.New("x", encode, nil), `codec: New("x"): decode is nil`},
		"no functions":         {codec.New[int]("x", nil, nil), `codec: New("x"): encode is nil`},
		"no name":              {codec.New("", encode, decode), "codec: New: name is empty"},
		"no check":             {codec.JSON[int]().Check(nil), `codec: Check of "json": the function is nil`},
		"no check among some":  {codec.JSON[int]().Check(fine).Check(nil).Check(fine), `codec: Check of "json": the function is nil`},
		"first fault is named": {codec.New("x", nil, decode).Check(nil), `codec: New("x"): encode is nil`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := test.codec.Err(); err == nil || err.Error() != test.want {
				t.Errorf("Err = %v\nwant  %s", err, test.want)
			}
			if _, err := test.codec.Decode([]byte("1")); err == nil || err.Error() != test.want {
				t.Errorf("Decode: %v", err)
			}
			if b, err := test.codec.Encode([]byte("dst"), 1); err == nil || err.Error() != test.want || string(b) != "dst" {
				t.Errorf("Encode = %q, %v", b, err)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	small, even := errors.New("small"), errors.New("odd")
	plain := codec.JSON[int]()
	large := plain.Check(func(v int) error {
		if v < 10 {
			return small
		}
		return nil
	})
	largeAndEven := large.Check(func(v int) error {
		if v%2 != 0 {
			return even
		}
		return nil
	})
	tests := map[string]struct {
		codec codec.Codec[int]
		in    string
		want  int
		err   error
	}{
		"no check":                     {plain, "3", 3, nil},
		"check that holds":             {large, "11", 11, nil},
		"check that fails":             {large, "3", 0, small},
		"both hold":                    {largeAndEven, "12", 12, nil},
		"second fails":                 {largeAndEven, "11", 0, even},
		"both fail, the first is told": {largeAndEven, "3", 0, small},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := test.codec.Decode([]byte(test.in))
			if got != test.want || err != test.err {
				t.Errorf("got %d, %v; want %d, %v", got, err, test.want, test.err)
			}
			if b, err := test.codec.Encode(nil, 3); string(b) != "3" || err != nil {
				t.Errorf("Encode = %q, %v; checks are for Decode", b, err)
			}
		})
	}
	t.Run("is not asked about what is malformed", func(t *testing.T) {
		c := plain.Check(func(int) error { panic("asked") })
		if _, err := c.Decode([]byte("x")); err == nil {
			t.Error("no error")
		}
	})
	t.Run("two codecs of one do not share checks", func(t *testing.T) {
		fine := func(int) error { return nil }
		fail := func(err error) func(int) error { return func(int) error { return err } }
		for n := range 5 {
			common := plain
			for range n {
				common = common.Check(fine)
			}
			first, second := common.Check(fail(small)), common.Check(fail(even))
			if _, err := first.Decode([]byte("1")); err != small {
				t.Errorf("after %d: %v", n, err)
			}
			if _, err := second.Decode([]byte("1")); err != even {
				t.Errorf("after %d: %v", n, err)
			}
		}
	})
}

func TestText(t *testing.T) {
	tests := map[string]struct{ text, err string }{
		"empty":                   {"", ""},
		"ASCII":                   {"tea\n", ""},
		"beyond ASCII":            {"日本語 😀", ""},
		"zero byte":               {"a\x00b", ""},
		"replacement character":   {"\ufffd", ""},
		"byte order mark":         {"\ufefftea", ""},
		"Latin-1":                 {"caf\xe9", "text: invalid UTF-8 at byte 3"},
		"cut in a character":      {"\xe6\x97", "text: invalid UTF-8 at byte 0"},
		"after a valid character": {"é\x80", "text: invalid UTF-8 at byte 2"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			data := []byte(test.text)
			got, err := codec.Text().Decode(data)
			clear(data)
			if (err == nil) != (test.err == "") || err != nil && err.Error() != test.err {
				t.Fatalf("Decode: %v, want %q", err, test.err)
			}
			if err == nil && got != test.text {
				t.Errorf("Decode = %q", got)
			}
			b, err := codec.Text().Encode([]byte("before"), test.text)
			switch {
			case (err == nil) != (test.err == "") || err != nil && err.Error() != test.err:
				t.Errorf("Encode: %v, want %q", err, test.err)
			case string(b) != "before"+strings.Repeat(test.text, btoi(err == nil)):
				t.Errorf("Encode = %q", b)
			}
		})
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestCodecIsForManyGoroutines(t *testing.T) {
	c := codec.JSON[map[string]int]().Check(func(m map[string]int) error {
		if len(m) != 1 {
			return errors.New("not one")
		}
		return nil
	})
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for range 200 {
				b, err := c.Encode(nil, map[string]int{"n": i})
				if err != nil {
					t.Error(err)
				}
				m, err := c.Decode(b)
				if err != nil || m["n"] != i {
					t.Error(m, err)
				}
			}
		})
	}
	group.Wait()
}
