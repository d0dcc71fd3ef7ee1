// Package hash hashes keys. The hash differs from process to process, which is
// why nobody can choose keys that collide, and why no order may ever follow from
// it.
package hash

import (
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
)

// The multiplication is that of wyhash (Wang Yi, 2019): both halves of the
// product of the key and a secret, each different in every process.
var (
	seed         = maphash.MakeSeed()
	secret, odds = rand.Uint64(), rand.Uint64() | 1
)

func mix(k uint64) uint64 {
	hi, lo := bits.Mul64(k^secret, odds)
	return hi ^ lo
}

// Of picks the hash for K: one that is written for the type where it is a plain
// one, the runtime's otherwise.
func Of[K comparable]() func(K) uint64 {
	var f any
	switch any(*new(K)).(type) {
	case int:
		f = func(k int) uint64 { return mix(uint64(k)) }
	case int64:
		f = func(k int64) uint64 { return mix(uint64(k)) }
	case int32:
		f = func(k int32) uint64 { return mix(uint64(k)) }
	case uint:
		f = func(k uint) uint64 { return mix(uint64(k)) }
	case uint64:
		f = mix
	case uint32:
		f = func(k uint32) uint64 { return mix(uint64(k)) }
	case string:
		f = func(k string) uint64 { return maphash.String(seed, k) }
	default:
		return func(k K) uint64 { return maphash.Comparable(seed, k) }
	}
	return f.(func(K) uint64)
}

// Many picks what sets the hashes of several keys, which is that of [Of] for each.
func Many[K comparable]() func(keys []K, hashes []uint64) {
	if f, ok := any(manyStrings).(func([]K, []uint64)); ok {
		return f
	}
	one := Of[K]()
	return func(keys []K, hashes []uint64) {
		hashes = hashes[:len(keys)]
		for i, k := range keys {
			hashes[i] = one(k)
		}
	}
}

// manyStrings looks at a byte of each string first, so that the memory's answers
// are waited for together.
func manyStrings(keys []string, hashes []uint64) {
	touchStrings(keys)
	hashes = hashes[:len(keys)]
	for i, k := range keys {
		hashes[i] = maphash.String(seed, k)
	}
}

// Touch picks what has the memory of several keys read into the cache, nil if
// there is none beside the keys themselves, as far as is known.
func Touch[K comparable]() func(keys []K) byte {
	f, _ := any(touchStrings).(func([]K) byte)
	return f
}

// touchStrings returns something of all strings, so that they are looked at.
//
//go:noinline
func touchStrings(keys []string) (all byte) {
	for _, k := range keys {
		if len(k) > 0 {
			all ^= k[0]
		}
	}
	return all
}
