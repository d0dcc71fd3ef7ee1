package avro_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godstream/godstream/codec/avro"
	"github.com/godstream/godstream/codec/registry"
	"github.com/godstream/godstream/codec/registry/registrytest"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const lineSchema = `{"type":"record","name":"Line","fields":[{"name":"sku","type":"string"},{"name":"count","type":"int"}]}`

type line struct {
	SKU   string `avro:"sku"`
	Count int32  `avro:"count"`
}

const orderSchema = `{"type":"record","name":"Order","namespace":"shop","fields":[
	{"name":"id","type":"long"},
	{"name":"paid","type":"boolean"},
	{"name":"lines","type":{"type":"array","items":` + lineSchema + `}},
	{"name":"labels","type":{"type":"map","values":["null","string"]}},
	{"name":"next","type":["null","Order"]},
	{"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},
	{"name":"weight","type":"double"},
	{"name":"raw","type":"bytes"},
	{"name":"code","type":{"type":"fixed","name":"Code","size":3}},
	{"name":"state","type":{"type":"enum","name":"State","symbols":["NEW","DONE"]}},
	{"name":"sum","type":["null",{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}]}
]}`

type order struct {
	ID     int64              `avro:"id"`
	Paid   bool               `avro:"paid"`
	Lines  []line             `avro:"lines"`
	Labels map[string]*string `avro:"labels"`
	Next   *order             `avro:"next"`
	At     time.Time          `avro:"at"`
	Weight float64            `avro:"weight"`
	Raw    []byte             `avro:"raw"`
	Code   [3]byte            `avro:"code"`
	State  string             `avro:"state"`
	Sum    *big.Rat           `avro:"sum"`
}

func drawOrder(r *rapid.T, depth int) order {
	text := rapid.String()
	o := order{
		ID:     rapid.Int64().Draw(r, "id"),
		Paid:   rapid.Bool().Draw(r, "paid"),
		Lines:  []line{},
		Labels: rapid.MapOf(text, rapid.Ptr(text, true)).Draw(r, "labels"),
		At:     time.UnixMicro(rapid.Int64Range(-1<<50, 1<<50).Draw(r, "at")).UTC(),
		Weight: rapid.Float64().Draw(r, "weight"),
		Raw:    append([]byte{}, rapid.SliceOf(rapid.Byte()).Draw(r, "raw")...),
		Code:   [3]byte{rapid.Byte().Draw(r, "code"), 1},
		State:  rapid.SampledFrom([]string{"NEW", "DONE"}).Draw(r, "state"),
	}
	for range rapid.IntRange(0, 3).Draw(r, "lines") {
		o.Lines = append(o.Lines, line{text.Draw(r, "sku"), rapid.Int32().Draw(r, "count")})
	}
	if rapid.Bool().Draw(r, "has sum") {
		o.Sum = big.NewRat(rapid.Int64Range(-99999, 99999).Draw(r, "cents"), 100)
	}
	if depth > 0 && rapid.Bool().Draw(r, "more") {
		next := drawOrder(r, depth-1)
		o.Next = &next
	}
	return o
}

func TestRoundTrip(t *testing.T) {
	server := registrytest.New()
	defer server.Close()
	plain := avro.Codec[order](orderSchema)
	registered := avro.Registered[order](registry.New(registry.Config{URL: server.URL}), "orders", orderSchema)
	rapid.Check(t, func(r *rapid.T) {
		want := drawOrder(r, 3)
		for _, c := range []interface {
			Encode([]byte, order) ([]byte, error)
			Decode([]byte) (order, error)
		}{plain, registered} {
			data, err := c.Encode([]byte("before"), want)
			if err != nil || !bytes.HasPrefix(data, []byte("before")) {
				r.Fatal(err)
			}
			data = data[len("before"):]
			copied := bytes.Clone(data)
			got, err := c.Decode(copied)
			clear(copied) // the value keeps nothing of it
			if err != nil || !same(&got, &want) {
				r.Fatalf("%v\ngot  %+v\nwant %+v", err, got, want)
			}
			at := rapid.IntRange(0, len(data)-1).Draw(r, "cut")
			if v, err := c.Decode(data[:at]); err == nil || !reflect.ValueOf(v).IsZero() {
				r.Fatalf("the first %d bytes of %d: %v", at, len(data), err)
			}
			if _, err := c.Decode(append(slices.Clip(data), 0)); err == nil {
				r.Fatal("a byte more is taken")
			}
		}
	})
	if n := server.Requests(); n != 2 {
		t.Errorf("%d requests, want one to register and one to read", n)
	}
}

