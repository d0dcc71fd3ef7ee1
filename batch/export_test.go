package batch

// SetMinBucket sets from how many entries on tables are merged by several
// workers, and returns what sets it back.
func SetMinBucket(n int) (restore func()) {
	before := minBucket
	minBucket = n
	return func() { minBucket = before }
}
