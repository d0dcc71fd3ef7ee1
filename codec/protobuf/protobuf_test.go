package protobuf_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godstream/godstream/codec"
	"github.com/godstream/godstream/codec/protobuf"
	"github.com/godstream/godstream/codec/protobuf/internal/orderpb"
	"github.com/godstream/godstream/codec/registry"
	"github.com/godstream/godstream/codec/registry/registrytest"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func drawOrder(r *rapid.T, depth int) *orderpb.Order {
	o := &orderpb.Order{
		Id:     rapid.String().Draw(r, "id"),
		Labels: rapid.MapOf(rapid.String(), rapid.String()).Draw(r, "labels"),
		Codes:  rapid.SliceOf(rapid.Int64()).Draw(r, "codes"),
	}
	if rapid.Bool().Draw(r, "has total") {
		o.Total = &orderpb.Money{Cents: rapid.Int64().Draw(r, "cents"), Currency: rapid.String().Draw(r, "currency")}
		o.At = timestamppb.New(time.Unix(rapid.Int64Range(0, 1<<32).Draw(r, "at"), 0))
	}
	for range rapid.IntRange(0, 3).Draw(r, "lines") {
		o.Lines = append(o.Lines, &orderpb.Order_Line{Sku: rapid.String().Draw(r, "sku"), Count: rapid.Uint32().Draw(r, "count")})
	}
	if depth > 0 && rapid.Bool().Draw(r, "more") {
		o.Next = drawOrder(r, depth-1)
	}
	return o
}

func TestRoundTrip(t *testing.T) {
	server := registrytest.New()
	defer server.Close()
	plain := protobuf.Codec[*orderpb.Order]()
	registered := protobuf.Registered[*orderpb.Order](registry.New(registry.Config{URL: server.URL}), "orders")
	rapid.Check(t, func(r *rapid.T) {
		want := drawOrder(r, 3)
		for _, c := range []codec.Codec[*orderpb.Order]{plain, registered} {
			data, err := c.Encode([]byte("before"), want)
			if err != nil || !bytes.HasPrefix(data, []byte("before")) {
				r.Fatal(err)
			}
			if again, err := c.Encode([]byte("before"), want); err != nil || !bytes.Equal(again, data) {
				r.Fatal("other bytes the second time")
			}
			data = data[len("before"):]
			got, err := c.Decode(data)
			clear(data) // the value keeps nothing of it
			if err != nil || !proto.Equal(got, want) {
				r.Fatalf("%v\ngot  %v\nwant %v", err, got, want)
			}
		}
	})
	if n := server.Requests(); n != 2 {
		t.Errorf("%d requests, want one to register and one to read", n)
	}
}

func TestGolden(t *testing.T) {
	server := registrytest.New()
	defer server.Close()
	schemas := registry.New(registry.Config{URL: server.URL})
	encoded := func(data []byte, err error) string {
		if err != nil {
			t.Error(err)
		}
		return string(data)
	}
	order := &orderpb.Order{Id: "a", Total: &orderpb.Money{Cents: 250}, Lines: []*orderpb.Order_Line{{Sku: "tea"}}}
	const body = "\x0a\x01a\x12\x03\x08\xfa\x01\x1a\x05\x0a\x03tea"
	tests := map[string]struct{ got, want string }{
		"plain":          {encoded(protobuf.Codec[*orderpb.Order]().Encode(nil, order)), body},
		"second in file": {encoded(protobuf.Registered[*orderpb.Order](schemas, "o").Encode(nil, order)), "\x00\x00\x00\x00\x01\x02\x02" + body},
		"first in file":  {encoded(protobuf.Registered[*orderpb.Money](schemas, "m").Encode(nil, order.Total)), "\x00\x00\x00\x00\x01\x00\x08\xfa\x01"},
		"nested":         {encoded(protobuf.Registered[*orderpb.Order_Line](schemas, "l").Encode(nil, order.Lines[0])), "\x00\x00\x00\x00\x01\x04\x02\x00\x0a\x03tea"},
		"of the library": {encoded(protobuf.Registered[*structpb.Value](schemas, "v").Encode(nil, structpb.NewBoolValue(true))), "\x00\x00\x00\x00\x02\x02\x02\x20\x01"},
		"name":           {protobuf.Codec[*orderpb.Order_Line]().Name(), "protobuf-godstream.test.Order.Line"},
		"registry name":  {protobuf.Registered[*orderpb.Order](schemas, "").Name(), "protobuf-registry-godstream.test.Order"},
	}
	for name, test := range tests {
		if test.got != test.want {
			t.Errorf("%s: got  %q\nwant %q", name, test.got, test.want)
		}
	}
	long, err := protobuf.Registered[*orderpb.Money](schemas, "").Decode([]byte("\x00\x00\x00\x00\x01\x02\x00\x08\xfa\x01")) // as some clients write the first
	if err != nil || long.GetCents() != 250 {
		t.Errorf("%v, %v", long, err)
	}
}

