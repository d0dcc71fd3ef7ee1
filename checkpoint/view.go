package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/godstream/godstream/internal/disk"
)

// errReadOnly is what a view returns for a change.
var errReadOnly = errors.New("this is a view, which changes nothing")

// View looks into the directory of a [Dir] without taking or changing anything:
// there is no lock, temporary files stay, and Put, Append and Delete return an
// error. It is for tools, while a program runs or after. What it reads of a
// running program is what is there at the moment: a name of List may be gone when
// it is read, a log may end within an Append, and what was read may be lost with
// the power. A directory that is not there is fs.ErrNotExist.
func View(path string) (Session, error) { return viewOn(disk.Real, path) }

func viewOn(d disk.Disk, path string) (Session, error) {
	v := &view{session{dir: dir{d, path}, unlock: func() error { return nil }}}
	_, err := v.list()
	if err != nil {
		return nil, err
	}
	return v, nil
}

// view is a session that holds no lock.
type view struct{ session }

func (v *view) Get(ctx context.Context, name string) ([]byte, error) {
	if _, err := v.file(ctx, "read", name); err != nil {
		return nil, err
	}
	return v.read(name)
}

func (v *view) Put(_ context.Context, name string, _ []byte) error { return v.refuse("put", name) }

func (v *view) Append(_ context.Context, log string, _ []byte) error { return v.refuse("append", log) }

func (v *view) Delete(_ context.Context, name string) error { return v.refuse("remove", name) }

func (v *view) refuse(step, name string) error {
	return fmt.Errorf("checkpoint: %s %s: %w", step, filepath.Join(v.path, name), errReadOnly)
}
