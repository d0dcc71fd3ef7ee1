package source

import (
	"context"
	"errors"
)

// ErrRevoked tells that partitions have gone to another program before what was
// cut of them had been dealt with. The batch in hand is given up, since the other
// program reads its records again; the source has to be opened anew.
var ErrRevoked = errors.New("source: partitions have gone to another program while a batch of them was in hand")

// Shared is a Source whose partitions can be spread over the programs that read
// it together, such as a consumer group of Kafka's. Partitions come and go while
// the program runs, and the system itself keeps how far they are dealt with. The
// Reader of a source that is shared is a [Sharer].
//
// A partition is only given up when everything that was cut of it has been
// committed, or else with ErrRevoked.
type Shared[R any] interface {
	Source[R]

	// Shared says whether the partitions are spread over several programs, and by
	// which name this program is known when it is started again, "" for none.
	Shared() (member string, shared bool)
}

// Sharer is the Reader of a source that is shared.
type Sharer interface {
	// Revoked is closed when the batch in hand must be given up: what Cut returns
	// from then on is ErrRevoked.
	Revoked() <-chan struct{}

	// Hold tells as whom this program has its partitions, and keeps that so until
	// release is called: between the two, a sink can store positions together with
	// a batch. It waits while partitions are being distributed. If the batch's
	// partitions are gone, the error is ErrRevoked.
	Hold(ctx context.Context) (c Claim, release func(), err error)
}

// Claim is as whom a program has its partitions.
type Claim struct {
	System     string // where positions are stored: "kafka" and the cluster's id
	Group      string
	Member     string // of the group
	Instance   string // the name that Shared returned
	Generation int32  // of the group: each distribution of the partitions has a new one
}
