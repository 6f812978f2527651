package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// TestHangingServers checks that a get ends within 28 seconds when a server, a file or a program does
// not respond, and that the error names it. BuildKit has one minute for two registries.
func TestHangingServers(t *testing.T) {
	t.Parallel()
	slow(t, "waits for the limits of the program, 28 seconds")
	var all sync.WaitGroup
	for service, want := range map[string]string{
		"oidc": "ecr-oidc: requesting the job's OIDC token from GitHub (",
		"sts":  "ecr-oidc: requesting role ci in 123456789012 ",
		"ecr":  "ecr-oidc: requesting a password for " + defaultHost,
	} {
		j := newJob(t)
		j.server.AddFault(service, emulator.Fault{Hang: true})
		all.Go(func() {
			start := time.Now()
			stdout, stderr, err := j.get(defaultHost)
			if took := time.Since(start); took > 28*time.Second {
				t.Errorf("%s: get took %v", service, took)
			}
			if err == nil || !strings.HasPrefix(stdout, want) || stdout != stderr || !strings.Contains(stdout, "no response in time") {
				t.Errorf("%s hangs: %v\nstdout %sstderr %s", service, err, stdout, stderr)
			}
		})
	}
	if runtime.GOOS != "windows" { // the token file is a pipe without a writer
		j := newJob(t)
		j.env["ECR_OIDC_TOKEN_FILE"] = filepath.Join(j.dir, "pipe")
		if out, err := exec.Command("mkfifo", j.env["ECR_OIDC_TOKEN_FILE"]).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		all.Go(func() {
			stdout, stderr, err := j.get(defaultHost)
			if err == nil || stdout != stderr || stdout != "ecr-oidc: running get: timed out after 28s; to see why: docker-credential-ecr-oidc doctor "+defaultHost+"\n" {
				t.Errorf("a pipe hangs: %v\nstdout %sstderr %s", err, stdout, stderr)
			}
		})
	}
	if runtime.GOOS != "windows" { // the delegate, which must not outlive the get
		j := newJob(t)
		bin := filepath.Join(j.dir, "bin")
		file := filepath.Join(j.dir, "ecr-oidc.yaml")
		script := "#!/bin/sh\necho $$ >" + j.dir + "/pid\nexec sleep 300\n"
		if err := errors.Join(os.Mkdir(bin, 0o755), os.WriteFile(filepath.Join(bin, "docker-credential-slow"), []byte(script), 0o755), os.WriteFile(file, []byte("creds_store: slow\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
		j.env["PATH"], j.env["ECR_OIDC_CONFIG"] = bin+":"+j.env["PATH"], file
		all.Go(func() {
			stdout, stderr, err := j.get("docker.io")
			if err == nil || stdout != stderr || !strings.HasPrefix(stdout, "ecr-oidc: calling creds_store slow: ") {
				t.Errorf("creds_store hangs: %v\nstdout %sstderr %s", err, stdout, stderr)
			}
			pid, err := os.ReadFile(filepath.Join(j.dir, "pid"))
			if err != nil {
				t.Error(err)
			}
			if exec.Command("kill", "-0", strings.TrimSpace(string(pid))).Run() == nil {
				t.Error("the creds_store's process outlived the get")
			}
		})
	}
	all.Wait()
}
