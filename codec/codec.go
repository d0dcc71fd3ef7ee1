// Package codec turns a type into bytes and back.
//
// A [Codec] is what an operator takes that reads or writes bytes. [JSON],
// [Text] and [Gob] need the standard library alone; package fastjson has JSON by
// a faster library, packages avro and protobuf have those formats, and [New]
// makes a codec of two functions:
//
//	tweets, malformed := stream.Decode(messages, codec.JSON[Tweet]().Check(hasAuthor))
//
// The promise that is easy to get wrong: Decode takes all of its bytes or fails
// (there is no half of a value, and nothing is put right silently), it keeps
// none of them, so the caller may use the slice again, and what it takes is
// decoded the same way every time. A Codec may be used by many goroutines at
// once.
package codec

import (
	"errors"
	"fmt"
	"slices"
)

// Codec turns values of T into bytes and back. It is a small value: copy it.
// The zero Codec and one whose Err is not nil only give errors.
type Codec[T any] struct {
	name   string
	encode func(dst []byte, v T) ([]byte, error)
	decode func(data []byte) (T, error)
	checks []func(T) error
	err    error
}

var errZero = errors.New("codec: this is the zero Codec; make one with codec.JSON, codec.Text or codec.New")

// New makes a codec of two functions. The name is that of the bytes' format and
// is kept in checkpoints: change it when the format changes.
//
// encode appends v to dst; decode returns the value of data, refuses what it
// would have to guess, and copies what it keeps of data. Both may be called by
// many goroutines at once. Their errors go to users as they are, so let them
// begin with the name ("celsius: 3 bytes, want 4").
func New[T any](name string, encode func(dst []byte, v T) ([]byte, error), decode func(data []byte) (T, error)) Codec[T] {
	c := Codec[T]{name: name, encode: encode, decode: decode}
	switch {
	case name == "":
		c.err = errors.New("codec: New: name is empty")
	case encode == nil:
		c.err = fmt.Errorf("codec: New(%q): encode is nil", name)
	case decode == nil:
		c.err = fmt.Errorf("codec: New(%q): decode is nil", name)
	}
	return c
}

// Invalid is a codec that can't be used because of err: what a function that
// makes codecs returns for a wrong argument.
func Invalid[T any](name string, err error) Codec[T] {
	if err == nil {
		err = fmt.Errorf("codec: Invalid(%q): err is nil", name)
	}
	return Codec[T]{name: name, err: err}
}

// Check returns a codec whose Decode fails, with f's error, for a value that f
// refuses: for fields that must be there and rules that T can't express. Checks
// add up and run in the order they were added; Encode does not run them.
func (c Codec[T]) Check(f func(T) error) Codec[T] {
	if f == nil && c.Err() == nil {
		c.err = fmt.Errorf("codec: Check of %q: the function is nil", c.name)
	}
	c.checks = append(slices.Clip(c.checks), f) // clipped: codecs made of one another share no array
	return c
}

// Err says why the codec can't be used, nil if it can. An operator that takes a
// codec reports it when it is declared; Encode and Decode return it too.
func (c Codec[T]) Err() error {
	if c.err == nil && c.decode == nil {
		return errZero
	}
	return c.err
}

// Name is the name of the format. Codecs that understand each other's bytes
// have the same one.
func (c Codec[T]) Name() string { return c.name }

// Encode appends v to dst and returns it, or returns dst as it was and an error.
func (c Codec[T]) Encode(dst []byte, v T) ([]byte, error) {
	if err := c.Err(); err != nil {
		return dst, err
	}
	out, err := c.encode(dst, v)
	if err != nil {
		return dst, err
	}
	return out, nil
}

// Decode returns the value of data, all of it. With an error it is the zero T.
// data may be changed and used again after the call.
func (c Codec[T]) Decode(data []byte) (T, error) {
	var zero T
	if err := c.Err(); err != nil {
		return zero, err
	}
	v, err := c.decode(data)
	if err != nil {
		return zero, err
	}
	for _, check := range c.checks {
		if err := check(v); err != nil {
			return zero, err
		}
	}
	return v, nil
}
