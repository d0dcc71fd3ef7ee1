// Package avro is the binary encoding of Apache Avro, with a schema that is
// given or with the schemas of a registry:
//
//	orders := avro.Codec[Order](orderSchema)                            // bytes as the schema says
//	orders := avro.Registered[Order](schemas, "orders-value", orderSchema) // the number of their schema before them
//
// The fields of T have the names of the schema's, or say them in a tag
// (`avro:"id"`). T must have all of those that the schema has; leave a field out
// of the schema of a [Registered] codec to pass over it.
//
//   - boolean, int, long, float, double, string, bytes, fixed, enum: bool, the Go
//     integers, floats, string, []byte, an array of bytes, string
//   - array, map, record: a slice, a map with string keys, a struct or map[string]any
//   - a union of null and another: a pointer, nil for null; other unions: any
//   - date and timestamps: time.Time; times of day: time.Duration; decimal: *big.Rat
//
// Decode takes all of its bytes or fails, and a number that T's field can't hold
// is an error. Memory is in proportion to the length of the data, as each
// element takes a byte at least; of elements that take none (null, a record
// without fields) an array has at most 4096, and values are nested at most 1000
// deep. Text that is no UTF-8 is taken as it is, and so is a decimal with more
// digits than its schema allows, which Encode refuses. A panic while decoding, of a
// method of T too, is an error.
//
// The library is github.com/twmb/avro, by the author of the Kafka client that
// kafka/embedded is made of: it is maintained, has the limits above, and brings
// nothing else along (its compression is for files, which are not used here). Of
// the others, github.com/hamba/avro has been archived by its author, who has no
// more time for it, and github.com/linkedin/goavro decodes into maps alone.
package avro

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/godstream/godstream/codec"
	"github.com/godstream/godstream/codec/registry"
	"github.com/twmb/avro"
)

// Codec is one value of T as the schema says, in Avro's JSON for schemas. The
// bytes do not tell the schema: who reads them must have the same. The name is
// "avro-" and a fingerprint of the schema, so that states that were written with
// another one are not misread.
//
// Make a codec once, as it parses the schema.
func Codec[T any](schema string) codec.Codec[T] {
	s, err := parse[T](schema)
	if err != nil {
		return codec.Invalid[T]("avro", err)
	}
	return codec.New(fmt.Sprintf("avro-%x", s.Fingerprint(avro.NewRabin())), encode[T](s), func(data []byte) (T, error) {
		return decode[T](s, data)
	})
}

// Registered is one value of T behind the number of the schema that it was
// written with: a zero byte, the number in four bytes, the value.
//
// Decode asks the registry for the schema of a number that it has not seen
// before and resolves it to the given one by Avro's rules: fields that were
// added have their defaults, fields that were removed are passed over, numbers
// are promoted. Schemas that do not go together are an error each time. Encode
// registers the schema for the subject when it is called first; with
// [registry.Config.NoRegister], the subject's latest schema must be the same.
// With an empty subject the codec only decodes.
//
// Both wait for the registry as [registry.Config.Timeout] says, and an error that
// is [registry.ErrUnavailable] says nothing about the record.
func Registered[T any](schemas *registry.Client, subject, schema string) codec.Codec[T] {
	const name = "avro-registry"
	s, err := parse[T](schema)
	if err == nil {
		err = schemas.Err()
	}
	if err != nil {
		return codec.Invalid[T](name, err)
	}
	r := &registered{schemas: schemas, subject: subject, reader: s}
	body := encode[T](s)
	return codec.New(name, func(dst []byte, v T) ([]byte, error) {
		id, err := r.number()
		if err != nil {
			return nil, err
		}
		return body(registry.AppendHeader(dst, id), v)
	}, func(data []byte) (T, error) {
		var zero T
		id, data, err := registry.CutHeader(data)
		if err != nil {
			return zero, err
		}
		s, err := r.resolved(id)
		if err != nil {
			return zero, err
		}
		v, err := decode[T](s, data)
		if err != nil {
			return zero, fmt.Errorf("%w, written with schema %d", err, id)
		}
		return v, nil
	})
}

// parse is the schema, if values of T can be made of it.
func parse[T any](schema string) (*avro.Schema, error) {
	s, err := avro.Parse(schema)
	if err != nil {
		return nil, explain("schema: ", err)
	}
	var v T
	_, err = s.Decode(nil, &v) // misses fields in T before it finds the data too short
	var short *avro.ShortBufferError
	if err != nil && !errors.As(err, &short) {
		return nil, explain(fmt.Sprintf("the schema does not fit %T: ", v), err)
	}
	return s, nil
}

