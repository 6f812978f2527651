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

var smallPlan = plan{jobs: 5, pulls: 7, regions: []string{"eu-west-2", "us-east-1", "ap-southeast-2"},
	concurrency: 3, wave: 4, duration: 100 * time.Millisecond}

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

// builtPlan returns smallPlan with a program that is built once.
func builtPlan(t *testing.T) plan {
	t.Helper()
	p := smallPlan
	var err error
	if p.binary, err = binary(); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestFleet runs a small fleet against low rate limits. All pulls succeed, and each job makes only
// one accepted call per region and service.
func TestFleet(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for rate limits (-short)")
	}
	p := builtPlan(t)
	p.rate = map[string]float64{"oidc": 5, "sts": 4, "ecr": 3}
	var out strings.Builder
	got, err := run(t.Context(), p, &out, io.Discard)
	if err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, s := range services {
		const want = 15
		if c := got.counts[s.name]; c.throttled == 0 && s.name != "oidc" || c.calls-c.throttled != want {
			t.Errorf("%s: %+v; want %d accepted calls and some throttled ones", s.label, c, want)
		}
	}
	for _, want := range []string{"35 succeeded, 0 failed",
		"eu-west-2 15, us-east-1 10, ap-southeast-2 10",
		"With one call per pull and service, the fleet would make 105 calls; the calls to ECR alone would take 12s."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, &out)
		}
	}
}

// TestFleetFails checks the errors of the program.
func TestFleetFails(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs three fleets (-short)")
	}
	for _, tt := range []struct{ name, extraEnv, want string }{
		{"pulls fail", "ECR_ROLE_TO_ASSUME=arn:aws:iam::123456789012:role/untrusted",
			"35 pulls failed:\necr-oidc: AWS refused role untrusted in 123456789012"},
		{"no cache", "ECR_OIDC_CACHE=off", ", but needs "},
		{"password of another job", "GITHUB_RUN_ID=1000000000",
			"35 pulls succeeded, with 7 correct passwords and 28 of another job"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := builtPlan(t)
			p.extraEnv = []string{tt.extraEnv}
			var out strings.Builder
			if _, err := run(t.Context(), p, &out, io.Discard); err == nil ||
				!strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v; want %q\n%s", err, tt.want, &out)
			}
		})
	}
}

// TestStartDelay checks that jobs start in waves, the first one at once and the last one at the end
// of the duration.
func TestStartDelay(t *testing.T) {
	p := plan{jobs: 10, wave: 4, duration: time.Minute}
	for n, want := range map[int]time.Duration{0: 0, 3: 0, 4: 30 * time.Second, 7: 30 * time.Second,
		8: time.Minute, 9: time.Minute} {
		if got := p.startDelay(n); got != want {
			t.Errorf("job %d starts after %v, want %v", n, got, want)
		}
	}
	if got := (plan{jobs: 4, wave: 4, duration: time.Minute}).startDelay(3); got != 0 {
		t.Errorf("the only wave starts after %v", got)
	}
}

// TestUnknownCall checks that a call that belongs to no job is an error.
func TestUnknownCall(t *testing.T) {
	f := &fleet{plan: smallPlan, jobOf: map[string]int{"/mine": 2}}
	for _, tt := range []struct {
		call emulator.Call
		want callKey
	}{
		{emulator.Call{Service: "oidc", Path: "/mine"}, callKey{2, "oidc", ""}},
		{emulator.Call{Service: "oidc", Path: "/another"}, callKey{-1, "oidc", ""}},
		{emulator.Call{Service: "sts", Host: "sts.us-east-1.amazonaws.com",
			Form: map[string][]string{"RoleSessionName": {"github-acme-app-1000000003"}}},
			callKey{3, "sts", "us-east-1"}},
		{emulator.Call{Service: "ecr", Host: "api.ecr.eu-west-2.amazonaws.com",
			Caller: "arn:aws:sts::123456789012:assumed-role/ci/github-acme-app-1000000004"},
			callKey{4, "ecr", "eu-west-2"}},
		{emulator.Call{Service: "ecr", Host: "api.ecr.eu-west-9.amazonaws.com"}, callKey{-1, "ecr", ""}},
	} {
		if got := f.keyOf(tt.call); got != tt.want {
			t.Errorf("%+v: %+v, want %+v", tt.call, got, tt.want)
		}
	}
	tl := f.tally(make([]pull, 35), []emulator.Call{{Service: "oidc", Path: "/another"}})
	if err := tl.check(); err == nil ||
		!strings.Contains(err.Error(), "job -1 made 1 calls to oidc, but needs 0") {
		t.Error(err)
	}
}
