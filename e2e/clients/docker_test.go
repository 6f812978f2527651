//go:build clients

package clients

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// docker is a version of Docker's CLI, which calls the helper. All versions use the same engine.
type docker struct{ path, version string }

func (d docker) major() string { v, _, _ := strings.Cut(d.version, "."); return v }

// dockerCLIs returns the Docker CLIs on PATH: any version named docker, and the two that
// packaging/tools builds.
var dockerCLIs = sync.OnceValue(func() []docker {
	var found []docker
	seen := map[string]bool{}
	var paths []string
	for _, name := range []string{"docker", "docker28", "docker29"} {
		for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
			paths = append(paths, filepath.Join(dir, name))
		}
	}
	for _, p := range paths {
		out, err := exec.Command(p, "--version").Output()
		m := regexp.MustCompile(`^Docker version ([^,\s]+)`).FindSubmatch(out)
		if err != nil || m == nil {
			continue
		}
		d := docker{p, string(m[1])}
		if !seen[d.major()] {
			seen[d.major()] = true
			found = append(found, d)
		}
	}
	return found
})

// eachDocker runs a subtest with every Docker CLI. It skips version 28 or 29 if it is missing, and
// runs older versions only if they are installed.
func eachDocker(t *testing.T, f func(t *testing.T, d docker)) {
	majors := []string{"28", "29"}
	for _, d := range dockerCLIs() {
		if d.major() < "28" {
			majors = append([]string{d.major()}, majors...)
		}
	}
	for _, major := range majors {
		t.Run("docker"+major, func(t *testing.T) {
			for _, d := range dockerCLIs() {
				if d.major() == major {
					t.Log("docker CLI", d.version, "at", d.path)
					f(t, d)
					return
				}
			}
			skip(t, "docker"+major, "no Docker CLI of this version")
		})
	}
}

var (
	engineCmd *exec.Cmd
	engineErr error
	engineRun sync.Once
)

func engineDir() string { return filepath.Join(os.Getenv("CLIENTS_DIR"), "docker") }

// engine starts a Docker engine on the first call, and returns its address.
func engine(t *testing.T) string {
	t.Helper()
	dockerd := need(t, "dockerd")
	engineRun.Do(func() { engineErr = startEngine(dockerd) })
	if engineErr != nil {
		t.Fatal(engineErr)
	}
	return "unix://" + filepath.Join(engineDir(), "sock")
}

func startEngine(dockerd string) error {
	dir := engineDir()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	engineCmd = exec.Command(dockerd,
		"--config-file", filepath.Join(dir, "none.json"),
		"--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"),
		"--pidfile", filepath.Join(dir, "pid"), "-H", "unix://"+filepath.Join(dir, "sock"),
		"--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false")
	engineCmd.Stdout, engineCmd.Stderr = log, log
	if err := os.WriteFile(filepath.Join(dir, "none.json"), []byte("{}"), 0o600); err != nil {
		return err
	}
	if err := engineCmd.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if respondsToPing(filepath.Join(dir, "sock")) {
			return nil
		}
	}
	text, _ := os.ReadFile(log.Name())
	return fmt.Errorf("dockerd did not start:\n%s", text)
}

// respondsToPing reports whether an engine listens on a socket.
func respondsToPing(socket string) bool {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Second))
	fmt.Fprint(c, "GET /_ping HTTP/1.0\r\n\r\n")
	b, _ := io.ReadAll(c)
	return bytes.Contains(b, []byte(" 200 OK"))
}

func stopEngine() {
	if engineCmd == nil || engineCmd.Process == nil {
		return
	}
	engineCmd.Process.Signal(os.Interrupt)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() { engineCmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		engineCmd.Process.Kill()
	}
}

// dockerDigest returns the digest in the output of "docker push" or "docker pull".
func dockerDigest(t *testing.T, out string) string {
	t.Helper()
	m := regexp.MustCompile(`(?i)digest: (sha256:[0-9a-f]{64})`).FindStringSubmatch(out)
	if m == nil {
		t.Fatal("no digest in Docker's output")
	}
	return m[1]
}

// buildContext writes a directory with a Dockerfile.
func buildContext(t *testing.T, j *job, name, from string) string {
	t.Helper()
	dir := j.scratch("build-" + name)
	check(t, os.MkdirAll(dir, 0o755))
	check(t, os.WriteFile(filepath.Join(dir, "Dockerfile"),
		[]byte("FROM "+from+"\nCOPY content /"+name+"\n"), 0o644))
	check(t, os.WriteFile(filepath.Join(dir, "content"), []byte(name), 0o644))
	return dir
}

// pushAndPullDocker builds and pushes an image, and a second one based on it. Then it removes both
// and pulls the second one.
func pushAndPullDocker(t *testing.T, j *job, d docker) {
	j = j.withEnv("DOCKER_HOST", engine(t)).withEnv("DOCKER_BUILDKIT", "0")
	base := host + "/app:base-" + d.major()
	app := host + "/app:docker-" + d.major()

	j.run(t, d.path, "build", "--tag", base, buildContext(t, j, "base"+d.major(), "scratch"))
	j.run(t, d.path, "push", base)
	j.run(t, d.path, "image", "rm", base)

	// With the classic builder, the engine pulls the private image.
	j.run(t, d.path, "build", "--pull", "--tag", app, buildContext(t, j, "app"+d.major(), base))
	pushed := dockerDigest(t, j.run(t, d.path, "push", app))
	j.run(t, d.path, "image", "rm", app, base)
	if pulled := dockerDigest(t, j.run(t, d.path, "pull", app)); pulled != pushed {
		t.Errorf("pulled %s, pushed %s", pulled, pushed)
	}
}
