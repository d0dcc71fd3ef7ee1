package batch

import (
	"fmt"
	"runtime/debug"
)

// Panic tells of a function of the caller that panicked while an operator ran
// it. It unwraps to the value if that is an error.
type Panic struct {
	Op        string // name of the operator, the innermost if they are nested
	Partition int    // -1 if it was called for the whole batch
	Value     any    // what the function panicked with
	Stack     []byte // of the panic
}

func (p *Panic) Error() string {
	where := p.Op
	if p.Partition >= 0 {
		where += fmt.Sprintf(": partition %d", p.Partition)
	}
	return fmt.Sprintf("%s: panic: %v\n%s", where, p.Value, p.Stack)
}

// Unwrap returns the value if it is an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// Blame turns a panic into a [*Panic] of the operator e.Op, unless it is one
// already. It must be deferred itself.
func (e *Env) Blame(partition int) {
	if r := recover(); r != nil {
		claim(r, e.op(""), partition)
	}
}

// blame turns a panic that no operator has claimed into a [*Panic] of op. It
// must be deferred itself.
func (e *Env) blame(op string, partition int) {
	if r := recover(); r != nil {
		claim(r, e.op(op), partition)
	}
}

// blameBusy claims a panic for op if a function of that operator was running:
// if *busy is above 0. What calls out of such a function lowers it and raises it
// again, rather than setting it, since deferred functions of the caller may do so
// while a panic passes through them.
func (e *Env) blameBusy(op string, partition int, busy *int) {
	if *busy > 0 {
		if r := recover(); r != nil {
			claim(r, e.op(op), partition)
		}
	}
}

// blameStep claims a panic for the step whose function was running.
func blameStep[T any](steps []step[T], at *int, partition int) {
	if *at >= 0 {
		if r := recover(); r != nil {
			claim(r, steps[*at].op, partition)
		}
	}
}

func claim(r any, op string, partition int) {
	if p, ok := r.(*Panic); ok {
		panic(p)
	}
	panic(&Panic{Op: op, Partition: partition, Value: r, Stack: debug.Stack()})
}
