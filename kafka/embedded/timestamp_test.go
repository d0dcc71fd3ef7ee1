package embedded_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/kafka/embedded"
)

func TestTimestamp(t *testing.T) {
	t.Parallel()
	const ms = 1539202764123
	tests := map[string]struct {
		line string
		want int64 // 0: none
	}{
		"number":                       {`{"timestamp_ms":1539202764123}`, ms},
		"string":                       {`{"timestamp_ms":"1539202764123"}`, ms},
		"among others":                 {`{"a":[1,{"b":null}],"timestamp_ms":"1539202764123","z":-1.5e+3}`, ms},
		"white space":                  {" {\t\"timestamp_ms\" : \"1539202764123\" }\r", ms},
		"escaped name":                 {`{"timestamp\u005fms":1539202764123}`, ms},
		"the last of several":          {`{"timestamp_ms":5,"timestamp_ms":1539202764123}`, ms},
		"the last of several is wrong": {`{"timestamp_ms":1539202764123,"timestamp_ms":null}`, 0},
		"last ms of 9999":              {`{"timestamp_ms":253402300799999}`, 253402300799999},
		"beyond 9999":                  {`{"timestamp_ms":253402300800000}`, 0},
		"zero":                         {`{"timestamp_ms":0}`, 0},
		"negative":                     {`{"timestamp_ms":-1539202764123}`, 0},
		"fraction":                     {`{"timestamp_ms":1539202764123.5}`, 0},
		"exponent":                     {`{"timestamp_ms":1e12}`, 0},
		"many digits":                  {`{"timestamp_ms":"15392027641231539202764123"}`, 0},
		"words":                        {`{"timestamp_ms":"yesterday"}`, 0},
		"empty string":                 {`{"timestamp_ms":""}`, 0},
		"null":                         {`{"timestamp_ms":null}`, 0},
		"array":                        {`{"timestamp_ms":[1539202764123]}`, 0},
		"only inside another":          {`{"a":{"timestamp_ms":1539202764123}}`, 0},
		"other case":                   {`{"Timestamp_MS":1539202764123}`, 0},
		"no such member":               {`{"a":1}`, 0},
		"truncated after it":           {`{"timestamp_ms":1539202764123,"text":"to be o`, 0},
		"truncated at the end":         {`{"timestamp_ms":1539202764123`, 0},
		"something behind":             {`{"timestamp_ms":1539202764123} {}`, 0},
		"an array of it":               {`[{"timestamp_ms":1539202764123}]`, 0},
		"a number":                     {`1539202764123`, 0},
		"nothing but null":             {`null`, 0},
		"invalid UTF-8":                {"{\"timestamp_ms\":1539202764123,\"text\":\"\xff\"}", 0},
		"control character":            {"{\"timestamp_ms\":1539202764123,\"text\":\"\x01\"}", 0},
		"leading zero":                 {`{"timestamp_ms":1539202764123,"a":01}`, 0},
		"comma too many":               {`{"timestamp_ms":1539202764123,}`, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := embedded.Timestamp([]byte(test.line), "timestamp_ms")
			require.Equal(t, test.want != 0, ok)
			if ok {
				require.Equal(t, test.want, got)
			}
		})
	}
}
