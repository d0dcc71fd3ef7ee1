package realkafka

import "syscall"

// dieWithParent makes a process end with this one, however this one ends.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
