// Command fleet runs many CI jobs at the same time against an emulated GitHub Actions and AWS with
// rate limits. It counts the calls that the jobs make, and shows that the helper retries throttled
// calls. By default it runs a thousand jobs, in two minutes. It needs only Go and deletes all its
// files.
//
// It fails if a pull fails, if a registry rejects a password or receives the password of another
// job, or if a job makes more successful calls for tokens, roles or passwords than it needs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/build"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// services are the services that a login calls, by their name in emulator.Call and in the output.
var services = []struct{ name, label string }{{"oidc", "GitHub"}, {"sts", "STS"}, {"ecr", "ECR"}}

// plan is the size of the fleet and the rate limits of the services.
type plan struct {
	jobs        int
	pulls       int                // per job
	regions     []string           // a job pulls from the registries of these regions in turn
	concurrency int                // concurrent pulls per job
	wave        int                // jobs that start at the same time, as in a matrix
	duration    time.Duration      // from the first wave of jobs to the last
	rate        map[string]float64 // calls per second that each service accepts; 0 for no limit
	extraEnv    []string           // NAME=value; added to the environment of each job
	binary      string             // the program; empty: it is built
}

func main() {
	var p plan
	var regions string
	var aws, github float64
	flag.IntVar(&p.jobs, "jobs", 1000, "number of `jobs`")
	flag.IntVar(&p.pulls, "pulls", 20, "number of `pulls` per job")
	flag.StringVar(&regions, "regions", "eu-west-2,us-east-1,ap-southeast-2",
		"`regions` whose registries each job pulls from in turn")
	flag.IntVar(&p.concurrency, "concurrency", 6,
		"`pulls` that a job runs at the same time, as docker compose does")
	flag.IntVar(&p.wave, "wave", 25, "`jobs` that start at the same time, as in a matrix")
	flag.DurationVar(&p.duration, "duration", 2*time.Minute, "`time` from the first wave of jobs to the last")
	flag.Float64Var(&aws, "rate", 30, "`calls` per second that STS and ECR each accept; 0 for no limit")
	flag.Float64Var(&github, "github-rate", 0,
		"`calls` per second that GitHub accepts; 0 for no limit (GitHub documents none)")
	flag.Parse()
	p.regions = strings.Split(regions, ",")
	p.rate = map[string]float64{"oidc": github, "sts": aws, "ecr": aws}
	if flag.NArg() > 0 || p.jobs < 1 || p.pulls < 1 || p.concurrency < 1 || p.wave < 1 || aws < 0 ||
		github < 0 || p.duration < 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if _, err := run(ctx, p, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

// run runs the fleet. It writes the result to out and progress messages to progress.
func run(ctx context.Context, p plan, out, progress io.Writer) (t tally, err error) {
	dir, err := os.MkdirTemp("", "ecr-oidc-fleet-")
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	server, err := emulator.Start(emulator.Options{})
	if err != nil {
		return t, err
	}
	defer server.Close()
	server.AddDefaults()
	server.Mint(emulator.GitHubIssuer, nil) // generates the issuer's key, so that the first job does not wait for it
	transport := server.Transport()
	transport.MaxIdleConnsPerHost = maxHelpers
	defer transport.CloseIdleConnections()
	f := &fleet{
		plan: p, server: server, dir: dir,
		ca:         filepath.Join(dir, "ca.pem"),
		registry:   &http.Client{Transport: transport},
		fetchSlots: make(chan struct{}, maxHelpers), cacheSlots: make(chan struct{}, runtime.NumCPU()),
		jobOf: map[string]int{},
	}
	if err := os.WriteFile(f.ca, server.CAPEM(), 0o600); err != nil {
		return t, err
	}
	if f.plan.binary == "" {
		fmt.Fprintln(progress, "building", build.Program)
		if f.plan.binary, err = build.Helper(ctx, dir); err != nil {
			return t, err
		}
	}
	for _, s := range services {
		if rate := p.rate[s.name]; rate > 0 {
			server.Throttle(s.name, rate, max(1, int(rate)))
		}
	}
	start := time.Now()
	stop := f.reportProgress(progress, start)
	pulls := f.runJobs(ctx)
	stop()
	if ctx.Err() != nil {
		return t, errors.New("interrupted")
	}
	t = f.tally(pulls, server.Calls())
	t.print(out, time.Since(start))
	return t, t.check()
}

// reportProgress writes the progress every five seconds until stop is called.
func (f *fleet) reportProgress(progress io.Writer, start time.Time) (stop func()) {
	stopped, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(5 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-stopped:
				return
			case <-tick.C:
			}
			fmt.Fprintf(progress, "%4.0f s: %d of %d pulls, %d failed, %d helpers running\n",
				time.Since(start).Seconds(), f.done.Load(), f.jobs*f.pulls, f.failed.Load(), f.running.Load())
		}
	}()
	return func() { close(stopped); <-ended }
}

// counters are the figures of the progress messages.
type counters struct {
	done, failed, running, peak atomic.Int64
}
