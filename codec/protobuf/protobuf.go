// Package protobuf is the binary encoding of Protocol Buffers, for generated
// messages, as they are or behind the number of their schema in a registry:
//
//	orders := protobuf.Codec[*orderpb.Order]()                            // the message alone
//	orders := protobuf.Registered[*orderpb.Order](schemas, "orders-value") // number and place of its type before it
//
// The format does not tell where a message ends or what type it is of: bytes of
// another message may be taken, and no bytes at all are the message without
// fields. Check what must be there with [codec.Codec.Check]. What is refused:
// bytes that are no fields, text that is no UTF-8, required fields that are
// missing, messages nested more than 10,000 deep.
//
// Fields that the message does not have are kept and written again by Encode, so
// that a program which passes messages on loses nothing that was added since. So
// is a field whose wire type is another one. Who wants neither refuses them:
//
//	c.Check(func(o *orderpb.Order) error {
//		if len(o.ProtoReflect().GetUnknown()) > 0 {
//			return errors.New("unknown fields")
//		}
//		return nil
//	})
//
// Memory is in proportion to the length of the data; an empty message in a list
// is two bytes that become a whole struct. Encode writes equal messages as equal
// bytes, with the maps in order, as long as program and library are the same.
//
// The library is google.golang.org/protobuf, which generated messages need anyway.
package protobuf

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/godstream/godstream/codec"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Codec is one message. T is the pointer that generated code has, such as
// *orderpb.Order. The name is "protobuf-" and that of the message.
func Codec[T proto.Message]() codec.Codec[T] {
	typ, err := typeOf[T]()
	if err != nil {
		return codec.Invalid[T]("protobuf", err)
	}
	return codec.New("protobuf-"+string(typ.Descriptor().FullName()), encode[T], func(data []byte) (T, error) {
		return decode[T](typ, data)
	})
}

func typeOf[T proto.Message]() (protoreflect.MessageType, error) {
	t := reflect.TypeFor[T]()
	if t.Kind() != reflect.Pointer {
		return nil, fmt.Errorf("protobuf: %s is not a generated message, like *orderpb.Order", t)
	}
	var zero T
	typ, ok := messageType(zero)
	if !ok {
		return nil, fmt.Errorf("protobuf: %s is not a generated message: it has no type of its own", t)
	}
	return typ, nil
}

// messageType is not ok for messages like those of dynamicpb, whose type is in
// the value.
func messageType(m proto.Message) (typ protoreflect.MessageType, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	typ = m.ProtoReflect().Type()
	return typ, typ != nil && typ.Descriptor() != nil
}

func encode[T proto.Message](dst []byte, m T) ([]byte, error) {
	if !m.ProtoReflect().IsValid() {
		return nil, fmt.Errorf("protobuf: nil %T", m)
	}
	out, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(dst, m)
	if err != nil {
		return nil, explain(err)
	}
	return out, nil
}

func decode[T proto.Message](typ protoreflect.MessageType, data []byte) (T, error) {
	m, ok := typ.New().Interface().(T)
	if !ok {
		return m, fmt.Errorf("protobuf: messages of %s are no %T", typ.Descriptor().FullName(), m)
	}
	if err := proto.Unmarshal(data, m); err != nil {
		return m, explain(err)
	}
	return m, nil
}

// explain is what the library says, which begins with "proto:" and either kind of space.
func explain(err error) error {
	text := strings.TrimLeft(strings.TrimPrefix(err.Error(), "proto:"), " \u00a0")
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "") + "…"
	}
	return &reason{"protobuf: " + text, err}
}

type reason struct {
	text  string
	cause error
}

func (r *reason) Error() string { return r.text }
func (r *reason) Unwrap() error { return r.cause }

var errNoSubject = errors.New("protobuf: this codec only decodes: it was made without a subject")
