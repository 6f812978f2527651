// Command bench compares the speed of this program with amazon-ecr-credential-helper, the peer. It
// builds both, and the peer a second time with the AWS SDK versions of this program's go.mod. It
// also measures the action of this program and, with -actions, the two official actions. It runs
// them alternately against the emulated AWS and CIs, behind an emulated network with a given
// round-trip time. It prints a table with an upper bound for some of the figures, and draws the
// chart of the documentation from the same figures.
//
//	go run ./e2e/bench
//	go run ./e2e/bench -actions DIR
//
// DIR has checkouts of aws-actions/configure-aws-credentials and aws-actions/amazon-ecr-login, in
// directories with these names. The actions need node on PATH.
//
// It needs Go and the Go module proxy. The emulated network needs Linux, and root or user
// namespaces. It exists only in namespaces of its own: nothing listens on an address of the
// machine, and no packet leaves it. Without it, bench measures only what needs no network.
//
// It fails if a figure exceeds its bound, and names the bound.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// The measured programs. The peer is built from its module, which is not in this program's go.mod.
const (
	program      = "docker-credential-ecr-oidc"
	command      = "github.com/ecr-oidc/docker-credential-ecr-oidc/cmd/" + program
	peer         = "docker-credential-ecr-login"
	peerName     = "amazon-ecr-credential-helper"
	peerModule   = "github.com/awslabs/amazon-ecr-credential-helper/ecr-login"
	peerVersion  = "v0.12.0"
	peerCommand  = peerModule + "/cli/" + peer
	peerSameSDK  = peer + "-same-sdk" // the peer, built with the SDK versions of this program's go.mod
	emptyProgram = "empty"            // an empty Go program: the minimum for any process
)

// namespaceEnv is set in the process that runs in namespaces of its own. Its value is the directory
// with the programs.
const namespaceEnv = "BENCH_INSIDE"

// exitNoNetwork is the exit code of the process in the namespaces if it cannot create the network.
const exitNoNetwork = 77

var (
	errNoNetwork = errors.New("no emulated network")
	errReported  = errors.New("the process in the namespaces failed and has reported its error")
)

// plan is the configuration of the benchmark.
type plan struct {
	rtt   time.Duration
	runs  int
	quick bool
	out   string // directory for the chart; "" for no chart

	actions string // directory with checkouts of the official actions; "" to measure only this action
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == meterArg {
		os.Exit(meter(os.Args[2], os.Args[3:]...))
	}
	p := plan{runs: 10}
	flag.DurationVar(&p.rtt, "rtt", 60*time.Millisecond, "round-trip `time` of the emulated network")
	flag.BoolVar(&p.quick, "quick", false,
		"for CI: fewer runs, no chart, and no failure if a time exceeds its bound")
	flag.StringVar(&p.out, "out", "docs", "`directory` for the chart; empty for no chart")
	flag.StringVar(&p.actions, "actions", "",
		"`directory` with checkouts of "+configureAction+" and "+loginAction)
	flag.Parse()
	if flag.NArg() > 0 || p.rtt < time.Millisecond {
		flag.Usage()
		os.Exit(2)
	}
	if p.quick {
		p.runs, p.out = 3, ""
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, p)
	if err != nil && !errors.Is(err, errReported) {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	switch {
	case errors.Is(err, errNoNetwork):
		os.Exit(exitNoNetwork)
	case err != nil:
		os.Exit(1)
	}
}

// run builds the programs and runs the benchmark in namespaces of its own. If it cannot create the
// network, it reports why and runs the benchmark without it.
func run(ctx context.Context, p plan) (err error) {
	if dir := os.Getenv(namespaceEnv); dir != "" {
		server, err := startNetwork(p.rtt, dir)
		if err != nil {
			return fmt.Errorf("%w: %w", errNoNetwork, err)
		}
		return report(ctx, &bench{table: table{plan: p}, dir: dir, server: server, networked: true})
	}
	if _, err := os.Stat(p.out); p.out != "" && err != nil { // report this before the measurements
		return fmt.Errorf("checking the directory for the chart: %w", err)
	}
	for _, name := range []string{configureAction, loginAction} {
		if _, err := readAction(filepath.Join(p.actions, name)); p.actions != "" && err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("", "ecr-oidc-bench-")
	if err != nil {
		return fmt.Errorf("creating a temporary directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := build(ctx, dir); err != nil {
		return err
	}
	if err := runInNamespaces(ctx, dir); !errors.Is(err, errNoNetwork) {
		return err
	} else {
		fmt.Fprintf(os.Stderr, "bench: %v\nbench: measuring only what needs no network\n", err)
	}
	server, err := startEmulator("", dir)
	if err != nil {
		return err
	}
	defer server.Close()
	return report(ctx, &bench{table: table{plan: p}, dir: dir, server: server})
}

// report measures, prints the table, draws the chart and checks the bounds.
func report(ctx context.Context, b *bench) error {
	if err := b.measure(ctx); ctx.Err() != nil {
		return errors.New("interrupted")
	} else if err != nil {
		return err
	}
	b.print(os.Stdout)
	if b.networked && b.out != "" {
		for name, colors := range themes {
			if err := os.WriteFile(filepath.Join(b.out, "performance-"+name+".svg"),
				draw(b.chart, colors), 0o644); err != nil {
				return fmt.Errorf("writing the chart: %w", err)
			}
		}
	}
	return b.check()
}

// build builds all programs with the same Go and with the flags of this program's releases.
func build(ctx context.Context, dir string) error {
	built, source := filepath.Join(dir, "built"), filepath.Join(dir, "empty.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		return fmt.Errorf("writing the empty program: %w", err)
	}
	module, err := writePeerModule(ctx, dir)
	if err != nil {
		return err
	}
	for _, p := range []struct {
		name, module string // module directory; "" for this program's
		args         []string
	}{
		{program, "", []string{"build", "-o", executable(built, program), command}},
		{peer, "", []string{"install", peerCommand + "@" + peerVersion}},
		{peerSameSDK, module, []string{"build", "-mod=mod", "-o", executable(built, peerSameSDK),
			peerCommand}},
		{emptyProgram, "", []string{"build", "-o", executable(built, emptyProgram), source}},
	} {
		fmt.Fprintln(os.Stderr, "building", p.name)
		flags := []string{p.args[0], "-trimpath", "-ldflags=-s -w"}
		cmd := exec.CommandContext(ctx, "go", append(flags, p.args[1:]...)...)
		cmd.Dir, cmd.Env = p.module, append(os.Environ(), "CGO_ENABLED=0", "GOBIN="+built)
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", p.name, err, text)
		}
	}
	if err := checkSameSDK(executable(built, program), executable(built, peerSameSDK)); err != nil {
		return err
	}
	if err := errors.Join(copyAction(ctx, dir, built), writeDocker(dir)); err != nil {
		return err
	}
	for n := range copies {
		if err := os.CopyFS(filepath.Join(dir, "bin", strconv.Itoa(n)), os.DirFS(built)); err != nil {
			return fmt.Errorf("copying the programs: %w", err)
		}
	}
	return nil
}

// copies is the number of copies of each program, which the runs use in turn. How a file was
// written affects how the kernel caches it, and so how fast its processes start. A linker's output
// and a copy of it differ by half a millisecond, and two copies still by 0.1 ms.
const copies = 8

// binary returns the path of the nth copy of a program.
func binary(dir, name string, n int) string {
	return executable(filepath.Join(dir, "bin", strconv.Itoa(n%copies)), name)
}

func executable(dir, name string) string {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(dir, name)
}
