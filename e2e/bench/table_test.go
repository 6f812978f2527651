package main

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

func took(ms ...int) (s series) {
	for _, one := range ms {
		s = append(s, sample{took: time.Duration(one) * time.Millisecond, calls: calls{1, 1, 1}})
	}
	return s
}

func TestTable(t *testing.T) {
	tab := &table{plan: plan{rtt: 60 * time.Millisecond, runs: 3}, wire: []string{"TCP connect 60.4 ms (1.01 rt)"}}
	tab.times("cold get", took(330, 300, 900), took(400, 660, 700), atMost(5.5, 5.7, " rt"))
	tab.times("cached get", series{{took: 4 * time.Millisecond}}, series{{took: 5 * time.Millisecond}}, atMost(1.2, 1, ""))
	tab.times("alone", took(120), nil, bound{})
	tab.add(row{name: "calls", ours: "none", peer: "1 STS", bound: exactly(calls{1, 1, 1}, calls{1, 1, 1})})
	var out strings.Builder
	tab.print(&out)
	for _, want := range []string{
		`round trip \(rt\) 60ms; the wire itself: TCP connect 60.4 ms \(1.01 rt\)\n`,
		`medians of 3 runs, taken in turn, and of 150 cached gets; of 2 for ten pulls`,
		`\n +ours +peer +ratio +bound\n`,
		`cold get +330 ms, 5.50 rt +660 ms, 11.00 rt +0.50 +≤ 5.7 rt +ok\n`,
		`cached get +4.0 ms +5.0 ms +0.80 +≤ 1 +BROKEN\n`,
		`alone +120 ms, 2.00 rt\n`,
		`calls +none +1 STS +1 OIDC, 1 STS, 1 ECR +ok\n`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("the table lacks %s:\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), " \n") {
		t.Errorf("a line ends with blanks:\n%s", &out)
	}
}

// ofTime is a bound as a row of times has it.
func ofTime(b bound) bound {
	var t table
	t.times("", nil, nil, b)
	return t.rows[0].bound
}

// A broken bound fails the program, with a sentence that names it. A quick run only lets times pass.
func TestVerdict(t *testing.T) {
	for _, tt := range []struct {
		name        string
		bound       bound
		full, quick string
	}{
		{"no bound", bound{}, "", ""},
		{"at the bound", ofTime(atMost(5.7, 5.7, " rt")), "", ""},
		{"a time over it", ofTime(atMost(5.71, 5.7, " rt")), "bound broken: figure: 5.71 rt, not ≤ 5.7 rt", ""},
		{"a ratio a little over it", ofTime(atMost(1.0034, 1, "")), "bound broken: figure: 1.003, not ≤ 1", ""},
		{"a byte over it", atMost(12_000_001, 12_000_000, ""), "bound broken: figure: 12000001, not ≤ 12000000", "bound broken: figure: 12000001, not ≤ 12000000"},
		{"memory over it", atMost(25.3, 25, " MiB"), "bound broken: figure: 25.3 MiB, not ≤ 25 MiB", "bound broken: figure: 25.3 MiB, not ≤ 25 MiB"},
		{"a call more", exactly(calls{1, 2, 1}, calls{1, 1, 1}), "bound broken: figure: 1 OIDC, 2 STS, 1 ECR, not 1 OIDC, 1 STS, 1 ECR", "bound broken: figure: 1 OIDC, 2 STS, 1 ECR, not 1 OIDC, 1 STS, 1 ECR"},
		{"a call less", exactly(calls{}, calls{1, 1, 1}), "bound broken: figure: none, not 1 OIDC, 1 STS, 1 ECR", "bound broken: figure: none, not 1 OIDC, 1 STS, 1 ECR"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for quick, want := range map[bool]string{false: tt.full, true: tt.quick} {
				tab := &table{plan: plan{quick: quick}, rows: []row{{name: "another"}, {name: "figure", bound: tt.bound}}}
				got := ""
				if err := tab.verdict(); err != nil {
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
		{"the least", []time.Duration{3, 2}, 0, 2},
		{"the most", []time.Duration{3, 2}, 1, 3},
		{"between", []time.Duration{0, 100, 200, 300, 400}, 0.95, 380},
	} {
		if got := quantile(tt.values, tt.q); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
	values := []time.Duration{3, 1, 2}
	if quantile(values, 0.5); values[0] != 3 {
		t.Error("the samples were sorted under their owner")
	}
}

// One run of many that asks once more is not hidden by the others.
func TestOddCalls(t *testing.T) {
	want, more := calls{1, 1, 1}, calls{1, 2, 1}
	if got := (series{{calls: want}, {calls: want}}).odd(want); got != want {
		t.Errorf("%v, want %v", got, want)
	}
	if got := (series{{calls: want}, {calls: more}, {calls: want}}).odd(want); got != more {
		t.Errorf("%v, want %v", got, more)
	}
}

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		calls{}.String():                 "none",
		calls{1, 1, 1}.String():          "1 OIDC, 1 STS, 1 ECR",
		calls{sts: 64, ecr: 64}.String(): "64 STS, 64 ECR",
		short(4321 * time.Microsecond):   "4.3 ms",
		short(325400 * time.Microsecond): "325 ms",
		short(3754 * time.Millisecond):   "3.75 s",
		whole(254400 * time.Microsecond): "254 ms",
		whole(999600 * time.Microsecond): "1.0 s",
		whole(3754 * time.Millisecond):   "3.8 s",
		mebibytes(25 << 20):              "25.0 MiB",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
