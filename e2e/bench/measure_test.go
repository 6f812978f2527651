package main

import (
	"strings"
	"testing"
	"time"
)

// On a shorter wire than the bounds are for, they are not asked.
func TestBoundsNeedTheirWire(t *testing.T) {
	for rtt, want := range map[time.Duration]string{20 * time.Millisecond: "", 60 * time.Millisecond: "≤ 5.7 rt"} {
		if got := (plan{rtt: rtt}).inTrips(took(300), githubTrips); got.text != want {
			t.Errorf("at %v: %q, want %q", rtt, got.text, want)
		}
	}
}

// Each turn has all that is measured, in an order of its own in which each may be first, the same in each run of the bench.
func TestInTurn(t *testing.T) {
	var order strings.Builder
	run := func(name string) once {
		return func() (sample, error) { order.WriteString(name); return sample{peak: int64(name[0])}, nil }
	}
	const turns = 12
	got, err := inTurn(turns, run("a"), run("b"), run("c"))
	if err != nil {
		t.Fatal(err)
	}
	first := map[byte]int{}
	for n := range turns {
		turn := order.String()[3*n:][:3]
		first[turn[0]]++
		for _, name := range "abc" {
			if !strings.ContainsRune(turn, name) {
				t.Errorf("turn %s", turn)
			}
		}
	}
	if len(first) != 3 {
		t.Errorf("some are never first: %s", &order)
	}
	for i, s := range got {
		if len(s) != turns || s.memory() != int64('a'+i) {
			t.Errorf("series %d: %+v", i, s)
		}
	}
	before := order.String()
	if _, err := inTurn(turns, run("a"), run("b"), run("c")); err != nil || order.String() != before+before {
		t.Errorf("then in another order: %s, %v", &order, err)
	}
}