func TestPlain(t *testing.T) {
	c := protobuf.Codec[*orderpb.Order]()
	tests := map[string]struct{ data, err string }{
		"nothing is the empty message": {"", ""},
		"unknown field":                {"\x0a\x01a\xc2\x3e\x02hi", ""},
		"other wire type":              {"\x08\x07", ""},
		"cut short":                    {"\x0a\x05a", "protobuf: "},
		"text that is no UTF-8":        {"\x0a\x01\xff", "protobuf: "},
		"field zero":                   {"\x00\x00", "protobuf: "},
		"end of a group":               {"\x0c", "protobuf: "},
		"list of a gigabyte":           {"\x32\x80\x80\x80\x80\x04\x01", "protobuf: "},
		"deep":                         {deep(20000), "protobuf: "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m, err := c.Decode([]byte(test.data))
			if (err == nil) != (test.err == "") || err != nil && (!strings.HasPrefix(err.Error(), test.err) || m != nil) {
				t.Fatalf("%v, %v", m, err)
			}
			if err == nil {
				again, err := c.Encode(nil, m)
				if string(again) != test.data || err != nil {
					t.Errorf("written again it is %q, %v", again, err)
				}
			}
		})
	}
	b, err := c.Encode([]byte("before"), nil)
	if string(b) != "before" || err == nil || err.Error() != "protobuf: nil *orderpb.Order" {
		t.Errorf("nil: %q, %v", b, err)
	}
	if _, err := c.Encode(nil, &orderpb.Order{Id: "\xff"}); err == nil || !strings.HasPrefix(err.Error(), "protobuf: ") {
		t.Errorf("text that is no UTF-8: %v", err)
	}
}

// deep is an order in an order, that many levels deep.
func deep(levels int) string {
	var parts []string
	size := 0
	for range levels {
		var length []byte
		for n := size; ; n >>= 7 {
			if n < 0x80 {
				length = append(length, byte(n))
				break
			}
			length = append(length, byte(n)|0x80)
		}
		parts = append(parts, "\x3a"+string(length))
		size += 1 + len(length)
	}
	slices.Reverse(parts)
	return strings.Join(parts, "")
}

// file is the descriptor of the orders' file, with a change.
func file(t testing.TB, change func(f *descriptorpb.FileDescriptorProto)) registry.Schema {
	t.Helper()
	f := protodesc.ToFileDescriptorProto(orderpb.File_codec_protobuf_internal_orderpb_order_proto)
	if change != nil {
		change(f)
	}
	data, err := proto.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return registry.Schema{Type: "PROTOBUF", Text: base64.StdEncoding.EncodeToString(data)}
}