// same is DeepEqual, except for big numbers: zero has two forms.
func same(a, b *order) bool {
	if a == nil || b == nil {
		return a == b
	}
	if (a.Sum == nil) != (b.Sum == nil) || a.Sum != nil && a.Sum.Cmp(b.Sum) != 0 || !same(a.Next, b.Next) {
		return false
	}
	x, y := *a, *b
	x.Sum, x.Next, y.Sum, y.Next = nil, nil, nil, nil
	return reflect.DeepEqual(x, y)
}

func TestGolden(t *testing.T) {
	data, err := avro.Codec[line](lineSchema).Encode(nil, line{"tea", -2})
	if string(data) != "\x06tea\x03" || err != nil { // a length of 3 and a -2, both zigzag
		t.Errorf("%q, %v", data, err)
	}
	server := registrytest.New()
	defer server.Close()
	server.Register("other", registry.Schema{Text: `"int"`})
	lines := avro.Registered[line](registry.New(registry.Config{URL: server.URL}), "lines", lineSchema)
	data, err = lines.Encode(nil, line{"tea", -2})
	if string(data) != "\x00\x00\x00\x00\x02\x06tea\x03" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	if name := avro.Codec[line](lineSchema).Name(); name != "avro-150360e8a0aa40de" {
		t.Errorf("the name, which checkpoints keep, is %s", name)
	}
	if lines.Name() != "avro-registry" {
		t.Error(lines.Name())
	}
}

func field(fields string) string {
	return `{"type":"record","name":"Line","fields":[` + fields + `]}`
}

