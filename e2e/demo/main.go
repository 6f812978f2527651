// Command demo runs the credential helper in a job of an emulated GitHub Actions and AWS, and
// pushes and pulls an image with it. It needs only Go: no root and no network. It deletes all its
// files.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/build"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

const (
	helper = build.Program
	host   = emulator.Account + ".dkr.ecr." + emulator.Region + ".amazonaws.com"
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "ecr-oidc-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d := demo{out: out, dir: dir}
	d.printf("%s in a job of an emulated GitHub Actions and AWS.", helper)
	d.printf("All services are on 127.0.0.1. The binary, the protocols, the signatures and TLS are real.")
	if err := d.build(); err != nil {
		return err
	}
	if d.server, err = emulator.Start(emulator.Options{}); err != nil {
		return err
	}
	defer d.server.Close()
	d.server.AddDefaults()
	// Minting generates the issuer's key, so that the first call to GitHub does not include that time.
	d.server.Mint(emulator.GitHubIssuer, nil)
	d.server.AddRepository(emulator.Account, emulator.Region, "app")
	for _, step := range []func() error{d.configure, d.check, d.push, d.pull, d.files, d.pullRequest} {
		if err := step(); err != nil {
			return err
		}
	}
	d.printf("\nDone. All files of this demo are deleted.")
	return nil
}

// demo is one run of the program.
type demo struct {
	out    io.Writer
	dir    string
	server *emulator.Server
	job    map[string]string // the environment of the current job
}

// printf writes one or more lines.
func (d *demo) printf(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

func (d *demo) build() error {
	start := time.Now()
	if _, err := build.Helper(context.Background(), filepath.Join(d.dir, "bin")); err != nil {
		return err
	}
	d.printf("\n$ go build ./cmd/%s    # %v", helper, time.Since(start).Round(100*time.Millisecond))
	return nil
}

// setJob replaces the environment of this process with a job's, because go-containerregistry runs the
// helper with the environment of this process.
func (d *demo) setJob(job map[string]string) error {
	ca := filepath.Join(d.dir, "ca.pem")
	temp := filepath.Join(d.dir, "runner")
	if err := errors.Join(os.WriteFile(ca, d.server.CAPEM(), 0o600), os.MkdirAll(temp, 0o755)); err != nil {
		return err
	}
	env := map[string]string{
		"PATH":               filepath.Join(d.dir, "bin"),
		"HOME":               d.dir,
		"DOCKER_CONFIG":      filepath.Join(d.dir, "docker"),
		"RUNNER_TEMP":        temp,
		"ECR_ROLE_TO_ASSUME": emulator.CIRole,
		"AWS_CA_BUNDLE":      ca,                  // the CA of the emulated services
		"HTTPS_PROXY":        d.server.ProxyURL(), // connects their real names to the emulator
		"SystemRoot":         os.Getenv("SystemRoot"),
	}
	maps.Copy(env, job)
	os.Clearenv()
	for name, value := range env {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	d.job = job
	return nil
}

func (d *demo) configure() error {
	d.printf("\n1. Configure Docker in a GitHub job of acme/app on main, " +
		"with `permissions: {id-token: write}` and one variable.\n")
	if err := d.setJob(d.server.GitHubRealHost(emulator.GitHubJob{})); err != nil {
		return err
	}
	d.printf("$ export ECR_ROLE_TO_ASSUME=%s", emulator.CIRole)
	d.printf("$ %s configure %s", helper, host)
	text, err := exec.Command(helper, "configure", host).CombinedOutput()
	if err != nil {
		return fmt.Errorf("configure: %w\n%s", err, text)
	}
	d.printf("%s", strings.TrimSpace(strings.ReplaceAll(string(text), filepath.Dir(d.configFile()),
		"$DOCKER_CONFIG")))
	b, err := os.ReadFile(d.configFile())
	if err != nil {
		return err
	}
	d.printf("$ cat $DOCKER_CONFIG/config.json\n%s", strings.TrimSpace(string(b)))
	return nil
}

func (d *demo) configFile() string { return filepath.Join(d.dir, "docker", "config.json") }