func TestOtherSchemas(t *testing.T) {
	type descriptor = descriptorpb.FileDescriptorProto
	order := func(f *descriptor) *descriptorpb.DescriptorProto { return f.MessageType[1] }
	tests := map[string]struct {
		schema registry.Schema
		index  []int // {1} if nil
		data   string
		err    string
	}{
		"the same":         {schema: file(t, nil), data: "\x0a\x01a"},
		"at another place": {schema: file(t, func(f *descriptor) { slices.Reverse(f.MessageType) }), index: []int{0}, data: "\x0a\x01a"},
		"with another field": {schema: file(t, func(f *descriptor) {
			order(f).Field = append(order(f).Field, &descriptorpb.FieldDescriptorProto{Name: proto.String("new"), Number: proto.Int32(9), Type: descriptorpb.FieldDescriptorProto_TYPE_INT32.Enum()})
		}), data: "\x0a\x01a\x48\x07"},
		"without a field": {schema: file(t, func(f *descriptor) { order(f).Field = order(f).Field[:1] }), data: "\x0a\x01a"},
		"renamed field":   {schema: file(t, func(f *descriptor) { order(f).Field[0].Name = proto.String("key") }), data: "\x0a\x01a"},
		"type that reads as the other": {schema: file(t, func(f *descriptor) {
			order(f).Field[0].Type = descriptorpb.FieldDescriptorProto_TYPE_BYTES.Enum()
		}), data: "\x0a\x01a"},
		"types that are not resolved": {schema: file(t, func(f *descriptor) {
			for _, field := range order(f).Field {
				if field.TypeName != nil {
					field.Type = nil
				}
			}
		}), data: "\x0a\x01a"},
		"another message": {schema: file(t, nil), index: []int{0}, err: "protobuf: message godstream.test.Money of schema 1, want godstream.test.Order"},
		"nested message":  {schema: file(t, nil), index: []int{1, 0}, err: "protobuf: message godstream.test.Order.Line of schema 1, want godstream.test.Order"},
		"no message":      {schema: file(t, nil), index: []int{1, 7}, err: "protobuf: schema 1 has no message at the place [1 7]"},
		"another package": {schema: file(t, func(f *descriptor) { f.Package = proto.String("shop") }), err: "protobuf: message shop.Order of schema 1, want godstream.test.Order"},
		"type that does not": {schema: file(t, func(f *descriptor) {
			order(f).Field[0].Type = descriptorpb.FieldDescriptorProto_TYPE_INT64.Enum()
		}), err: "protobuf: schema 1 can't be read as godstream.test.Order: field 1 of godstream.test.Order, id, is of type int64 there and string here"},
		"type that does not, in a message of a field": {schema: file(t, func(f *descriptor) {
			f.MessageType[0].Field[0].Type = descriptorpb.FieldDescriptorProto_TYPE_SINT64.Enum()
		}), err: "protobuf: schema 1 can't be read as godstream.test.Order: field 1 of godstream.test.Money, cents, is of type sint64 there and int64 here"},
		"list": {schema: file(t, func(f *descriptor) {
			order(f).Field[0].Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		}), err: "protobuf: schema 1 can't be read as godstream.test.Order: field 1 of godstream.test.Order, id, is a list in one of them only"},
		"Avro":      {schema: registry.Schema{Text: `"int"`}, err: `protobuf: schema 1 can't be read as godstream.test.Order: it is of type "AVRO"`},
		"as text":   {schema: registry.Schema{Type: "PROTOBUF", Text: `syntax = "proto3"; message Order {}`}, err: "protobuf: schema 1 can't be read as godstream.test.Order: the registry gives no descriptor of it in base64; does it know format=serialized?"},
		"cut short": {schema: file(t, nil), data: "\x0a\x05a", err: "protobuf: "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := registrytest.New()
			defer server.Close()
			id := server.Register("orders", test.schema)
			if test.index == nil {
				test.index = []int{1}
			}
			c := protobuf.Registered[*orderpb.Order](registry.New(registry.Config{URL: server.URL}), "")
			data := append(registry.AppendIndex(registry.AppendHeader(nil, id), test.index), test.data...)
			for range 2 {
				m, err := c.Decode(data)
				if (err == nil) != (test.err == "") || err != nil && !strings.HasPrefix(err.Error(), test.err) {
					t.Errorf("%v, %v", m, err)
				}
				if err == nil && m.GetId() != "a" {
					t.Error(m)
				}
			}
			if server.Requests() != 1 {
				t.Errorf("%d requests", server.Requests())
			}
			if _, err := c.Encode(nil, &orderpb.Order{}); err == nil || !strings.Contains(err.Error(), "only decodes") {
				t.Errorf("Encode: %v", err)
			}
		})
	}
}

func TestNoRegister(t *testing.T) {
	tests := map[string]struct {
		schema    registry.Schema
		want, err string
	}{
		"the same":         {schema: file(t, nil), want: "\x00\x00\x00\x00\x01\x02\x02\x0a\x01a"},
		"at another place": {schema: file(t, func(f *descriptorpb.FileDescriptorProto) { slices.Reverse(f.MessageType) }), want: "\x00\x00\x00\x00\x01\x00\x0a\x01a"},
		"without a field": {schema: file(t, func(f *descriptorpb.FileDescriptorProto) { f.MessageType[0].Field = f.MessageType[0].Field[:1] }),
			err: "field 2 of godstream.test.Money, currency, is not there"},
		"without the message": {schema: file(t, func(f *descriptorpb.FileDescriptorProto) { f.MessageType = f.MessageType[:1] }), err: "it has no message godstream.test.Order"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := registrytest.New()
			defer server.Close()
			server.Register("orders", test.schema)
			c := protobuf.Registered[*orderpb.Order](registry.New(registry.Config{URL: server.URL, NoRegister: true}), "orders")
			data, err := c.Encode(nil, &orderpb.Order{Id: "a"})
			if string(data) != test.want || (err == nil) != (test.err == "") || err != nil && !strings.HasSuffix(err.Error(), test.err) {
				t.Errorf("%q, %v", data, err)
			}
		})
	}
}

