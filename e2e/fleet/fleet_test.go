package main

import (
	"context"
	"io"
	"log"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/build"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

var tiny = plan{jobs: 5, pulls: 7, regions: []string{"eu-west-2", "us-east-1", "ap-southeast-2"}, atOnce: 3, wave: 4, over: 100 * time.Millisecond}

// binary builds the program on first use, into a directory that TestMain removes.
var binary = sync.OnceValues(func() (string, error) { return build.Helper(context.Background(), buildDir) })

var buildDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "ecr-oidc-fleet-")
	if err != nil {
		log.Fatal(err)
	}
	buildDir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// tinyPlan returns tiny with a program that is built once.
func tinyPlan(t *testing.T) plan {
	t.Helper()
	p := tiny
	var err error
	if p.binary, err = binary(); err != nil {
		t.Fatal(err)
	}
	return p
}

// A tiny fleet asks so hard that every service throttles it. All of its pulls are answered, and each job is answered
// once for each region.
func TestFleet(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for a throttled AWS (-short)")
	}
	p := tinyPlan(t)
	p.rate = map[string]float64{"oidc": 5, "sts": 4, "ecr": 3}
	var out strings.Builder
	got, err := run(t.Context(), p, &out, io.Discard)
	if err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, s := range services {
		const want = 15
		if c := got.counts[s.name]; c.throttled == 0 && s.name != "oidc" || c.calls-c.throttled != want {
			t.Errorf("%s: %+v; want %d answered, after some that were throttled", s.label, c, want)
		}
	}
	for _, want := range []string{"35 answered, 0 failed", "eu-west-2 15, us-east-1 10, ap-southeast-2 10", "A call per pull would have been 105 calls, of which ECR's take 12s at that rate."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &out)
		}
	}
}

// The program fails, and says why, where a fleet does not do what it must.
func TestFleetFails(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs three fleets (-short)")
	}
	for _, tt := range []struct{ name, setting, want string }{
		{"pulls fail", "ECR_ROLE_TO_ASSUME=arn:aws:iam::123456789012:role/nobody", "35 pulls failed:\necr-oidc: AWS refused role nobody in 123456789012"},
		{"a call per pull", "ECR_OIDC_CACHE=off", "times, of which it needs "},
		{"a job has another's password", "GITHUB_RUN_ID=1000000000", "35 pulls were answered, with 7 right passwords and 28 of another job"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := tinyPlan(t)
			p.setting = []string{tt.setting}
			var out strings.Builder
			if _, err := run(t.Context(), p, &out, io.Discard); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v; want %q\n%s", err, tt.want, &out)
			}
		})
	}
}

// Jobs start in waves, the first at once and the last when the time is over.
func TestStartOf(t *testing.T) {
	p := plan{jobs: 10, wave: 4, over: time.Minute}
	for n, want := range map[int]time.Duration{0: 0, 3: 0, 4: 30 * time.Second, 7: 30 * time.Second, 8: time.Minute, 9: time.Minute} {
		if got := p.startOf(n); got != want {
			t.Errorf("job %d starts after %v, want %v", n, got, want)
		}
	}
	if got := (plan{jobs: 4, wave: 4, over: time.Minute}).startOf(3); got != 0 {
		t.Errorf("the only wave starts after %v", got)
	}
}

// A call that belongs to none of the jobs is one too many.
func TestCallOfNobody(t *testing.T) {
	f := &fleet{plan: tiny, jobOf: map[string]int{"/mine": 2}}
	for _, tt := range []struct {
		call emulator.Call
		want asked
	}{
		{emulator.Call{Service: "oidc", Path: "/mine"}, asked{2, "oidc", ""}},
		{emulator.Call{Service: "oidc", Path: "/another"}, asked{-1, "oidc", ""}},
		{emulator.Call{Service: "sts", Host: "sts.us-east-1.amazonaws.com", Form: map[string][]string{"RoleSessionName": {"github-acme-app-1000000003"}}}, asked{3, "sts", "us-east-1"}},
		{emulator.Call{Service: "ecr", Host: "api.ecr.eu-west-2.amazonaws.com", Caller: "arn:aws:sts::123456789012:assumed-role/ci/github-acme-app-1000000004"}, asked{4, "ecr", "eu-west-2"}},
		{emulator.Call{Service: "ecr", Host: "api.ecr.eu-west-9.amazonaws.com"}, asked{-1, "ecr", ""}},
	} {
		if got := f.askedBy(tt.call); got != tt.want {
			t.Errorf("%+v: %+v, want %+v", tt.call, got, tt.want)
		}
	}
	tl := f.tally(make([]pull, 35), []emulator.Call{{Service: "oidc", Path: "/another"}})
	if err := tl.verdict(); err == nil || !strings.Contains(err.Error(), "job -1 was answered by oidc 1 times, of which it needs 0") {
		t.Error(err)
	}
}
