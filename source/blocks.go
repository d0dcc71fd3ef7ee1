package source

// blocks hold the records of a feed from when they are put until they are cut.
// What waits does not move when more comes. A cut that takes just what one block
// has gets the block itself, as mostly when all is cut that has come; else the
// records are moved out of blocks, which are filled again.
type blocks[R any] struct {
	list  []block[R] // none is empty
	spare []R        // a block that is empty, to be filled again
	len   int
	room  int // records for which a block is to have room
	taken int // of the last cut
}

// block is an array and how many of its records are cut already. Those are zero,
// so that they keep nothing alive.
type block[R any] struct {
	records []R
	cut     int
}

// push adds a record at the end.
func (q *blocks[R]) push(r R) {
	last := len(q.list) - 1
	if last < 0 || len(q.list[last].records) == cap(q.list[last].records) {
		q.grow()
		last = len(q.list) - 1
	}
	b := &q.list[last]
	b.records = append(b.records, r)
	q.len++
}

// grow adds an empty block, which has room for about as many records as came
// last: growing bit by bit costs more than all the rest.
func (q *blocks[R]) grow() {
	room := max(q.room, q.len/2, 1)
	if c := cap(q.spare); c < room/2 || c > 2*room {
		q.spare = make([]R, 0, room)
	}
	q.list = append(q.list, block[R]{records: q.spare})
	q.spare = nil
}

// take removes the first n records, which the caller owns.
func (q *blocks[R]) take(n int) (records []R) {
	if n == 0 {
		if q.len == 0 {
			q.spare = nil // lest a feed that has become quiet keeps it
		}
		return nil
	}
	q.room, q.taken = max(n, q.taken)*9/8, n
	q.len -= n
	if b := q.list[0]; b.cut == 0 && len(b.records) == n {
		q.shift()
		return b.records
	}
	records = make([]R, 0, n)
	for len(records) < n {
		b := &q.list[0]
		from := b.records[b.cut:]
		from = from[:min(len(from), n-len(records))]
		records = append(records, from...)
		clear(from)
		if b.cut += len(from); b.cut == len(b.records) {
			q.spare = b.records[:0]
			q.shift()
		}
	}
	return records
}

// shift forgets the first block.
func (q *blocks[R]) shift() {
	copy(q.list, q.list[1:])
	q.list[len(q.list)-1] = block[R]{}
	q.list = q.list[:len(q.list)-1]
}
