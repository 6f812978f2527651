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

// sample is the measurement of one run.
type sample struct {
	duration   time.Duration
	calls      calls
	peakMemory int64 // bytes; 0 if not measured
}

// calls are the numbers of calls that the emulator received.
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

// series contains the samples of one measurement.
type series []sample

func (s series) median() time.Duration { return quantile(s.times(), 0.5) }

func (s series) times() []time.Duration {
	var all []time.Duration
	for _, sample := range s {
		all = append(all, sample.duration)
	}
	return all
}

// memory returns the median of the peak memory, in bytes.
func (s series) memory() int64 {
	var all []int64
	for _, sample := range s {
		all = append(all, sample.peakMemory)
	}
	return quantile(all, 0.5)
}

// unexpectedCalls returns the calls of the first run that did not make the wanted calls, or else
// the wanted calls.
func (s series) unexpectedCalls(want calls) calls {
	for _, sample := range s {
		if sample.calls != want {
			return sample.calls
		}
	}
	return want
}

// quantile returns the q-quantile of values, with linear interpolation, or 0 if there are no values.
func quantile[T time.Duration | int64](values []T, q float64) T {
	if len(values) == 0 {
		return 0
	}
	values = slices.Sorted(slices.Values(values))
	position := q * float64(len(values)-1)
	low := int(position)
	high := min(low+1, len(values)-1)
	return values[low] + T(math.Round((position-float64(low))*float64(values[high]-values[low])))
}

// formatDuration formats a duration for the table.
func formatDuration(d time.Duration) string {
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

func formatMiB(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// roundTrips returns a duration in round-trip times.
func roundTrips(d, rtt time.Duration) float64 { return float64(d) / float64(rtt) }

// table is the result of the benchmark.
type table struct {
	plan
	network []string // measurements of the emulated network; nil without it
	rows    []row
	chart   chart
}

// row is one line of the table: a figure of this program and, if there is one, of the peer.
type row struct {
	name         string
	helper, peer string
	ratio        float64 // helper divided by peer; 0 for none
	bound        bound
}

// bound is the result of comparing a figure with its upper bound or expected value. The zero value
// is no bound.
type bound struct {
	text   string
	got    string // the figure
	broken bool
	isTime bool // bounds a time, which other load on the machine can also exceed
}

func atMost(got, most float64, unit string) bound {
	number := func(x float64) string {
		return strconv.FormatFloat(math.Round(x*1000)/1000, 'f', -1,
			64) + unit
	}
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

// addTimes adds a row of median times, also in round-trip times if there were calls over the network.
func (t *table) addTimes(name string, helper, peer series, b bound) {
	b.isTime = true
	t.add(row{name: name, helper: t.time(helper), peer: t.time(peer), ratio: ratio(helper, peer), bound: b})
}

func (t *table) time(s series) string {
	switch {
	case len(s) == 0:
		return ""
	case s[0].calls == (calls{}) || len(t.network) == 0:
		return formatDuration(s.median())
	}
	return fmt.Sprintf("%s, %.2f RTT", formatDuration(s.median()), roundTrips(s.median(), t.rtt))
}

// addCalls adds a row of calls. This program must make exactly the wanted calls in all runs. For
// the peer, the row shows the calls of its first run, or those of a run that differs.
func (t *table) addCalls(name string, helper, peer series, want calls) {
	t.add(row{name: name, helper: helper.unexpectedCalls(want).String(),
		peer: peer.unexpectedCalls(peer[0].calls).String(), bound: exactly(helper.unexpectedCalls(want), want)})
}

// addMemory adds a row of memory.
func (t *table) addMemory(name string, helper, peer series, b bound) {
	t.add(row{name, formatMiB(helper.memory()), formatMiB(peer.memory()),
		float64(helper.memory()) / float64(peer.memory()), b})
}

func ratio(helper, peer series) float64 {
	if len(peer) == 0 {
		return 0
	}
	return float64(helper.median()) / float64(peer.median())
}

func (t *table) print(out io.Writer) {
	printf := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	printf("\n%s and %s %s", program, peerName, peerVersion)
	printf("%s, %s/%s, %s", runtime.Version(), runtime.GOOS, runtime.GOARCH, processors())
	runs := fmt.Sprintf("medians of %d alternating runs, and of %d cached gets", t.runs, t.cachedRuns())
	if len(t.network) > 0 {
		printf("round-trip time (RTT) %v; measured: %s", t.rtt, strings.Join(t.network, ", "))
		runs += fmt.Sprintf("; of %d for ten and for 64 pulls", t.slowRuns())
	}
	printf("%s\n", runs)
	var aligned bytes.Buffer
	lines := tabwriter.NewWriter(&aligned, 0, 0, 3, ' ', 0)
	fmt.Fprintln(lines, "\tecr-oidc\tpeer\tratio\tbound\t\t")
	for _, r := range t.rows {
		share := ""
		if r.ratio > 0 {
			share = fmt.Sprintf("%.2f", r.ratio)
		}
		fmt.Fprintf(lines, "%s\t%s\t%s\t%s\t%s\t\n", r.name, r.helper, r.peer, share, r.bound)
	}
	lines.Flush()
	for line := range strings.Lines(aligned.String()) {
		printf("%s", strings.TrimRight(line, " \n"))
	}
	printf("\nThe peer reads its token from a file; its times do not include fetching the token. " +
		"In the cached gets it uses the access")
	printf("key of a user, because its cache key contains the access key, " +
		"and each role session that the peer starts has a new one.")
	printf("The order of the programs is random. All jobs trust the same CA. " +
		"The emulated services run on the same processors.")
	if t.quick {
		printf("Quick run: times over their bounds are ignored.")
	}
}

// check returns an error for each broken bound. In a quick run it ignores times, because there are
// too few runs.
func (t *table) check() error {
	var broken []error
	for _, r := range t.rows {
		if r.bound.broken && !(t.quick && r.bound.isTime) {
			broken = append(broken, fmt.Errorf("bound broken: %s: %s, not %s", r.name, r.bound.got,
				r.bound.text))
		}
	}
	return errors.Join(broken...)
}

// processors returns the number of processors and, on Linux, their model.
func processors() string {
	info, _ := os.ReadFile("/proc/cpuinfo") // exists only on Linux
	for line := range strings.Lines(string(info)) {
		if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return fmt.Sprintf("%d × %s", runtime.NumCPU(), strings.TrimSpace(model))
		}
	}
	return fmt.Sprintf("%d processors", runtime.NumCPU())
}
