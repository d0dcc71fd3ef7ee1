package recovery

// Small lets generations be short, as long programs have them, and their images
// take several saves.
func Small() { maxGeneration, minGeneration, minImage, imageSaves = 7, 300, 5, 50 }

var (
	ReadManifest   = readManifest
	AppendManifest = appendManifest
	Head           = head
	ReadLog        = readLog
	AppendEntry    = appendEntry
	LogHead        = logHead
	Salt           = salt
	SaveName       = saveName
	LogName        = logName
)

// Cut is that of a part.
func Cut(p Part, data []byte) ([]byte, error) { return p.cut(data) }

// Sealed is a save with any manifest and checksums that hold.
func Sealed(manifest []byte) []byte { return sealed(head('s'), manifest) }

// Framed appends an entry of any bytes with checksums that hold.
func Framed(dst, salt, text, records []byte) []byte { return framed(dst, salt, text, records) }

// Failed is why no more can be written.
func (j *Journal) Failed() error { return j.failed }
