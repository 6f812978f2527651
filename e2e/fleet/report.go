package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// asked is whose call it was, and where to. A token is for no region.
type asked struct {
	job     int
	service string
	region  string
}

// count is what one service saw.
type count struct{ calls, throttled int }

// tally is what came of a fleet.
type tally struct {
	plan
	peak     int64
	took     []time.Duration // of each pull, sorted
	failures []string
	right    map[string]int // passwords that a region's registry took from their own job
	foreign  int            // those that it took from another
	counts   map[string]count
	answered map[asked]int // calls that were not throttled
}

func (f *fleet) tally(pulls []pull, calls []emulator.Call) tally {
	t := tally{plan: f.plan, peak: f.peak.Load(), right: map[string]int{}, counts: map[string]count{}, answered: map[asked]int{}}
	for _, p := range pulls {
		t.took = append(t.took, p.took)
		if p.failed != "" {
			t.failures = append(t.failures, p.failed)
		}
	}
	slices.Sort(t.took)
	for _, c := range calls {
		switch c.Service {
		case "registry":
			switch by, err := strconv.Atoi(c.Header.Get("User-Agent")); {
			case c.Status != 200:
			case err != nil || by != sessionOf(c.Caller):
				t.foreign++
			default:
				t.right[f.regionOf(c.Host)]++
			}
		case "oidc", "sts", "ecr":
			n := t.counts[c.Service]
			n.calls++
			if c.Throttled {
				n.throttled++
			} else {
				t.answered[f.askedBy(c)]++
			}
			t.counts[c.Service] = n
		}
	}
	return t
}

// askedBy says whose call it was; the job is -1 for nobody's.
func (f *fleet) askedBy(c emulator.Call) asked {
	switch c.Service {
	case "oidc":
		job, ok := f.jobOf[c.Path]
		if !ok {
			job = -1
		}
		return asked{job, c.Service, ""}
	case "sts":
		return asked{sessionOf(c.Form.Get("RoleSessionName")), c.Service, f.regionOf(c.Host)}
	}
	return asked{sessionOf(c.Caller), c.Service, f.regionOf(c.Host)}
}

// sessionOf returns the job of a role session: its name ends with the job's run id.
func sessionOf(name string) int {
	run, err := strconv.Atoi(name[strings.LastIndex(name, "-")+1:])
	if err != nil {
		return -1
	}
	return run - firstRun
}

// regionOf returns the region in a host's name; "" where none of ours is in it.
func (p plan) regionOf(host string) string {
	for _, region := range p.regions {
		if strings.Contains(host, "."+region+".") {
			return region
		}
	}
	return ""
}

// asks is how many of its regions a job comes to pull from.
func (p plan) asks() int { return min(p.pulls, len(p.regions)) }

// allowed is how often a job may be answered by a service: once by STS and once by ECR for each region, and by GitHub
// once for each region too, whose requests do not name it.
func (p plan) allowed(a asked) int {
	switch {
	case a.job < 0:
		return 0
	case a.service == "oidc":
		return p.asks()
	}
	return 1
}

func (t tally) print(out io.Writer, wall time.Duration) {
	all := t.jobs * t.pulls
	say := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	say("%d jobs of %d pulls from %d regions, %d pulls at once; %d of the jobs share a cache directory",
		t.jobs, t.pulls, len(t.regions), t.atOnce, t.jobs/sharing)
	say("they start %d at a time, over %v", min(t.wave, t.jobs), t.over)
	var limits []string
	for _, s := range services {
		if rate := t.rate[s.name]; rate > 0 {
			limits = append(limits, fmt.Sprintf("%s %g", s.label, rate))
		}
	}
	say("calls that are answered each second, and not throttled: %s\n", cmp.Or(strings.Join(limits, ", "), "all"))
	say("pulls      %d answered, %d failed", all-len(t.failures), len(t.failures))
	var right []string
	for _, region := range t.regions {
		right = append(right, fmt.Sprintf("%s %d", region, t.right[region]))
	}
	say("passwords  taken by the registries of %s; of another job %d", strings.Join(right, ", "), t.foreign)
	say("time       %v; a pull %v in the middle, %v for one in a hundred, %v at most; up to %d helpers at once\n",
		wall.Round(100*time.Millisecond), short(t.took[all/2]), short(t.took[all*99/100]), short(t.took[all-1]), t.peak)
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tcalls\tthrottled, tried again\tanswered\tneeded\ta call per pull\t")
	for _, s := range services {
		c := t.counts[s.name]
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t\n", s.label, c.calls, c.throttled, c.calls-c.throttled, t.jobs*t.asks(), all)
	}
	table.Flush()
	least := ""
	if rate := t.rate["ecr"]; rate > 0 {
		least = fmt.Sprintf(", of which ECR's take %v at that rate", time.Duration(float64(all)/rate*float64(time.Second)).Round(time.Second))
	}
	say("\nA call per pull would have been %d calls%s.", all*len(services), least)
}

// short is a time as people say it.
func short(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}

// verdict is nil when everything was as it must be.
func (t tally) verdict() error {
	var wrong []error
	if n := len(t.failures); n > 0 {
		different := slices.Compact(slices.Sorted(slices.Values(t.failures)))
		wrong = append(wrong, fmt.Errorf("%d pulls failed:\n%s", n, strings.Join(different[:min(5, len(different))], "\n")))
	}
	right := 0
	for _, n := range t.right {
		right += n
	}
	if n := t.jobs*t.pulls - len(t.failures); right != n {
		wrong = append(wrong, fmt.Errorf("%d pulls were answered, with %d right passwords and %d of another job", n, right, t.foreign))
	}
	over := 0
	for a, n := range t.answered {
		if n > t.allowed(a) {
			if over++; over == 1 {
				wrong = append(wrong, fmt.Errorf("job %d was answered by %s %d times, of which it needs %d", a.job, strings.TrimSpace(a.service+" "+a.region), n, t.allowed(a)))
			}
		}
	}
	if over > 1 {
		wrong = append(wrong, fmt.Errorf("%d more like this", over-1))
	}
	return errors.Join(wrong...)
}
