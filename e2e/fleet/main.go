// Command fleet runs many CI jobs at once against an emulated GitHub Actions and AWS that answer so many calls a second
// and throttle the others. It shows what a fleet costs AWS with this program, and that throttled calls are ridden out.
// It needs only Go, takes two minutes for its thousand jobs, and leaves nothing behind.
//
// It fails when a pull fails, when a registry refuses a password or takes it for another job's, or when a job is given a
// token, a role or a password more often than it needs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

const program = "docker-credential-ecr-oidc"

// services are those that a pull may ask, as emulator.Call names them, and as people do.
var services = []struct{ name, label string }{{"oidc", "GitHub"}, {"sts", "STS"}, {"ecr", "ECR"}}

// plan says how large the fleet is, and how patient AWS.
type plan struct {
	jobs    int
	pulls   int                // of each job
	regions []string           // whose registries a job pulls from, in turn
	atOnce  int                // pulls that a job starts together
	wave    int                // jobs that start together, as those of a matrix do
	over    time.Duration      // from the first wave to the last
	rate    map[string]float64 // calls a second that each service answers; 0: all
	setting []string           // NAME=value: more of each job's environment
}

func main() {
	var p plan
	var regions string
	var aws, github float64
	flag.IntVar(&p.jobs, "jobs", 1000, "how many `jobs`")
	flag.IntVar(&p.pulls, "pulls", 20, "`pulls` of each job")
	flag.StringVar(&regions, "regions", "eu-west-2,us-east-1,ap-southeast-2", "`regions` that each job pulls from, in turn")
	flag.IntVar(&p.atOnce, "at-once", 6, "`pulls` that a job starts together, as docker compose does")
	flag.IntVar(&p.wave, "wave", 25, "`jobs` that start together, as those of a matrix do")
	flag.DurationVar(&p.over, "over", 2*time.Minute, "the `time` from the first wave of jobs to the last")
	flag.Float64Var(&aws, "rate", 30, "`calls` a second that STS and ECR each answer, and throttle the others; 0 for no limit")
	flag.Float64Var(&github, "github-rate", 0, "`calls` a second that GitHub answers; it publishes no limit")
	flag.Parse()
	p.regions = strings.Split(regions, ",")
	p.rate = map[string]float64{"oidc": github, "sts": aws, "ecr": aws}
	if flag.NArg() > 0 || p.jobs < 1 || p.pulls < 1 || p.atOnce < 1 || p.wave < 1 || aws < 0 || github < 0 || p.over < 0 {
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

// run runs the fleet and writes its table to out, and how far it has got to progress.
func run(ctx context.Context, p plan, out, progress io.Writer) (t tally, err error) {
	dir, err := os.MkdirTemp("", "ecr-oidc-fleet-")
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	w, err := emulator.Start(emulator.Options{})
	if err != nil {
		return t, err
	}
	defer w.Close()
	w.AddDefaults()
	w.Mint(emulator.GitHubIssuer, nil) // makes the issuer's key now, so that the first job need not wait for it
	transport := w.Transport()
	transport.MaxIdleConnsPerHost = most
	defer transport.CloseIdleConnections()
	f := &fleet{
		plan: p, server: w, dir: dir, binary: filepath.Join(dir, program), ca: filepath.Join(dir, "ca.pem"),
		registry: &http.Client{Transport: transport},
		asking:   make(chan struct{}, most), reading: make(chan struct{}, runtime.NumCPU()),
		jobOf: map[string]int{},
	}
	if runtime.GOOS == "windows" {
		f.binary += ".exe"
	}
	if err := os.WriteFile(f.ca, w.CAPEM(), 0o600); err != nil {
		return t, err
	}
	fmt.Fprintln(progress, "building", program)
	build := exec.CommandContext(ctx, "go", "build", "-o", f.binary, "github.com/ecr-oidc/docker-credential-ecr-oidc/cmd/"+program)
	if text, err := build.CombinedOutput(); err != nil {
		return t, fmt.Errorf("building %s: %w\n%s", program, err, text)
	}
	for _, s := range services {
		if rate := p.rate[s.name]; rate > 0 {
			w.Throttle(s.name, rate, max(1, int(rate)))
		}
	}
	start := time.Now()
	stop := f.tell(progress, start)
	pulls := f.work(ctx)
	stop()
	if ctx.Err() != nil {
		return t, errors.New("interrupted")
	}
	t = f.tally(pulls, w.Calls())
	t.print(out, time.Since(start))
	return t, t.verdict()
}

// tell says every few seconds how far the fleet has got, until stop is called.
func (f *fleet) tell(progress io.Writer, start time.Time) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(5 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			fmt.Fprintf(progress, "%4.0f s: %d of %d pulls, %d failed, %d helpers running\n",
				time.Since(start).Seconds(), f.done.Load(), f.jobs*f.pulls, f.failed.Load(), f.running.Load())
		}
	}()
	return func() { close(done); <-ended }
}

// counters are for those who watch.
type counters struct {
	done, failed, running, peak atomic.Int64
}