func TestEvolution(t *testing.T) {
	const sku, count = `{"name":"sku","type":"string"}`, `{"name":"count","type":"int"}`
	type reader struct {
		SKU   string  `avro:"sku"`
		Count float64 `avro:"count"`
		Note  string  `avro:"note"`
	}
	readerSchema := field(sku + `,{"name":"count","type":"double","aliases":["number"]},{"name":"note","type":"string","default":"none"}`)
	tests := map[string]struct {
		schema, data string
		want         reader
		err          string
	}{
		"as it is":        {schema: readerSchema, data: "\x06tea\x00\x00\x00\x00\x00\x00\x08\x40\x04hi", want: reader{"tea", 3, "hi"}},
		"added":           {schema: field(sku + `,{"name":"count","type":"double"}`), data: "\x06tea\x00\x00\x00\x00\x00\x00\x08\x40", want: reader{"tea", 3, "none"}},
		"removed":         {schema: field(`{"name":"old","type":{"type":"array","items":"string"}},` + sku + "," + count), data: "\x04\x02a\x02b\x00\x06tea\x06", want: reader{"tea", 3, "none"}},
		"promoted":        {schema: field(sku + `,{"name":"count","type":"long"}`), data: "\x06tea\x06", want: reader{"tea", 3, "none"}},
		"other order":     {schema: field(count + "," + sku), data: "\x06\x06tea", want: reader{"tea", 3, "none"}},
		"renamed":         {schema: field(sku + `,{"name":"number","type":"int"}`), data: "\x06tea\x06", want: reader{"tea", 3, "none"}},
		"without default": {schema: field(count), err: "avro: schema 1 can't be read as the codec's: "},
		"demoted":         {schema: field(`{"name":"sku","type":"int"},` + count), err: "avro: schema 1 can't be read as the codec's: "},
		"left over":       {schema: field(sku + "," + count), data: "\x06tea\x06x", err: "avro: data is left over at byte 5, written with schema 1"},
		"too short":       {schema: field(sku + "," + count), data: "\x06te", err: "avro: "},
		"no schema":       {schema: `{"type":"recor"}`, err: "avro: schema 1 can't be read as the codec's: "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := registrytest.New()
			defer server.Close()
			server.Register("lines", registry.Schema{Text: test.schema})
			c := avro.Registered[reader](registry.New(registry.Config{URL: server.URL}), "", readerSchema)
			for range 2 {
				got, err := c.Decode([]byte("\x00\x00\x00\x00\x01" + test.data))
				if got != test.want || (err == nil) != (test.err == "") || err != nil && !strings.HasPrefix(err.Error(), test.err) {
					t.Errorf("%+v, %v", got, err)
				}
			}
			if server.Requests() != 1 {
				t.Errorf("%d requests", server.Requests())
			}
			data := []byte("\x00\x00\x00\x00\x01" + test.data)
			if n := testing.AllocsPerRun(10, func() { _, _ = c.Decode(data) }); n > 30 {
				t.Errorf("%v allocations: are the schemas resolved for each record?", n)
			}
			if _, err := c.Encode(nil, test.want); err == nil || !strings.Contains(err.Error(), "only decodes") {
				t.Errorf("Encode: %v", err)
			}
		})
	}
}

func TestReferences(t *testing.T) {
	server := registrytest.New()
	defer server.Close()
	server.Register("line", registry.Schema{Text: lineSchema})
	whole := `{"type":"record","name":"Basket","fields":[{"name":"lines","type":{"type":"array","items":"Line"}}]}`
	ref := registry.Reference{Name: "Line", Subject: "line", Version: 1}
	id := server.Register("basket", registry.Schema{Text: whole, References: []registry.Reference{ref, ref}})
	lost := server.Register("basket", registry.Schema{Text: whole, References: []registry.Reference{{Name: "Line", Subject: "lost", Version: 1}}})
	type basket struct {
		Lines []line `avro:"lines"`
	}
	c := avro.Registered[basket](registry.New(registry.Config{URL: server.URL}), "", strings.Replace(whole, `"Line"`, lineSchema, 1))
	got, err := c.Decode(append(registry.AppendHeader(nil, id), "\x02\x06tea\x06\x00"...))
	if err != nil || len(got.Lines) != 1 || got.Lines[0] != (line{"tea", 3}) {
		t.Errorf("%+v, %v", got, err)
	}
	var answer *registry.Error
	if _, err := c.Decode(append(registry.AppendHeader(nil, lost), 0)); !errors.As(err, &answer) || answer.Code != 40401 {
		t.Errorf("reference to what is not there: %v", err)
	}
}

func TestNoRegister(t *testing.T) {
	server := registrytest.New()
	defer server.Close()
	c := avro.Registered[line](registry.New(registry.Config{URL: server.URL, NoRegister: true}), "lines", lineSchema)
	if _, err := c.Encode(nil, line{}); err == nil || !strings.Contains(err.Error(), `latest version of "lines": status 404`) {
		t.Error(err)
	}
	server.Register("lines", registry.Schema{Text: field(`{"name":"sku","type":"string"}`)})
	other := avro.Registered[line](registry.New(registry.Config{URL: server.URL, NoRegister: true}), "lines", lineSchema)
	if _, err := other.Encode(nil, line{}); err == nil || !strings.Contains(err.Error(), "canonical forms differ") {
		t.Error(err)
	}
	server.Register("lines", registry.Schema{Text: strings.Replace(lineSchema, `"type"`, ` "doc":"of an order", "type"`, 1)})
	if data, err := other.Encode(nil, line{"tea", 3}); string(data) != "\x00\x00\x00\x00\x02\x06tea\x06" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
}

