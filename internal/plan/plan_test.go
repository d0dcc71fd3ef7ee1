package plan_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/internal/plan"
)

func TestNames(t *testing.T) {
	var p plan.Plan
	name := func(n plan.Node) string {
		id, err := p.Add(n)
		require.NoError(t, err)
		return p.Node(id).Name
	}
	require.Equal(t, "map-1", name(plan.Node{Op: "map"}))
	require.Equal(t, "filter-1", name(plan.Node{Op: "filter"}))
	require.Equal(t, "map-3", name(plan.Node{Op: "map", Name: "map-3"}), "a name of the user's that looks like ours")
	require.Equal(t, "map-4", name(plan.Node{Op: "map"}), "the next one that is free")

	id, err := p.Add(plan.Node{Op: "map", Name: "filter-1"})
	var duplicate *plan.DuplicateError
	require.ErrorAs(t, err, &duplicate)
	require.Equal(t, plan.DuplicateError{Name: "filter-1", Op: "filter"}, *duplicate)
	require.NotEqual(t, "filter-1", p.Node(id).Name)
}

func TestReaders(t *testing.T) {
	var p plan.Plan
	add := func(n plan.Node) plan.ID {
		id, err := p.Add(n)
		require.NoError(t, err)
		return id
	}
	from := add(plan.Node{Op: "from"})
	try := add(plan.Node{Op: "tryMap", Inputs: []plan.ID{from}})
	side := add(plan.Node{Op: "failed", Inputs: []plan.ID{try}, Side: true})
	add(plan.Node{Op: "map", Inputs: []plan.ID{from}}) // nobody needs it
	twice := add(plan.Node{Op: "union", Inputs: []plan.ID{try, try}})
	add(plan.Node{Op: "print", Inputs: []plan.ID{twice}, Output: true})
	require.Equal(t, []int{1, 2, 0, 0, 1, 0}, p.Readers(), "what is left aside is not read twice")
	require.Equal(t, []bool{true, true, false, false, true, true}, p.Needed())

	add(plan.Node{Op: "print", Inputs: []plan.ID{side}, Output: true})
	require.Equal(t, []int{1, 2, 1, 0, 1, 0, 0}, p.Readers())
}
