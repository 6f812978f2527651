// Command demo shows the program's main job on any machine with Go: an emulated GitHub Actions and AWS on loopback, with
// TLS, the real binary, and an image pushed and pulled through it. It needs no root and no network, and leaves nothing
// behind.
package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

const (
	helper = "docker-credential-ecr-oidc"
	host   = emulator.Account + ".dkr.ecr." + emulator.Region + ".amazonaws.com"
)

func main() {
	if err := demo(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func demo(out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "ecr-oidc-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s := stage{out: out, dir: dir}
	s.say("The main job of %s, on an emulated GitHub Actions and AWS.", helper)
	s.say("Everything is on 127.0.0.1; the binary, the protocols, the signatures and TLS are real.")
	if err := s.build(); err != nil {
		return err
	}
	if s.server, err = emulator.Start(emulator.Options{}); err != nil {
		return err
	}
	defer s.server.Close()
	s.server.AddDefaults()
	s.server.Mint(emulator.GitHubIssuer, nil) // makes the issuer's key now, so that it does not count as GitHub's time
	for _, scene := range []func() error{s.configure, s.push, s.pull, s.stored, s.refusal} {
		if err := scene(); err != nil {
			return err
		}
	}
	s.say("\nThat is all. Nothing is left of it on this machine.")
	return nil
}

// stage is one run of the demo.
type stage struct {
	out    io.Writer
	dir    string
	server *emulator.Server
	job    map[string]string // the environment of the job on stage
}

func (s *stage) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

func (s *stage) build() error {
	start := time.Now()
	bin := filepath.Join(s.dir, "bin", helper)
	if runtime.GOOS == "windows" {
		bin += ".exe"
	}
	cmd := exec.Command("go", "build", "-o", bin, "github.com/ecr-oidc/docker-credential-ecr-oidc/cmd/"+helper)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", helper, err, text)
	}
	s.say("\n$ go build ./cmd/%s    # %v", helper, time.Since(start).Round(100*time.Millisecond))
	return nil
}

// enter puts this process into a job's environment and nothing but it: go-containerregistry runs the helper with ours.
func (s *stage) enter(job map[string]string) error {
	ca := filepath.Join(s.dir, "ca.pem")
	temp := filepath.Join(s.dir, "runner")
	if err := errors.Join(os.WriteFile(ca, s.server.CAPEM(), 0o600), os.MkdirAll(temp, 0o755)); err != nil {
		return err
	}
	env := map[string]string{
		"PATH":               filepath.Join(s.dir, "bin"),
		"HOME":               s.dir,
		"DOCKER_CONFIG":      filepath.Join(s.dir, "docker"),
		"RUNNER_TEMP":        temp,
		"ECR_ROLE_TO_ASSUME": emulator.CIRole,
		"AWS_CA_BUNDLE":      ca,                  // the emulated AWS's and GitHub's certificates
		"HTTPS_PROXY":        s.server.ProxyURL(), // leads their real names to this process
		"SystemRoot":         os.Getenv("SystemRoot"),
	}
	maps.Copy(env, job)
	os.Clearenv()
	for name, value := range env {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	s.job = job
	return nil
}

func (s *stage) configure() error {
	s.say("\n1. A GitHub job of acme/app on main, with `permissions: {id-token: write}` and one variable.\n")
	if err := s.enter(s.server.GitHubRealHost(emulator.GitHubJob{})); err != nil {
		return err
	}
	s.say("$ export ECR_ROLE_TO_ASSUME=%s", emulator.CIRole)
	s.say("$ %s configure %s", helper, host)
	text, err := exec.Command(helper, "configure", host).CombinedOutput()
	if err != nil {
		return fmt.Errorf("configure: %w\n%s", err, text)
	}
	s.say("%s", strings.TrimSpace(strings.ReplaceAll(string(text), filepath.Dir(s.configFile()), "$DOCKER_CONFIG")))
	b, err := os.ReadFile(s.configFile())
	if err != nil {
		return err
	}
	s.say("$ cat $DOCKER_CONFIG/config.json\n%s", strings.TrimSpace(string(b)))
	return nil
}

func (s *stage) configFile() string { return filepath.Join(s.dir, "docker", "config.json") }
