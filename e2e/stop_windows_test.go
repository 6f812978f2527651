package e2e

import "os"

var stop = os.Interrupt // never sent: Windows has no signal that stops a process
