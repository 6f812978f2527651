//go:build unix

package e2e

import "syscall"

var stop = syscall.SIGSTOP
