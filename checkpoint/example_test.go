package checkpoint_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/godstream/godstream/checkpoint"
)

func ExampleDir() {
	path, err := os.MkdirTemp("", "checkpoint")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(path)
	ctx := context.Background()
	store := checkpoint.Dir(path)

	s, err := store.Open(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Put(ctx, "state-1", []byte("tea 3")))
	fmt.Println(s.Append(ctx, "log-1", []byte("batch 1\n")), s.Append(ctx, "log-1", []byte("batch 2\n")))
	fmt.Println(errors.Is(s.Put(ctx, "state-1", nil), fs.ErrExist))
	_, err = store.Open(ctx)
	fmt.Println(errors.Is(err, checkpoint.ErrLocked))
	fmt.Println(s.Close())

	view, err := checkpoint.View(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(view.List(ctx))
	log, err := view.Get(ctx, "log-1")
	fmt.Printf("%s%v\n", log, err)
	// Output:
	// <nil>
	// <nil> <nil>
	// true
	// true
	// <nil>
	// [log-1 state-1] <nil>
	// batch 1
	// batch 2
	// <nil>
}
