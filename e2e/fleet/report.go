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

// callKey identifies calls of one job to one service. Calls for tokens have no region.
type callKey struct {
	job     int
	service string
	region  string
}

// count is the number of calls to a service.
type count struct{ calls, throttled int }

// tally is the result of a fleet.
type tally struct {
	plan
	peak      int64
	durations []time.Duration // of all pulls, sorted
	failures  []string
	correct   map[string]int // logins with the job's own password, by region
	wrongJob  int            // logins with a password of another job
	counts    map[string]count
	accepted  map[callKey]int // calls that were not throttled
}

func (f *fleet) tally(pulls []pull, calls []emulator.Call) tally {
	t := tally{plan: f.plan, peak: f.peak.Load(), correct: map[string]int{}, counts: map[string]count{},
		accepted: map[callKey]int{}}
	for _, p := range pulls {
		t.durations = append(t.durations, p.duration)
		if p.failure != "" {
			t.failures = append(t.failures, p.failure)
		}
	}
	slices.Sort(t.durations)
	for _, c := range calls {
		switch c.Service {
		case "registry":
			switch sender, err := strconv.Atoi(c.Header.Get("User-Agent")); {
			case c.Status != 200:
			case err != nil || sender != jobOfSession(c.Caller):
				t.wrongJob++
			default:
				t.correct[f.regionOf(c.Host)]++
			}
		case "oidc", "sts", "ecr":
			n := t.counts[c.Service]
			n.calls++
			if c.Throttled {
				n.throttled++
			} else {
				t.accepted[f.keyOf(c)]++
			}
			t.counts[c.Service] = n
		}
	}
	return t
}

// keyOf returns the key of a call. The job is -1 if the call belongs to no job.
func (f *fleet) keyOf(c emulator.Call) callKey {
	switch c.Service {
	case "oidc":
		job, ok := f.jobOf[c.Path]
		if !ok {
			job = -1
		}
		return callKey{job, c.Service, ""}
	case "sts":
		return callKey{jobOfSession(c.Form.Get("RoleSessionName")), c.Service, f.regionOf(c.Host)}
	}
	return callKey{jobOfSession(c.Caller), c.Service, f.regionOf(c.Host)}
}

// jobOfSession returns the job number of a role session, whose name ends with the run ID, or -1.
func jobOfSession(name string) int {
	run, err := strconv.Atoi(name[strings.LastIndex(name, "-")+1:])
	if err != nil {
		return -1
	}
	return run - firstRunID
}

// regionOf returns the region of the plan that a host name contains, or "".
func (p plan) regionOf(host string) string {
	for _, region := range p.regions {
		if strings.Contains(host, "."+region+".") {
			return region
		}
	}
	return ""
}

// regionsPerJob returns the number of regions that a job pulls from.
func (p plan) regionsPerJob() int { return min(p.pulls, len(p.regions)) }

// neededCalls returns the number of calls that a job needs: one call to STS and one to ECR per
// region. A key for GitHub has no region, so its calls for all regions are counted together.
func (p plan) neededCalls(k callKey) int {
	switch {
	case k.job < 0:
		return 0
	case k.service == "oidc":
		return p.regionsPerJob()
	}
	return 1
}

func (t tally) print(out io.Writer, wall time.Duration) {
	all := t.jobs * t.pulls
	printf := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	printf("%d jobs with %d pulls from %d regions, %d pulls concurrently; %d jobs share a cache directory",
		t.jobs, t.pulls, len(t.regions), t.concurrency, t.jobs/sharedCacheEvery)
	printf("jobs start in waves of %d, over %v", min(t.wave, t.jobs), t.duration)
	var limits []string
	for _, s := range services {
		if rate := t.rate[s.name]; rate > 0 {
			limits = append(limits, fmt.Sprintf("%s %g", s.label, rate))
		}
	}
	printf("accepted calls per second: %s\n", cmp.Or(strings.Join(limits, ", "), "unlimited"))
	printf("pulls      %d succeeded, %d failed", all-len(t.failures), len(t.failures))
	var correct []string
	for _, region := range t.regions {
		correct = append(correct, fmt.Sprintf("%s %d", region, t.correct[region]))
	}
	printf("logins     %s; %d with the password of another job", strings.Join(correct, ", "), t.wrongJob)
	printf("time       %v; per pull: median %v, 99th percentile %v, maximum %v; up to %d concurrent helpers\n",
		wall.Round(100*time.Millisecond), short(t.durations[all/2]), short(t.durations[all*99/100]),
		short(t.durations[all-1]), t.peak)
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tcalls\tthrottled and retried\taccepted\tneeded\tone per pull\t")
	for _, s := range services {
		c := t.counts[s.name]
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t\n", s.label, c.calls, c.throttled,
			c.calls-c.throttled, t.jobs*t.regionsPerJob(), all)
	}
	table.Flush()
	ecrTime := ""
	if rate := t.rate["ecr"]; rate > 0 {
		ecrTime = fmt.Sprintf("; the calls to ECR alone would take %v",
			time.Duration(float64(all)/rate*float64(time.Second)).Round(time.Second))
	}
	printf("\nWith one call per pull and service, the fleet would make %d calls%s.", all*len(services), ecrTime)
}

// short rounds a duration for the output.
func short(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}

// check returns an error for each condition that makes the program fail.
func (t tally) check() error {
	var errs []error
	if n := len(t.failures); n > 0 {
		distinct := slices.Compact(slices.Sorted(slices.Values(t.failures)))
		errs = append(errs, fmt.Errorf("%d pulls failed:\n%s", n,
			strings.Join(distinct[:min(5, len(distinct))], "\n")))
	}
	correct := 0
	for _, n := range t.correct {
		correct += n
	}
	if n := t.jobs*t.pulls - len(t.failures); correct != n {
		errs = append(errs, fmt.Errorf("%d pulls succeeded, with %d correct passwords and %d of another job",
			n, correct, t.wrongJob))
	}
	excess := 0
	for key, n := range t.accepted {
		if needed := t.neededCalls(key); n > needed {
			if excess++; excess == 1 {
				service := strings.TrimSpace(key.service + " " + key.region)
				errs = append(errs, fmt.Errorf("job %d made %d calls to %s, but needs %d", key.job, n,
					service, needed))
			}
		}
	}
	if excess > 1 {
		errs = append(errs, fmt.Errorf("%d more errors of this kind", excess-1))
	}
	return errors.Join(errs...)
}
