package main

import (
	"strings"
	"testing"
	"time"
)

// TestBoundRTTs checks that short round trips have no bound.
func TestBoundRTTs(t *testing.T) {
	for rtt, want := range map[time.Duration]string{20 * time.Millisecond: "",
		60 * time.Millisecond: "≤ 5.7 RTT"} {
		if got := (plan{rtt: rtt}).boundRTTs(runs(300), githubRTTs); got.text != want {
			t.Errorf("at %v: %q, want %q", rtt, got.text, want)
		}
	}
}

// TestInterleave checks that each round has all functions, in an order that varies and is the same
// in each run of the benchmark.
func TestInterleave(t *testing.T) {
	var order strings.Builder
	run := func(name string) runFunc {
		return func() (sample, error) { order.WriteString(name); return sample{peakMemory: int64(name[0])}, nil }
	}
	const rounds = 12
	got, err := interleave(rounds, run("a"), run("b"), run("c"))
	if err != nil {
		t.Fatal(err)
	}
	first := map[byte]int{}
	for n := range rounds {
		round := order.String()[3*n:][:3]
		first[round[0]]++
		for _, name := range "abc" {
			if !strings.ContainsRune(round, name) {
				t.Errorf("round %s", round)
			}
		}
	}
	if len(first) != 3 {
		t.Errorf("some functions are never first: %s", &order)
	}
	for i, s := range got {
		if len(s) != rounds || s.memory() != int64('a'+i) {
			t.Errorf("series %d: %+v", i, s)
		}
	}
	before := order.String()
	if _, err := interleave(rounds, run("a"), run("b"), run("c")); err != nil ||
		order.String() != before+before {
		t.Errorf("the second run has another order: %s, %v", &order, err)
	}
}
