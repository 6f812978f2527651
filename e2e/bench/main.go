// Command bench measures how fast this program answers, beside amazon-ecr-credential-helper. It
// builds both, and the peer a second time with the AWS SDK in the versions of our go.mod. It runs
// them in turn against the emulated AWS and CIs at the far end of a wire with a stated round trip. It
// prints a table with a bound beside each figure that has one, and draws the chart of the documents
// from the same figures.
//
//	go run ./e2e/bench
//
// It needs Go and the module proxy. The wire needs Linux, and root or user namespaces, in which all of
// it lies: nothing listens on an address of the machine, and nothing leaves it. Without them, only what
// needs no wire is measured.
//
// It fails when a bound is broken, and names the bound.
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

// What is measured. The peer is built from its module, which is not in our go.mod.
const (
	program     = "docker-credential-ecr-oidc"
	command     = "github.com/ecr-oidc/docker-credential-ecr-oidc/cmd/" + program
	peer        = "docker-credential-ecr-login"
	peerName    = "amazon-ecr-credential-helper"
	peerModule  = "github.com/awslabs/amazon-ecr-credential-helper/ecr-login"
	peerVersion = "v0.12.0"
	peerCommand = peerModule + "/cli/" + peer
	peerOurSDK  = peer + "-our-sdk" // the same peer, built with the SDK versions of our go.mod
	nothing     = "nothing"         // a Go program that does nothing: less than that nobody can take
)

// inside is the variable by which this program tells itself that it runs in namespaces of its own. It has the folder with
// the programs that are measured.
const inside = "BENCH_INSIDE"

const exitNoWire = 77 // by which the process inside says that it had no wire

var (
	errNoWire = errors.New("no wire")
	errSaid   = errors.New("failed inside, where it was said why")
)

// plan says what is measured, and how often.
type plan struct {
	rtt   time.Duration
	runs  int
	quick bool
	out   string // folder for the chart; "" for none
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == metering {
		os.Exit(meter(os.Args[2], os.Args[3:]...))
	}
	p := plan{runs: 10}
	flag.DurationVar(&p.rtt, "rtt", 60*time.Millisecond, "the wire's round `trip`")
	flag.BoolVar(&p.quick, "quick", false, "for CI: fewer runs, no chart, and a time over its bound is not fatal")
	flag.StringVar(&p.out, "out", "docs", "`folder` for the chart; empty for no chart")
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
	if err != nil && !errors.Is(err, errSaid) {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	switch {
	case errors.Is(err, errNoWire):
		os.Exit(exitNoWire)
	case err != nil:
		os.Exit(1)
	}
}

// run builds what is measured and goes on in namespaces of its own, or says why it cannot and goes on without a wire.
func run(ctx context.Context, p plan) (err error) {
	if dir := os.Getenv(inside); dir != "" {
		w, err := layWire(p.rtt, dir)
		if err != nil {
			return fmt.Errorf("%w: %w", errNoWire, err)
		}
		return report(ctx, &bench{table: table{plan: p}, dir: dir, server: w, wired: true})
	}
	if _, err := os.Stat(p.out); p.out != "" && err != nil { // said now, and not when all is measured
		return fmt.Errorf("looking for the chart's folder: %w", err)
	}
	dir, err := os.MkdirTemp("", "ecr-oidc-bench-")
	if err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := build(ctx, dir); err != nil {
		return err
	}
	if err := enter(ctx, dir); !errors.Is(err, errNoWire) {
		return err
	} else {
		fmt.Fprintf(os.Stderr, "bench: %v\nbench: measuring what needs no wire\n", err)
	}
	w, err := startEmulator("", dir)
	if err != nil {
		return err
	}
	defer w.Close()
	return report(ctx, &bench{table: table{plan: p}, dir: dir, server: w})
}

// report measures, prints the table, draws the chart and judges.
func report(ctx context.Context, b *bench) error {
	if err := b.measure(ctx); ctx.Err() != nil {
		return errors.New("interrupted")
	} else if err != nil {
		return err
	}
	b.print(os.Stdout)
	if b.wired && b.out != "" {
		for name, colours := range themes {
			if err := os.WriteFile(filepath.Join(b.out, "performance-"+name+".svg"), draw(b.chart, colours), 0o644); err != nil {
				return fmt.Errorf("writing the chart: %w", err)
			}
		}
	}
	return b.verdict()
}

// build builds all of them with the same Go and the flags with which this program is released.
func build(ctx context.Context, dir string) error {
	built, source := filepath.Join(dir, "built"), filepath.Join(dir, "nothing.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		return fmt.Errorf("writing a program that does nothing: %w", err)
	}
	module, err := peerOnOurSDK(ctx, dir)
	if err != nil {
		return err
	}
	for _, p := range []struct {
		name, module string // "" is ours
		args         []string
	}{
		{program, "", []string{"build", "-o", executable(built, program), command}},
		{peer, "", []string{"install", peerCommand + "@" + peerVersion}},
		{peerOurSDK, module, []string{"build", "-mod=mod", "-o", executable(built, peerOurSDK), peerCommand}},
		{nothing, "", []string{"build", "-o", executable(built, nothing), source}},
	} {
		fmt.Fprintln(os.Stderr, "building", p.name)
		flags := []string{p.args[0], "-trimpath", "-ldflags=-s -w"}
		cmd := exec.CommandContext(ctx, "go", append(flags, p.args[1:]...)...)
		cmd.Dir, cmd.Env = p.module, append(os.Environ(), "CGO_ENABLED=0", "GOBIN="+built)
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", p.name, err, text)
		}
	}
	if err := sameSDK(executable(built, program), executable(built, peerOurSDK)); err != nil {
		return err
	}
	for n := range copies {
		if err := os.CopyFS(filepath.Join(dir, "bin", strconv.Itoa(n)), os.DirFS(built)); err != nil {
			return fmt.Errorf("copying the programs: %w", err)
		}
	}
	return nil
}

// copies of each program are run by turns, all written alike: how a file was written decides how the kernel keeps it in
// memory, and that how fast a process of it starts. What a linker wrote and what was copied differ by half a millisecond,
// and two copies still by 0.1 ms.
const copies = 8

// binary is where the nth copy lies of a program that build made.
func binary(dir, name string, n int) string {
	return executable(filepath.Join(dir, "bin", strconv.Itoa(n%copies)), name)
}

func executable(dir, name string) string {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(dir, name)
}