func TestRegistryIsDown(t *testing.T) {
	server := registrytest.New()
	defer server.Close()
	id := server.Register("lines", registry.Schema{Text: lineSchema})
	data := append(registry.AppendHeader(nil, id), "\x06tea\x06"...)
	down := true
	server.Fail(func(*http.Request) int {
		if down {
			return http.StatusServiceUnavailable
		}
		return 0
	})
	schemas := registry.New(registry.Config{URL: server.URL, Timeout: 200 * time.Millisecond, Pause: time.Nanosecond})
	c := avro.Registered[line](schemas, "lines", lineSchema)
	if _, err := c.Decode(data); !errors.Is(err, registry.ErrUnavailable) || !strings.Contains(err.Error(), "the schema registry is unavailable: status 503") {
		t.Errorf("Decode: %v", err)
	}
	if b, err := c.Encode([]byte("x"), line{}); !errors.Is(err, registry.ErrUnavailable) || string(b) != "x" {
		t.Errorf("Encode: %q, %v", b, err)
	}
	server.Fail(nil)
	if v, err := c.Decode(data); err != nil || v != (line{"tea", 3}) {
		t.Errorf("when it is up again: %+v, %v", v, err)
	}
	if _, err := c.Encode(nil, line{}); err != nil {
		t.Errorf("when it is up again: %v", err)
	}
}

// What the comment of package registry advises.
func TestProgramThatFailsWithTheRegistry(t *testing.T) {
	server := registrytest.New()
	defer server.Close()
	id := server.Register("lines", registry.Schema{Text: lineSchema})
	run := func(bodies ...string) (good []line, bad []string, err error) {
		schemas := registry.New(registry.Config{URL: server.URL, Timeout: 200 * time.Millisecond})
		var records []source.Line
		for _, body := range bodies {
			records = append(records, source.Line{Data: append(registry.AppendHeader(nil, id), body...)})
		}
		app := stream.New(stream.Config{Interval: time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
		lines, malformed := stream.Decode(stream.From(app, source.Queue(records)), avro.Registered[line](schemas, "", lineSchema))
		stream.ForEach(malformed, func(f stream.Failed[source.Line]) error {
			if errors.Is(f.Reason, registry.ErrUnavailable) {
				return f.Reason
			}
			bad = append(bad, f.Reason.Error())
			return nil
		})
		stream.ForEach(lines, func(l line) error {
			good = append(good, l)
			return nil
		})
		err = app.Run(t.Context())
		return good, bad, err
	}
	server.Fail(func(*http.Request) int { return http.StatusServiceUnavailable })
	good, bad, err := run("\x06tea\x06", "\x06rye\x02")
	if !errors.Is(err, registry.ErrUnavailable) || good != nil || bad != nil {
		t.Errorf("down: %v, %v, %v", good, bad, err)
	}
	server.Fail(nil)
	good, bad, err = run("\x06tea\x06", "\x06ry", "\x06rye\x02")
	if err != nil || !slices.Equal(good, []line{{"tea", 3}, {"rye", 1}}) || len(bad) != 1 {
		t.Errorf("up: %v, %v, %v", good, bad, err)
	}
}

func TestManyGoroutines(t *testing.T) {
	server := registrytest.New()
	defer server.Close()
	c := avro.Registered[line](registry.New(registry.Config{URL: server.URL}), "lines", lineSchema)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for n := range 200 {
				want := line{fmt.Sprint(i), int32(n)}
				data, err := c.Encode(nil, want)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := c.Decode(data); got != want || err != nil {
					t.Error(got, err)
				}
			}
		})
	}
	group.Wait()
	if n := server.Requests(); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

type panics string

