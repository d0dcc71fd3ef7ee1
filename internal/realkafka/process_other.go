//go:build !linux

package realkafka

import "syscall"

// dieWithParent would make a process end with this one; only Linux has that. If
// this one is killed, brokers go on.
func dieWithParent() *syscall.SysProcAttr { return nil }