func TestRegistryIsDown(t *testing.T) {
	server := registrytest.New()
	defer server.Close()
	server.Register("orders", file(t, nil))
	server.Fail(func(*http.Request) int { return http.StatusBadGateway })
	c := protobuf.Registered[*orderpb.Order](registry.New(registry.Config{URL: server.URL, Timeout: 200 * time.Millisecond, Pause: time.Nanosecond}), "orders")
	data := []byte("\x00\x00\x00\x00\x01\x02\x02\x0a\x01a")
	if _, err := c.Decode(data); !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("Decode: %v", err)
	}
	if _, err := c.Encode(nil, &orderpb.Order{}); !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("Encode: %v", err)
	}
	server.Fail(nil)
	if m, err := c.Decode(data); err != nil || m.GetId() != "a" {
		t.Errorf("when it is up again: %v, %v", m, err)
	}
	if _, err := c.Encode(nil, &orderpb.Order{}); err != nil {
		t.Errorf("when it is up again: %v", err)
	}
}

func TestCodecsThatCantBeUsed(t *testing.T) {
	tests := map[string]struct {
		err  error
		want string
	}{
		"interface":           {protobuf.Codec[proto.Message]().Err(), "protobuf: protoreflect.ProtoMessage is not a generated message, like *orderpb.Order"},
		"type in the value":   {protobuf.Codec[*dynamicpb.Message]().Err(), "protobuf: *dynamicpb.Message is not a generated message: it has no type of its own"},
		"no client":           {protobuf.Registered[*orderpb.Order](nil, "").Err(), "registry: the Client is nil; make one with registry.New"},
		"client with a fault": {protobuf.Registered[*orderpb.Order](registry.New(registry.Config{}), "").Err(), "registry: Config.URL is empty"},
	}
	for name, test := range tests {
		if test.err == nil || test.err.Error() != test.want {
			t.Errorf("%s: %v", name, test.err)
		}
	}
}

func TestManyGoroutines(t *testing.T) {
	server := registrytest.New()
	defer server.Close()
	c := protobuf.Registered[*orderpb.Order](registry.New(registry.Config{URL: server.URL}), "orders")
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for n := range 200 {
				want := &orderpb.Order{Id: fmt.Sprint(i), Codes: []int64{int64(n)}}
				data, err := c.Encode(nil, want)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := c.Decode(data); !proto.Equal(got, want) || err != nil {
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

func FuzzDecode(f *testing.F) {
	server := registrytest.New()
	f.Cleanup(server.Close)
	server.Register("orders", file(f, nil))
	plain, value := protobuf.Codec[*orderpb.Order](), protobuf.Codec[*structpb.Value]()
	registered := protobuf.Registered[*orderpb.Order](registry.New(registry.Config{URL: server.URL}), "")
	f.Add([]byte("\x02\x02\x0a\x01a\x12\x03\x08\xfa\x01\x1a\x05\x0a\x03tea"))
	f.Add([]byte("\x0a\x01a\x22\x06\x0a\x01k\x12\x01v\x32\x02\x01\x02\x3a\x00"))
	f.Add([]byte("\x32\x03\x0a\x01\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m, err := plain.Decode(data)
		_, _ = value.Decode(data)
		_, other := registered.Decode(append([]byte{0, 0, 0, 0, 1}, data...))
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20+2000*uint64(len(data)) {
			t.Errorf("%d bytes for %d", used, len(data))
		}
		for _, err := range []error{err, other} {
			if err != nil && !strings.HasPrefix(err.Error(), "protobuf: ") && !strings.HasPrefix(err.Error(), "registry: ") {
				t.Error(err)
			}
		}
		if err != nil {
			return
		}
		again, err := plain.Encode(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		if m2, err := plain.Decode(again); err != nil || !proto.Equal(m, m2) {
			t.Errorf("%v, then %v, %v", m, m2, err)
		}
	})
}

func ExampleCodec() {
	c := protobuf.Codec[*wrapperspb.StringValue]()
	data, err := c.Encode(nil, wrapperspb.String("tea"))
	fmt.Printf("%q %v\n", data, err)
	v, err := c.Decode(data)
	fmt.Println(v.GetValue(), err)
	_, err = c.Decode(data[:3])
	fmt.Println(err != nil)
	// Output:
	// "\n\x03tea" <nil>
	// tea <nil>
	// true
}

func ExampleRegistered() {
	server := registrytest.New()
	defer server.Close()
	schemas := registry.New(registry.Config{URL: server.URL})

	names := protobuf.Registered[*wrapperspb.StringValue](schemas, "names-value")
	data, err := names.Encode(nil, wrapperspb.String("tea"))
	fmt.Printf("%q %v\n", data, err)
	v, err := names.Decode(data)
	fmt.Println(v.GetValue(), err)

	numbers := protobuf.Registered[*wrapperspb.Int64Value](schemas, "")
	_, err = numbers.Decode(data)
	fmt.Println(err)
	// Output:
	// "\x00\x00\x00\x00\x01\x02\x0e\n\x03tea" <nil>
	// tea <nil>
	// protobuf: message google.protobuf.StringValue of schema 1, want google.protobuf.Int64Value
}
