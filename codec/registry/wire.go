package registry

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// header is the length of what stands before the data: a zero and the number.
const header = 5

// AppendHeader appends what stands before data that was written with the schema
// of this number: a zero byte and the number in four bytes, big-endian.
func AppendHeader(dst []byte, id uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, 0), id)
}

// CutHeader is the number of the schema and the data behind it, a part of the
// same slice.
func CutHeader(data []byte) (id uint32, body []byte, err error) {
	switch {
	case len(data) > 0 && data[0] != 0:
		return 0, nil, fmt.Errorf("registry: the data begins with byte %d, want 0 before the number of a schema", data[0])
	case len(data) < header:
		return 0, nil, fmt.Errorf("registry: %d bytes, want at least %d before the data", len(data), header)
	}
	return binary.BigEndian.Uint32(data[1:]), data[header:], nil
}

// AppendIndex appends the place of a message in its .proto file: the place among
// the messages of the file, then among those within that one, and so on. It
// stands between header and data for Protobuf: how many there are and each of
// them as a zigzag varint, and a single zero for the first message of the file.
func AppendIndex(dst []byte, index []int) []byte {
	if len(index) == 1 && index[0] == 0 {
		return append(dst, 0)
	}
	dst = binary.AppendVarint(dst, int64(len(index)))
	for _, i := range index {
		dst = binary.AppendVarint(dst, int64(i))
	}
	return dst
}

// CutIndex is the place of the message and the data behind it, a part of the
// same slice.
func CutIndex(data []byte) (index []int, body []byte, err error) {
	const deepest, most = 100, 1 << 20
	next := func() (int, error) {
		v, n := binary.Varint(data)
		switch {
		case n == 0:
			return 0, errors.New("registry: the data ends within the message index")
		case n < 0 || v < 0 || v > most:
			return 0, errors.New("registry: the message index holds a number out of range")
		}
		data = data[n:]
		return int(v), nil
	}
	count, err := next()
	switch {
	case err != nil:
		return nil, nil, err
	case count == 0:
		return []int{0}, data, nil
	case count > deepest:
		return nil, nil, fmt.Errorf("registry: the message index has %d numbers, at most %d are taken", count, deepest)
	}
	for range count {
		i, err := next()
		if err != nil {
			return nil, nil, err
		}
		index = append(index, i)
	}
	return index, data, nil
}
