package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// sample is what one run took.
type sample struct {
	took  time.Duration
	calls calls
	peak  int64 // bytes of memory, where that was measured
}

// calls are those that reached the emulator.
type calls struct{ oidc, sts, ecr int }

func (c calls) String() string {
	var list []string
	for i, n := range []int{c.oidc, c.sts, c.ecr} {
		if n > 0 {
			list = append(list, fmt.Sprint(n, " ", []string{"OIDC", "STS", "ECR"}[i]))
		}
	}
	if list == nil {
		return "none"
	}
	return strings.Join(list, ", ")
}

// series are the samples of one thing.
type series []sample

func (s series) median() time.Duration { return quantile(s.times(), 0.5) }

func (s series) times() []time.Duration {
	var all []time.Duration
	for _, one := range s {
		all = append(all, one.took)
	}
	return all
}

// memory is the median of the peaks.
func (s series) memory() int64 {
	var all []int64
	for _, one := range s {
		all = append(all, one.peak)
	}
	return quantile(all, 0.5)
}

// odd returns the calls of a run that made others than it should, else those that it should make.
func (s series) odd(want calls) calls {
	for _, one := range s {
		if one.calls != want {
			return one.calls
		}
	}
	return want
}

// quantile returns a value of which a share q of the others is not above it; between two values, what is between them.
func quantile[T time.Duration | int64](values []T, q float64) T {
	if len(values) == 0 {
		return 0
	}
	values = slices.Sorted(slices.Values(values))
	at := q * float64(len(values)-1)
	low := int(at)
	high := min(low+1, len(values)-1)
	return values[low] + T(math.Round((at-float64(low))*float64(values[high]-values[low])))
}

// short is a time as people say it.
func short(d time.Duration) string {
	switch ms := milliseconds(d); {
	case ms < 100:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0f ms", ms)
	default:
		return fmt.Sprintf("%.2f s", ms/1000)
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// trips is a time in round trips.
func trips(d, rtt time.Duration) float64 { return float64(d) / float64(rtt) }

// table is what is printed, and drawn.
type table struct {
	plan
	wire  []string // what the wire says of itself; none without one
	rows  []row
	chart chart
}

// row is one figure of ours, and the peer's where it has one.
type row struct {
	name       string
	ours, peer string
	ratio      float64 // ours by the peer's; 0 for none
	bound      bound
}

// bound is what a figure must not be over; the zero bound is none.
type bound struct {
	text   string
	got    string // what it was held against
	broken bool
	time   bool // it is one of time, which a machine with other work breaks as well
}

func atMost(got, most float64, unit string) bound {
	number := func(x float64) string { return strconv.FormatFloat(math.Round(x*1000)/1000, 'f', -1, 64) + unit }
	return bound{text: "≤ " + number(most), got: number(got), broken: got > most}
}

func exactly(got, want calls) bound {
	return bound{text: want.String(), got: got.String(), broken: got != want}
}

func (b bound) String() string {
	switch {
	case b.text == "":
		return "\t"
	case b.broken:
		return b.text + "\tBROKEN"
	}
	return b.text + "\tok"
}

func (t *table) add(r row) { t.rows = append(t.rows, r) }

// times adds a row of medians, in round trips too where there were any.
func (t *table) times(name string, ours, peer series, b bound) {
	b.time = true
	t.add(row{name: name, ours: t.time(ours), peer: t.time(peer), ratio: ratio(ours, peer), bound: b})
}

func (t *table) time(s series) string {
	switch {
	case len(s) == 0:
		return ""
	case s[0].calls == (calls{}) || len(t.wire) == 0:
		return short(s.median())
	}
	return fmt.Sprintf("%s, %.2f rt", short(s.median()), trips(s.median(), t.rtt))
}

// asked adds a row of calls, of which ours have to be just these; of the peer it has those of a run that differed, if any did.
func (t *table) asked(name string, ours, peer series, want calls) {
	t.add(row{name: name, ours: ours.odd(want).String(), peer: peer.odd(peer[0].calls).String(), bound: exactly(ours.odd(want), want)})
}

// bytes adds a row of memory.
func (t *table) bytes(name string, ours, peer series, b bound) {
	t.add(row{name, mebibytes(ours.memory()), mebibytes(peer.memory()), float64(ours.memory()) / float64(peer.memory()), b})
}

func ratio(ours, peer series) float64 {
	if len(peer) == 0 {
		return 0
	}
	return float64(ours.median()) / float64(peer.median())
}

func (t *table) print(out io.Writer) {
	say := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	say("\n%s and %s %s", program, peerName, peerVersion)
	say("%s, %s/%s, %s", runtime.Version(), runtime.GOOS, runtime.GOARCH, processors())
	runs := fmt.Sprintf("medians of %d runs, taken in turn, and of %d cached gets", t.runs, t.many())
	if len(t.wire) > 0 {
		say("round trip (rt) %v; the wire itself: %s", t.rtt, strings.Join(t.wire, ", "))
		runs += fmt.Sprintf("; of %d for ten pulls and for 64 at once", t.few())
	}
	say("%s\n", runs)
	var aligned bytes.Buffer
	lines := tabwriter.NewWriter(&aligned, 0, 0, 3, ' ', 0)
	fmt.Fprintln(lines, "\tours\tpeer\tratio\tbound\t\t")
	for _, r := range t.rows {
		share := ""
		if r.ratio > 0 {
			share = fmt.Sprintf("%.2f", r.ratio)
		}
		fmt.Fprintf(lines, "%s\t%s\t%s\t%s\t%s\t\n", r.name, r.ours, r.peer, share, r.bound)
	}
	lines.Flush()
	for line := range strings.Lines(aligned.String()) {
		say("%s", strings.TrimRight(line, " \n"))
	}
	say("\nThe peer has its token in a file: fetching it is not in its times. In what is cached it has a user's keys: its cache")
	say("is by access key, and a role session has a new one each time that the peer takes the role.")
	say("Their order is random in each turn. All jobs have the same CA. AWS and the CIs are emulated, on the same processors.")
	if t.quick {
		say("This run was quick: a time over its bound does not count.")
	}
}

// verdict is nil when no bound is broken. Times of a quick run prove nothing.
func (t *table) verdict() error {
	var broken []error
	for _, r := range t.rows {
		if r.bound.broken && !(t.quick && r.bound.time) {
			broken = append(broken, fmt.Errorf("bound broken: %s: %s, not %s", r.name, r.bound.got, r.bound.text))
		}
	}
	return errors.Join(broken...)
}

// processors says how many there are and, where Linux tells, of what model.
func processors() string {
	info, _ := os.ReadFile("/proc/cpuinfo") // not there on other systems
	for line := range strings.Lines(string(info)) {
		if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return fmt.Sprintf("%d × %s", runtime.NumCPU(), strings.TrimSpace(model))
		}
	}
	return fmt.Sprintf("%d processors", runtime.NumCPU())
}
