package protobuf

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/godstream/godstream/codec"
	"github.com/godstream/godstream/codec/registry"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Registered is one message behind the number of the schema that it was written
// with and its place in that: a zero byte, the number in four bytes, the place
// as [registry.AppendIndex] writes it, the message.
//
// Decode asks the registry for the schema of a number that it has not seen
// before. The message at that place must have the name of T's, and a field that
// both have must be of a type that Protobuf reads as the other's, and a list in
// both or in neither; the error says which it is that does not fit. Messages of
// files that the schema imports are not compared. The registry must know
// format=serialized, as that of Confluent does.
//
// Encode registers T's file for the subject when it is called first, as a
// descriptor in base64. A file that imports others than google/protobuf/ has to
// be registered by other means; set [registry.Config.NoRegister] then. With it,
// the subject's latest schema must have all fields of T.
// With an empty subject the codec only decodes.
//
// Both wait for the registry as [registry.Config.Timeout] says, and an error that
// is [registry.ErrUnavailable] says nothing about the record.
func Registered[T proto.Message](schemas *registry.Client, subject string) codec.Codec[T] {
	const name = "protobuf-registry"
	typ, err := typeOf[T]()
	if err == nil {
		err = schemas.Err()
	}
	if err != nil {
		return codec.Invalid[T](name, err)
	}
	r := &registered{schemas: schemas, subject: subject, message: typ.Descriptor()}
	return codec.New(name+"-"+string(r.message.FullName()), func(dst []byte, m T) ([]byte, error) {
		own, err := r.number()
		if err != nil {
			return nil, err
		}
		return encode(registry.AppendIndex(registry.AppendHeader(dst, own.id), own.index), m)
	}, func(data []byte) (T, error) {
		var zero T
		id, data, err := registry.CutHeader(data)
		if err != nil {
			return zero, err
		}
		index, data, err := registry.CutIndex(data)
		if err != nil {
			return zero, err
		}
		if err := r.check(id, index); err != nil {
			return zero, err
		}
		m, err := decode[T](typ, data)
		if err != nil {
			return zero, fmt.Errorf("%w, written with schema %d", err, id)
		}
		return m, nil
	})
}

// registered is what all goroutines know of the registry's schemas.
type registered struct {
	schemas *registry.Client
	subject string
	message protoreflect.MessageDescriptor
	own     atomic.Pointer[place]
	written sync.Map // by number: file
}

// place is where a message's type is.
type place struct {
	id    uint32
	index []int
}

// file is a schema of the registry.
type file struct {
	schema *descriptorpb.FileDescriptorProto
	index  []int // where the codec's message is; nil if it is not there
	err    error // why none of it can be read
}

func (r *registered) number() (*place, error) {
	if own := r.own.Load(); own != nil {
		return own, nil
	}
	if r.subject == "" {
		return nil, errNoSubject
	}
	own := place{index: indexOf(r.message)}
	id, err := r.schemas.Number(context.Background(), r.subject, r.schema, func(id uint32, _ registry.Schema) error {
		f, err := r.file(id)
		if err != nil {
			return err
		}
		if f.index == nil {
			return fmt.Errorf("it has no message %s", r.message.FullName())
		}
		own.index = f.index
		return newComparison(f.schema, true).message(messageAt(f.schema, f.index), r.message)
	})
	if err != nil {
		return nil, err
	}
	own.id = id
	r.own.Store(&own)
	return &own, nil
}

