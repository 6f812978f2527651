package main

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// runs returns a series with durations in milliseconds.
func runs(ms ...int) (s series) {
	for _, n := range ms {
		s = append(s, sample{duration: time.Duration(n) * time.Millisecond, calls: calls{1, 1, 1}})
	}
	return s
}

func TestTable(t *testing.T) {
	tab := &table{plan: plan{rtt: 60 * time.Millisecond, runs: 3},
		network: []string{"TCP connect 60.4 ms (1.01 RTT)"}}
	tab.addTimes("cold get", runs(330, 300, 900), runs(400, 660, 700), atMost(5.5, 5.7, " RTT"))
	tab.addTimes("cached get", series{{duration: 4 * time.Millisecond}},
		series{{duration: 5 * time.Millisecond}}, atMost(1.2, 1, ""))
	tab.addTimes("no peer", runs(120), nil, bound{})
	tab.add(row{name: "calls", helper: "none", peer: "1 STS", bound: exactly(calls{1, 1, 1}, calls{1, 1, 1})})
	var out strings.Builder
	tab.print(&out)
	for _, want := range []string{
		`round-trip time \(RTT\) 60ms; measured: TCP connect 60.4 ms \(1.01 RTT\)\n`,
		`medians of 3 alternating runs, and of 150 cached gets; of 2 for ten and for 64 pulls`,
		`\n +ecr-oidc +peer +ratio +bound\n`,
		`cold get +330 ms, 5.50 RTT +660 ms, 11.00 RTT +0.50 +≤ 5.7 RTT +ok\n`,
		`cached get +4.0 ms +5.0 ms +0.80 +≤ 1 +BROKEN\n`,
		`no peer +120 ms, 2.00 RTT\n`,
		`calls +none +1 STS +1 OIDC, 1 STS, 1 ECR +ok\n`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("the table lacks %s:\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), " \n") {
		t.Errorf("a line has trailing blanks:\n%s", &out)
	}
}

// timeBound returns a bound as addTimes adds it.
func timeBound(b bound) bound {
	var t table
	t.addTimes("", nil, nil, b)
	return t.rows[0].bound
}

// TestCheck checks that a broken bound is an error that names the bound. Quick runs ignore only times.
func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name        string
		bound       bound
		full, quick string
	}{
		{"no bound", bound{}, "", ""},
		{"equal to the bound", timeBound(atMost(5.7, 5.7, " RTT")), "", ""},
		{"time over the bound", timeBound(atMost(5.71, 5.7, " RTT")),
			"bound broken: figure: 5.71 RTT, not ≤ 5.7 RTT", ""},
		{"ratio slightly over the bound", timeBound(atMost(1.0034, 1, "")),
			"bound broken: figure: 1.003, not ≤ 1", ""},
		{"one byte over the bound", atMost(12_000_001, 12_000_000, ""),
			"bound broken: figure: 12000001, not ≤ 12000000",
			"bound broken: figure: 12000001, not ≤ 12000000"},
		{"memory over the bound", atMost(25.3, 25, " MiB"),
			"bound broken: figure: 25.3 MiB, not ≤ 25 MiB", "bound broken: figure: 25.3 MiB, not ≤ 25 MiB"},
		{"more calls", exactly(calls{1, 2, 1}, calls{1, 1, 1}),
			"bound broken: figure: 1 OIDC, 2 STS, 1 ECR, not 1 OIDC, 1 STS, 1 ECR",
			"bound broken: figure: 1 OIDC, 2 STS, 1 ECR, not 1 OIDC, 1 STS, 1 ECR"},
		{"fewer calls", exactly(calls{}, calls{1, 1, 1}),
			"bound broken: figure: none, not 1 OIDC, 1 STS, 1 ECR",
			"bound broken: figure: none, not 1 OIDC, 1 STS, 1 ECR"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for quick, want := range map[bool]string{false: tt.full, true: tt.quick} {
				tab := &table{plan: plan{quick: quick},
					rows: []row{{name: "another"}, {name: "figure", bound: tt.bound}}}
				got := ""
				if err := tab.check(); err != nil {
					got = err.Error()
				}
				if got != want {
					t.Errorf("quick %v: %q, want %q", quick, got, want)
				}
			}
		})
	}
}

func TestQuantile(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values []time.Duration
		q      float64
		want   time.Duration
	}{
		{"none", nil, 0.5, 0},
		{"one", []time.Duration{7}, 0.95, 7},
		{"odd", []time.Duration{9, 1, 5}, 0.5, 5},
		{"even", []time.Duration{10, 40, 20, 30}, 0.5, 25},
		{"minimum", []time.Duration{3, 2}, 0, 2},
		{"maximum", []time.Duration{3, 2}, 1, 3},
		{"between", []time.Duration{0, 100, 200, 300, 400}, 0.95, 380},
	} {
		if got := quantile(tt.values, tt.q); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
	values := []time.Duration{3, 1, 2}
	if quantile(values, 0.5); values[0] != 3 {
		t.Error("quantile sorted its argument")
	}
}

// TestUnexpectedCalls checks that a single run with other calls is found.
func TestUnexpectedCalls(t *testing.T) {
	want, more := calls{1, 1, 1}, calls{1, 2, 1}
	if got := (series{{calls: want}, {calls: want}}).unexpectedCalls(want); got != want {
		t.Errorf("%v, want %v", got, want)
	}
	if got := (series{{calls: want}, {calls: more}, {calls: want}}).unexpectedCalls(want); got != more {
		t.Errorf("%v, want %v", got, more)
	}
}

func TestFormat(t *testing.T) {
	for got, want := range map[string]string{
		calls{}.String():                             "none",
		calls{1, 1, 1}.String():                      "1 OIDC, 1 STS, 1 ECR",
		calls{sts: 64, ecr: 64}.String():             "64 STS, 64 ECR",
		formatDuration(4321 * time.Microsecond):      "4.3 ms",
		formatDuration(325400 * time.Microsecond):    "325 ms",
		formatDuration(3754 * time.Millisecond):      "3.75 s",
		formatBarDuration(254400 * time.Microsecond): "254 ms",
		formatBarDuration(999600 * time.Microsecond): "1.0 s",
		formatBarDuration(3754 * time.Millisecond):   "3.8 s",
		formatMiB(25 << 20):                          "25.0 MiB",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
