package embedded

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// maxTime is the last millisecond of the year 9999.
const maxTime = 253402300799999

// maxDepth is how deeply JSON may be nested, as in encoding/json.
const maxDepth = 10000

// timestamp reads the time of a line, in ms: the number above zero, or the
// string with such a number, that is the member field of the JSON object that
// the line is. False if the line is nothing of the kind.
func timestamp(line []byte, field string) (int64, bool) {
	value, ok := member(line, field)
	if !ok {
		return 0, false
	}
	if value[0] == '"' {
		value = value[1 : len(value)-1]
	}
	if len(value) == 0 || len(value) > 15 {
		return 0, false
	}
	var ms int64
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, false
		}
		ms = ms*10 + int64(c-'0')
	}
	return ms, 0 < ms && ms <= maxTime
}

// member returns the value of a member of the JSON object in line, as it is
// written there; the last one if several have the name. False if there is
// none, or if the line is not one valid JSON object in valid UTF-8.
//
// encoding/json would read a line twice, allocate for it, and take
// "Timestamp_MS" for "timestamp_ms".
func member(line []byte, name string) (value []byte, found bool) {
	if !utf8.Valid(line) {
		return nil, false
	}
	s := scanner{text: line}
	s.space()
	if !s.object(1, func(key, v []byte) {
		if named(key, name) {
			value, found = v, true
		}
	}) {
		return nil, false
	}
	s.space()
	return value, found && s.at == len(line)
}

// named says whether a key, as it is written, is name.
func named(key []byte, name string) bool {
	if bytes.IndexByte(key, '\\') < 0 {
		return string(key[1:len(key)-1]) == name
	}
	var decoded string
	return json.Unmarshal(key, &decoded) == nil && decoded == name
}

// scanner walks over JSON text. Its methods say whether what they are named
// for begins at the position, and move on behind it.
type scanner struct {
	text []byte
	at   int
}

func (s *scanner) value(depth int) bool {
	if s.at >= len(s.text) || depth > maxDepth {
		return false
	}
	switch s.text[s.at] {
	case '{':
		return s.object(depth, nil)
	case '[':
		return s.array(depth)
	case '"':
		return s.string()
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	return s.number()
}

// object calls each, if there is one, with every key and value.
func (s *scanner) object(depth int, each func(key, value []byte)) bool {
	if !s.skip('{') {
		return false
	}
	s.space()
	if s.skip('}') {
		return true
	}
	for {
		s.space()
		key := s.at
		if !s.string() {
			return false
		}
		keyEnd := s.at
		s.space()
		if !s.skip(':') {
			return false
		}
		s.space()
		value := s.at
		if !s.value(depth + 1) {
			return false
		}
		if each != nil {
			each(s.text[key:keyEnd], s.text[value:s.at])
		}
		s.space()
		if s.skip('}') {
			return true
		}
		if !s.skip(',') {
			return false
		}
	}
}

func (s *scanner) array(depth int) bool {
	s.skip('[')
	s.space()
	if s.skip(']') {
		return true
	}
	for {
		s.space()
		if !s.value(depth + 1) {
			return false
		}
		s.space()
		if s.skip(']') {
			return true
		}
		if !s.skip(',') {
			return false
		}
	}
}

func (s *scanner) string() bool {
	if !s.skip('"') {
		return false
	}
	for i := s.at; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case c == '"':
			s.at = i + 1
			return true
		case c < ' ':
			return false
		case c == '\\':
			i++
			if i >= len(s.text) {
				return false
			}
			switch s.text[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if i+4 >= len(s.text) || !hex(s.text[i+1:i+5]) {
					return false
				}
				i += 4
			default:
				return false
			}
		}
	}
	return false
}

func (s *scanner) number() bool {
	s.skip('-')
	if !s.skip('0') && !s.digits() {
		return false
	}
	if s.skip('.') && !s.digits() {
		return false
	}
	if s.skip('e') || s.skip('E') {
		if !s.skip('+') {
			s.skip('-')
		}
		return s.digits()
	}
	return true
}

func (s *scanner) digits() bool {
	start := s.at
	for s.at < len(s.text) && '0' <= s.text[s.at] && s.text[s.at] <= '9' {
		s.at++
	}
	return s.at > start
}

func (s *scanner) word(w string) bool {
	if !bytes.HasPrefix(s.text[s.at:], []byte(w)) {
		return false
	}
	s.at += len(w)
	return true
}

func (s *scanner) skip(c byte) bool {
	if s.at >= len(s.text) || s.text[s.at] != c {
		return false
	}
	s.at++
	return true
}

func (s *scanner) space() {
	for s.at < len(s.text) && blank(s.text[s.at]) {
		s.at++
	}
}

// blank says whether c is JSON's white space.
func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func hex(digits []byte) bool {
	for _, c := range digits {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
			return false
		}
	}
	return true
}