// schema is the file of the message, to be registered.
func (r *registered) schema() (registry.Schema, error) {
	imports := r.message.ParentFile().Imports()
	for i := range imports.Len() {
		if path := imports.Get(i).Path(); !strings.HasPrefix(path, "google/protobuf/") {
			return registry.Schema{}, fmt.Errorf("protobuf: %s imports %s, which this codec does not register; register both by other means and set registry.Config.NoRegister",
				r.message.ParentFile().Path(), path)
		}
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(protodesc.ToFileDescriptorProto(r.message.ParentFile()))
	if err != nil {
		return registry.Schema{}, explain(err)
	}
	return registry.Schema{Type: "PROTOBUF", Text: base64.StdEncoding.EncodeToString(data)}, nil
}

// check tells whether the message at a place of a schema can be read as the codec's.
func (r *registered) check(id uint32, index []int) error {
	f, err := r.file(id)
	if err != nil {
		return err
	}
	if !slices.Equal(index, f.index) {
		if name := nameAt(f.schema, index); name != "" {
			return fmt.Errorf("protobuf: message %s of schema %d, want %s", name, id, r.message.FullName())
		}
		return fmt.Errorf("protobuf: schema %d has no message at the place %v", id, index)
	}
	return nil
}

// file is the schema with this number. What can't be read never will, and is
// kept as well.
func (r *registered) file(id uint32) (file, error) {
	if known, ok := r.written.Load(id); ok {
		return known.(file), known.(file).err
	}
	found, err := r.schemas.SerializedSchema(context.Background(), id) // bounded by the client
	if err != nil {
		return file{}, err
	}
	var f file
	if f.schema, err = parse(found); err == nil {
		if f.index = find(f.schema, r.message.FullName()); f.index != nil {
			err = newComparison(f.schema, false).message(messageAt(f.schema, f.index), r.message)
		}
	}
	if err != nil {
		f.err = fmt.Errorf("protobuf: schema %d can't be read as %s: %w", id, r.message.FullName(), err)
	}
	r.written.Store(id, f)
	return f, f.err
}

func parse(s registry.Schema) (*descriptorpb.FileDescriptorProto, error) {
	if s.Type != "PROTOBUF" {
		return nil, fmt.Errorf("it is of type %.20q", s.Type)
	}
	data, err := base64.StdEncoding.DecodeString(s.Text)
	f := new(descriptorpb.FileDescriptorProto)
	if err == nil {
		err = proto.Unmarshal(data, f)
	}
	if err != nil {
		return nil, errors.New("the registry gives no descriptor of it in base64; does it know format=serialized?")
	}
	return f, nil
}

// indexOf is the place of a message in its file.
func indexOf(m protoreflect.MessageDescriptor) []int {
	var index []int
	for d := protoreflect.Descriptor(m); ; d = d.Parent() {
		if _, isMessage := d.(protoreflect.MessageDescriptor); !isMessage {
			break
		}
		index = append(index, d.Index())
	}
	slices.Reverse(index)
	return index
}

// find is the place of the message with this name, nil if there is none.
func find(f *descriptorpb.FileDescriptorProto, name protoreflect.FullName) []int {
	rest := string(name)
	if pkg := f.GetPackage(); pkg != "" {
		var ok bool
		if rest, ok = strings.CutPrefix(rest, pkg+"."); !ok {
			return nil
		}
	}
	var index []int
	within := f.GetMessageType()
	for part := range strings.SplitSeq(rest, ".") {
		i := slices.IndexFunc(within, func(m *descriptorpb.DescriptorProto) bool { return m.GetName() == part })
		if i < 0 {
			return nil
		}
		index, within = append(index, i), within[i].GetNestedType()
	}
	return index
}

func messageAt(f *descriptorpb.FileDescriptorProto, index []int) (m *descriptorpb.DescriptorProto) {
	within := f.GetMessageType()
	for _, i := range index {
		if i < 0 || i >= len(within) {
			return nil
		}
		m, within = within[i], within[i].GetNestedType()
	}
	return m
}

// nameAt is the full name of the message at a place, "" if there is none.
func nameAt(f *descriptorpb.FileDescriptorProto, index []int) string {
	if messageAt(f, index) == nil {
		return ""
	}
	parts := []string{f.GetPackage()}
	for n := range index {
		parts = append(parts, messageAt(f, index[:n+1]).GetName())
	}
	return strings.TrimPrefix(strings.Join(parts, "."), ".")
}

// comparison compares the messages of a schema with those that a program has.
type comparison struct {
	schema   *descriptorpb.FileDescriptorProto
	complete bool // the schema must have all fields that the program has
	seen     map[protoreflect.FullName]bool
}

func newComparison(f *descriptorpb.FileDescriptorProto, complete bool) comparison {
	return comparison{f, complete, map[protoreflect.FullName]bool{}}
}

func (c comparison) message(theirs *descriptorpb.DescriptorProto, ours protoreflect.MessageDescriptor) error {
	if c.seen[ours.FullName()] {
		return nil
	}
	c.seen[ours.FullName()] = true
	known := map[protoreflect.FieldNumber]bool{}
	for _, f := range theirs.GetField() {
		number := protoreflect.FieldNumber(f.GetNumber())
		known[number] = true
		own := ours.Fields().ByNumber(number)
		if own == nil {
			continue
		}
		isList := f.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REPEATED
		if isList != (own.Cardinality() == protoreflect.Repeated) {
			return fmt.Errorf("field %d of %s, %s, is a list in one of them only", number, ours.FullName(), own.Name())
		}
		if f.Type == nil { // not resolved: a message or an enumeration
			continue
		}
		kind := protoreflect.Kind(f.GetType())
		if wire(kind) != wire(own.Kind()) {
			return fmt.Errorf("field %d of %s, %s, is of type %s there and %s here", number, ours.FullName(), own.Name(), kind, own.Kind())
		}
		if own.Message() == nil {
			continue
		}
		if at := find(c.schema, protoreflect.FullName(strings.TrimPrefix(f.GetTypeName(), "."))); at != nil {
			if err := c.message(messageAt(c.schema, at), own.Message()); err != nil {
				return err
			}
		}
	}
	for i := range ours.Fields().Len() {
		if f := ours.Fields().Get(i); c.complete && !known[f.Number()] {
			return fmt.Errorf("field %d of %s, %s, is not there", f.Number(), ours.FullName(), f.Name())
		}
	}
	return nil
}

// wire is one of the kinds that are read as each other.
func wire(k protoreflect.Kind) protoreflect.Kind {
	switch k {
	case protoreflect.Int32Kind, protoreflect.Int64Kind, protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.BoolKind, protoreflect.EnumKind:
		return protoreflect.Int64Kind
	case protoreflect.Sint32Kind, protoreflect.Sint64Kind:
		return protoreflect.Sint64Kind
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.Fixed32Kind
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.Fixed64Kind
	case protoreflect.StringKind, protoreflect.BytesKind:
		return protoreflect.BytesKind
	}
	return k
}
