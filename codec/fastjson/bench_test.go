package fastjson_test

import (
	"testing"

	"github.com/godstream/godstream/codec"
	"github.com/godstream/godstream/codec/fastjson"
	"github.com/godstream/godstream/codec/internal/jsoncases"
)

// A tweet is decoded to one field, to twelve, and to maps.
func BenchmarkDecode(b *testing.B) {
	b.Run("tweet/codec", func(b *testing.B) { decode(b, codec.JSON[tweet]()) })
	b.Run("tweet/fastjson", func(b *testing.B) { decode(b, fastjson.JSON[tweet]()) })
	b.Run("twelve/codec", func(b *testing.B) { decode(b, codec.JSON[bigTweet]()) })
	b.Run("twelve/fastjson", func(b *testing.B) { decode(b, fastjson.JSON[bigTweet]()) })
	b.Run("any/codec", func(b *testing.B) { decode(b, codec.JSON[any]()) })
	b.Run("any/fastjson", func(b *testing.B) { decode(b, fastjson.JSON[any]()) })
}

func decode[T any](b *testing.B, c codec.Codec[T]) {
	documents, size := jsoncases.Tweets(), 0
	for _, document := range documents {
		size += len(document)
	}
	b.SetBytes(int64(size / len(documents)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := c.Decode(documents[i%len(documents)]); err != nil {
			b.Fatal(err)
		}
	}
}
