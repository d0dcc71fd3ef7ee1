package embedded

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// maxTime is the last millisecond of the year 9999.
const maxTime = 253402300799999

// timestamp reads the time of a line, in ms: the whole number of milliseconds above
// zero, or the string with such a number, that is the member field of the JSON
// object that the line is. False if the line is nothing of the kind.
func timestamp(line []byte, field string) (int64, bool) {
	var members map[string]json.RawMessage
	if !utf8.Valid(line) || json.Unmarshal(line, &members) != nil {
		return 0, false
	}
	value := bytes.TrimSuffix(bytes.TrimPrefix(members[field], []byte{'"'}), []byte{'"'})
	ms, err := strconv.ParseUint(string(value), 10, 63)
	return int64(ms), err == nil && 0 < ms && ms <= maxTime
}