func (*panics) UnmarshalText([]byte) error { panic("stumbled") }

func TestCodecsThatCantBeUsed(t *testing.T) {
	tests := map[string]struct {
		err  error
		want string
	}{
		"no schema":             {avro.Codec[line]("").Err(), "avro: schema: "},
		"field that is missing": {avro.Codec[struct{ A int }](lineSchema).Err(), "avro: the schema does not fit struct { A int }: cannot use"},
		"no client":             {avro.Registered[line](nil, "lines", lineSchema).Err(), "registry: the Client is nil"},
		"client with a fault":   {avro.Registered[line](registry.New(registry.Config{}), "lines", lineSchema).Err(), "registry: Config.URL is empty"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.err == nil || !strings.HasPrefix(test.err.Error(), test.want) {
				t.Error(test.err)
			}
		})
	}
	c := avro.Codec[panics](`"string"`)
	if _, err := c.Decode([]byte("\x02x")); err == nil || err.Error() != "avro: panic while decoding: stumbled" {
		t.Errorf("a panic: %v", err)
	}
}

func TestHostile(t *testing.T) {
	tests := map[string]string{
		"array of a billion":   "\x00\x00\x80\x80\x80\x80\x08",
		"map of a billion":     "\x00\x00\x00\x80\x80\x80\x80\x08",
		"string of a gigabyte": "\x00\x00\x02\x80\x80\x80\x80\x08",
		"negative length":      "\x00\x00\x02\x01",
		"block with a size":    "\x00\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"deep":                 strings.Repeat("\x00\x00\x00\x00\x02", 1<<20),
		"endless number":       strings.Repeat("\xff", 100),
		"union of none":        "\x00\x00\x00\x00\x08",
	}
	c := avro.Codec[order](orderSchema)
	for name, data := range tests {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := c.Decode([]byte(data))
			runtime.ReadMemStats(&after)
			if err == nil || len(err.Error()) > 300 {
				t.Error(err)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20+10*uint64(len(data)) {
				t.Errorf("%d bytes for %d", used, len(data))
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	plain := avro.Codec[order](orderSchema)
	text := "x"
	for _, o := range []order{
		{State: "NEW"},
		{State: "DONE", Lines: []line{{"tea", 3}}, Labels: map[string]*string{"a": &text, "b": nil}, Next: &order{State: "NEW", Sum: big.NewRat(5, 2)}},
	} {
		data, err := plain.Encode(nil, o)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	server := registrytest.New()
	f.Cleanup(server.Close)
	server.Register("a", registry.Schema{Text: field(`{"name":"old","type":{"type":"array","items":["null","Line"]}},{"name":"sku","type":"string"}`)})
	server.Register("a", registry.Schema{Text: orderSchema})
	evolved := avro.Registered[line](registry.New(registry.Config{URL: server.URL}), "", field(`{"name":"sku","type":"string"},{"name":"count","type":"int","default":7}`))
	anything := avro.Codec[any](orderSchema)
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		v, err := plain.Decode(data)
		_, other := evolved.Decode(append([]byte{0, 0, 0, 0, 1}, data...))
		_, loose := anything.Decode(data)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20+2000*uint64(len(data)) {
			t.Errorf("%d bytes for %d", used, len(data))
		}
		for _, err := range []error{err, other, loose} {
			if err != nil && (!strings.HasPrefix(err.Error(), "avro: ") || strings.Contains(err.Error(), "panic")) {
				t.Error(err)
			}
		}
		if err != nil {
			return
		}
		again, err := plain.Encode(nil, v)
		if err != nil {
			if strings.Contains(err.Error(), "exceeds schema precision") { // Decode does not ask
				return
			}
			t.Fatal(err)
		}
		if _, err := plain.Decode(again); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	c := avro.Codec[line](lineSchema)
	data, err := c.Encode(nil, line{"tea", 3})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = c.Decode(data)
	}
}
