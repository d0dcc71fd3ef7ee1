package recovery

// Small lets generations be short, as long programs have them.
func Small() { maxGeneration, minGeneration = 7, 300 }

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
