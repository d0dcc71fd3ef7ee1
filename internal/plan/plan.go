// Package plan is a streaming program as data: its operators by name and who
// reads whom. It knows no functions, no element types and no time, and prints
// itself as text and as Mermaid.
package plan

import (
	"fmt"
	"strings"
)

// ID is a node's place in its plan; a node's inputs have smaller ones.
type ID int

// Node is one operator.
type Node struct {
	ID     ID
	Name   string // unique in the plan
	Op     string // such as "reduceByKey"
	Inputs []ID
	Detail string // what else is worth printing
	Output bool   // it has an effect: what it needs runs
	Side   bool   // it reads what its input left aside, not its elements
}

// Plan is a program. The zero value is empty.
type Plan struct {
	nodes    []Node
	names    map[string]ID
	ordinals map[string]int
}

// DuplicateError tells that a name is taken.
type DuplicateError struct {
	Name string
	Op   string // of the node that has the name
}

func (e *DuplicateError) Error() string {
	return fmt.Sprintf("the name %q is taken by a %s declared before", e.Name, e.Op)
}

// Add adds a node and returns its place. A node without a name gets its
// operation and its ordinal among those of the same operation: "map-3". With a
// name that is taken, the node is added under such a name, and the error is a
// [*DuplicateError].
func (p *Plan) Add(n Node) (ID, error) {
	if p.names == nil {
		p.names, p.ordinals = map[string]ID{}, map[string]int{}
	}
	var err error
	if other, taken := p.names[n.Name]; taken && n.Name != "" {
		err = &DuplicateError{Name: n.Name, Op: p.nodes[other].Op}
		n.Name = ""
	}
	p.ordinals[n.Op]++
	for k := p.ordinals[n.Op]; n.Name == ""; k++ {
		if name := fmt.Sprintf("%s-%d", n.Op, k); !p.has(name) {
			n.Name = name
		}
	}
	n.ID = ID(len(p.nodes))
	p.nodes = append(p.nodes, n)
	p.names[n.Name] = n.ID
	return n.ID, err
}

func (p *Plan) has(name string) bool {
	_, ok := p.names[name]
	return ok
}

// Node returns the node at a place.
func (p *Plan) Node(id ID) Node { return p.nodes[id] }

// Needed says of each node whether an output needs it.
func (p *Plan) Needed() []bool {
	needed := make([]bool, len(p.nodes))
	for id := len(p.nodes) - 1; id >= 0; id-- {
		if n := p.nodes[id]; n.Output || needed[id] {
			needed[id] = true
			for _, in := range n.Inputs {
				needed[in] = true
			}
		}
	}
	return needed
}

// Readers says of each node how many times the outputs' needs read its
// elements. A node with two readers or more is computed once and stored.
func (p *Plan) Readers() []int {
	readers, needed := make([]int, len(p.nodes)), p.Needed()
	for id, n := range p.nodes {
		if needed[id] && !n.Side {
			for _, in := range n.Inputs {
				readers[in]++
			}
		}
	}
	return readers
}

// Text prints a line for each node: its name, what it reads and what is known of it.
func (p *Plan) Text() string {
	width := 0
	for _, n := range p.nodes {
		width = max(width, len(n.Name))
	}
	var b strings.Builder
	readers, needed := p.Readers(), p.Needed()
	for id, n := range p.nodes {
		fmt.Fprintf(&b, "%-*s  %s", width, n.Name, n.Op)
		if len(n.Inputs) > 0 {
			b.WriteString(" of ")
			for i, in := range n.Inputs {
				if i > 0 {
					b.WriteString(", ")
				}
				b.WriteString(p.nodes[in].Name)
			}
		}
		if n.Detail != "" {
			fmt.Fprintf(&b, ": %s", n.Detail)
		}
		switch {
		case !needed[id]:
			b.WriteString("  [not run: no output needs it]")
		case readers[id] > 1:
			fmt.Fprintf(&b, "  [stored: %d readers]", readers[id])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Mermaid prints the plan as a Mermaid flowchart.
func (p *Plan) Mermaid() string {
	var b strings.Builder
	b.WriteString("flowchart TD\n")
	for _, n := range p.nodes {
		label := escape(n.Name)
		if n.Detail != "" {
			label += "<br/>" + escape(n.Detail)
		}
		open, shut := "[", "]"
		switch {
		case n.Output:
			open, shut = "[/", "/]"
		case len(n.Inputs) == 0:
			open, shut = "([", "])"
		}
		fmt.Fprintf(&b, "    n%d%s\"%s\"%s\n", n.ID, open, label, shut)
	}
	for _, n := range p.nodes {
		for _, in := range n.Inputs {
			arrow := "-->"
			if n.Side {
				arrow = "-.->"
			}
			fmt.Fprintf(&b, "    n%d %s n%d\n", in, arrow, n.ID)
		}
	}
	return b.String()
}

// escape keeps text from being read as Mermaid or HTML.
func escape(s string) string {
	return strings.NewReplacer("\"", "#quot;", "<", "#lt;", ">", "#gt;", "&", "#amp;", "#", "#35;", "\n", " ").Replace(s)
}
