package batch_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/godstream/godstream/batch"
)

func TestJoins(t *testing.T) {
	type left = []pair
	type right = []batch.Pair[string, string]
	tests := map[string]struct {
		left                              left
		right                             right
		inner, lefts, rights, full, group []string
	}{
		"nothing on either side": {},
		"nothing on the right": {
			left:  left{{"a", 1}},
			lefts: []string{"a 1 none"}, full: []string{"a 1 none"}, group: []string{"a [1] []"},
		},
		"nothing on the left": {
			right:  right{{"a", "x"}},
			rights: []string{"a none x"}, full: []string{"a none x"}, group: []string{"a [] [x]"},
		},
		"a key is absent on either side": {
			left:   left{{"a", 1}, {"b", 2}},
			right:  right{{"c", "x"}, {"b", "y"}},
			inner:  []string{"b 2 y"},
			lefts:  []string{"a 1 none", "b 2 y"},
			rights: []string{"b 2 y", "c none x"},
			full:   []string{"a 1 none", "b 2 y", "c none x"},
			group:  []string{"a [1] []", "b [2] [y]", "c [] [x]"},
		},
		"several values of a key": {
			left:   left{{"a", 1}, {"b", 2}, {"a", 3}, {"c", 5}, {"c", 6}},
			right:  right{{"d", "v"}, {"a", "x"}, {"b", "z"}, {"a", "y"}, {"d", "w"}},
			inner:  []string{"a 1 x", "a 1 y", "a 3 x", "a 3 y", "b 2 z"},
			lefts:  []string{"a 1 x", "a 1 y", "a 3 x", "a 3 y", "b 2 z", "c 5 none", "c 6 none"},
			rights: []string{"a 1 x", "a 1 y", "a 3 x", "a 3 y", "b 2 z", "d none v", "d none w"},
			full:   []string{"a 1 x", "a 1 y", "a 3 x", "a 3 y", "b 2 z", "c 5 none", "c 6 none", "d none v", "d none w"},
			group:  []string{"a [1 3] [x y]", "b [2] [z]", "c [5 6] []", "d [] [v w]"},
		},
		"the same pair twice, zero values": {
			left:   left{{"", 0}, {"", 0}},
			right:  right{{"", ""}},
			inner:  []string{" 0 ", " 0 "},
			lefts:  []string{" 0 ", " 0 "},
			rights: []string{" 0 ", " 0 "},
			full:   []string{" 0 ", " 0 "},
			group:  []string{" [0 0] []"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			everyWay(t, test.left, func(t *testing.T, l batch.Batch[pair]) {
				for parts := 1; parts <= 4; parts++ {
					r := batch.Split(test.right, parts)
					assert.Equal(t, test.inner, both(batch.Join(l, r)), "join")
					assert.Equal(t, test.lefts, both(batch.LeftOuterJoin(l, r)), "left outer join")
					assert.Equal(t, test.rights, both(batch.RightOuterJoin(l, r)), "right outer join")
					assert.Equal(t, test.full, both(batch.FullOuterJoin(l, r)), "full outer join")
					var group []string
					for p := range batch.CoGroup(l, r).All() {
						group = append(group, fmt.Sprint(p.Key, " ", p.Value.Left, " ", p.Value.Right))
					}
					assert.Equal(t, test.group, group, "cogroup")
				}
			})
		})
	}
}

// both prints joined pairs, each as key, left and right.
func both[V, W any](b batch.Batch[batch.Pair[string, batch.Both[V, W]]]) []string {
	var out []string
	for p := range b.All() {
		out = append(out, fmt.Sprintf("%s %v %v", p.Key, p.Value.Left, p.Value.Right))
	}
	return out
}

func TestJoinOfFloatKeys(t *testing.T) {
	nan, minus := math.NaN(), math.Copysign(0, -1)
	left := []batch.Pair[float64, int]{{nan, 1}, {minus, 2}, {nan, 3}}
	everyWay(t, left, func(t *testing.T, l batch.Batch[batch.Pair[float64, int]]) {
		r := batch.Of([]batch.Pair[float64, int]{{0, 4}, {nan, 5}})
		assert.Equal(t, "[(-0, {2 4})]", fmt.Sprint(batch.Collect(batch.Join(l, r))), "-0 equals 0, NaN nothing")
		assert.Len(t, batch.Collect(batch.FullOuterJoin(l, r)), 4)
	})
}

func TestJoinTakesTheEnvOfEitherSide(t *testing.T) {
	ran := 0
	env := &batch.Env{Workers: 2, Run: func(n int, task func(int)) {
		ran++
		for i := range n {
			task(i)
		}
	}}
	plain := batch.KeyBy(batch.Split(upTo(4), 2), identity[int])
	batch.Collect(batch.Join(plain, plain.With(env)))
	assert.Positive(t, ran)
	ran = 0
	batch.Collect(batch.Join(plain.With(env), plain))
	assert.Positive(t, ran)
}
