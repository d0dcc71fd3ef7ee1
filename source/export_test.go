package source

// RawFile is what a source of files reads.
type RawFile = rawFile

// WithOpen makes a source of files open them in another way.
func WithOpen[R any](s Source[R], open func(path string) (RawFile, error)) Source[R] {
	s.(*files[R]).open = open
	return s
}

// OpenFile opens a file as it is done without [WithOpen].
func OpenFile(path string) (RawFile, error) { return openFile(path) }
