package codec

import (
	"fmt"
	"unicode/utf8"
)

// Text is UTF-8 text as it is. Bytes that are no UTF-8 are refused both ways.
func Text() Codec[string] { return New("text", encodeText, decodeText) }

func encodeText(dst []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("text: invalid UTF-8 at byte %d", invalidUTF8([]byte(s)))
	}
	return append(dst, s...), nil
}

func decodeText(data []byte) (string, error) {
	if !utf8.Valid(data) {
		return "", fmt.Errorf("text: invalid UTF-8 at byte %d", invalidUTF8(data))
	}
	return string(data), nil
}

// invalidUTF8 is the offset of the first byte that is no UTF-8.
func invalidUTF8(data []byte) int {
	for at := 0; at < len(data); {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return len(data)
}
