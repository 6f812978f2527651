package main

import (
	"testing"
	"time"
)

// TestSum adds up two lines of a trace and ignores other lines.
func TestSum(t *testing.T) {
	const trace = `init runtime @0.04 ms, 0.047 ms clock, 0 bytes, 0 allocs
another line
init net/http @3.7 ms, 1.5 ms clock, 4712 bytes, 49 allocs
`
	all, allocated := sum(trace)
	if all != 1547*time.Microsecond || allocated != 4712 {
		t.Errorf("%v, %d bytes", all, allocated)
	}
}