func encode[T any](s *avro.Schema) func(dst []byte, v T) ([]byte, error) {
	return func(dst []byte, v T) ([]byte, error) {
		out, err := s.AppendEncode(dst, &v)
		if err != nil {
			return nil, explain("", err)
		}
		return out, nil
	}
}

func decode[T any](s *avro.Schema, data []byte) (v T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("avro: panic while decoding: %s", clip(fmt.Sprint(p)))
		}
	}()
	rest, err := s.Decode(data, &v)
	if err != nil {
		return v, explain("", err)
	}
	if len(rest) > 0 {
		return v, fmt.Errorf("avro: data is left over at byte %d", len(data)-len(rest))
	}
	return v, nil
}

// registered is what all goroutines know of the registry's schemas.
type registered struct {
	schemas *registry.Client
	subject string
	reader  *avro.Schema
	own     atomic.Pointer[uint32] // number of the reader's schema, once it is known
	written sync.Map               // by number: resolution
}

type resolution struct {
	schema *avro.Schema
	err    error
}

func (r *registered) number() (uint32, error) {
	if id := r.own.Load(); id != nil {
		return *id, nil
	}
	if r.subject == "" {
		return 0, errors.New("avro: this codec only decodes: it was made without a subject")
	}
	ctx := context.Background() // bounded by the client
	id, err := r.schemas.Number(ctx, r.subject, func() (registry.Schema, error) {
		return registry.Schema{Type: "AVRO", Text: r.reader.String()}, nil
	}, func(_ uint32, latest registry.Schema) error {
		s, err := r.parse(ctx, latest)
		if err != nil {
			return err
		}
		if string(s.Canonical()) != string(r.reader.Canonical()) {
			return errors.New("their canonical forms differ")
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	r.own.Store(&id)
	return id, nil
}

// resolved reads data of the schema with this number into the reader's. What
// does not resolve never will, and is kept as well.
func (r *registered) resolved(id uint32) (*avro.Schema, error) {
	if known, ok := r.written.Load(id); ok {
		return known.(resolution).schema, known.(resolution).err
	}
	ctx := context.Background() // bounded by the client
	found, err := r.schemas.Schema(ctx, id)
	if err != nil {
		return nil, err
	}
	writer, err := r.parse(ctx, found)
	if err != nil && fromRegistry(err) {
		return nil, err
	}
	var result resolution
	if err == nil {
		result.schema, err = avro.Resolve(writer, r.reader)
	}
	if err != nil {
		result = resolution{err: explain(fmt.Sprintf("schema %d can't be read as the codec's: ", id), err)}
	}
	r.written.Store(id, result)
	return result.schema, result.err
}

// fromRegistry tells an answer of the registry, which may be another one later,
// from what is wrong with a schema.
func fromRegistry(err error) bool {
	var answer *registry.Error
	return errors.Is(err, registry.ErrUnavailable) || errors.As(err, &answer)
}

// parse is a schema of the registry with those that it uses.
func (r *registered) parse(ctx context.Context, s registry.Schema) (*avro.Schema, error) {
	var cache avro.SchemaCache
	seen := map[registry.Reference]bool{}
	var use func(s registry.Schema, depth int) (*avro.Schema, error)
	use = func(s registry.Schema, depth int) (*avro.Schema, error) {
		const deepest, most = 50, 1000
		if s.Type != "AVRO" {
			return nil, fmt.Errorf("it is of type %s", clip(s.Type))
		}
		for _, ref := range s.References {
			if seen[ref] {
				continue
			}
			seen[ref] = true
			if depth == deepest || len(seen) > most {
				return nil, errors.New("it uses too many others")
			}
			used, err := r.schemas.Version(ctx, ref.Subject, ref.Version)
			if err != nil {
				return nil, err
			}
			if _, err := use(used, depth+1); err != nil {
				return nil, err
			}
		}
		return cache.Parse(s.Text)
	}
	return use(s, 0)
}

// explain is what the library says, in a line that is not too long.
func explain(where string, err error) error {
	return &reason{"avro: " + where + clip(strings.TrimPrefix(err.Error(), "avro: ")), err}
}

type reason struct {
	text  string
	cause error
}

func (r *reason) Error() string { return r.text }
func (r *reason) Unwrap() error { return r.cause }

func clip(text string) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "") + "…"
	}
	return text
}
