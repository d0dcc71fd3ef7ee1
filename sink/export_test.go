package sink

// Disk and File are the seam where tests make the file system fail.
type (
	Disk = disk
	File = file
)

// RealDisk is the file system.
var RealDisk Disk = realDisk{}

// OnDisk is a sink of Files on another disk.
func OnDisk[T any](s Sink[T], d Disk) Sink[T] {
	f := s.(files[T])
	f.disk = d
	return f
}
