package shape

import (
	"reflect"
)

// AppendValue is Of and Append for a type that is only known when the test runs.
func AppendValue(v reflect.Value) (shape string, data []byte, err error) {
	n, err := describe(v.Type(), false)
	if err != nil {
		return "", nil, err
	}
	ops, err := new(compiler).compile(nil, n, n, v.Type(), 0, "T")
	if err != nil {
		return "", nil, err
	}
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	data, err = appendOps(nil, ops, p.UnsafePointer())
	return n.String(), data, err
}

// ReadValue is Of and Reading likewise.
func ReadValue(t reflect.Type, stored string, accept bool, data []byte) (v reflect.Value, rest []byte, err error) {
	n, err := describe(t, false)
	if err != nil {
		return v, nil, err
	}
	was, err := parse(stored)
	if err != nil {
		return v, nil, err
	}
	ops, err := (&compiler{accept: accept}).compile(nil, was, n, t, 0, "T")
	if err != nil {
		return v, nil, err
	}
	p := reflect.New(t)
	rest, err = decodeOps(data, ops, p.UnsafePointer())
	return p.Elem(), rest, err
}

// Same says whether a and b have the same encoding, step by step.
func Same(a, b reflect.Value) bool {
	n, _ := describe(a.Type(), false)
	ops, _ := new(compiler).compile(nil, n, n, a.Type(), 0, "T")
	p, q := reflect.New(a.Type()), reflect.New(b.Type())
	p.Elem().Set(a)
	q.Elem().Set(b)
	return sameOps(ops, p.UnsafePointer(), q.UnsafePointer())
}

// Parsed is the shape as it was understood.
func Parsed(text string) (string, error) {
	n, err := parse(text)
	if err != nil {
		return "", err
	}
	return n.String(), nil
}
