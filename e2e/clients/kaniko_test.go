//go:build clients

package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestKaniko runs kaniko in a chroot with the layout of its image. The helper and Docker's
// configuration are where an image built FROM kaniko's would have them.
// https://github.com/GoogleContainerTools/kaniko/blob/v1.24.0/deploy/Dockerfile
func TestKaniko(t *testing.T) {
	kaniko, crane := need(t, "kaniko"), need(t, "crane")
	t.Run("build", func(t *testing.T) {
		j := newJob(t, trustedJob(), host)
		layout := j.scratch("layout")
		image(t, layout, "kaniko's base")
		j.run(t, crane, "push", layout, host+"/app:kaniko-base")
		k, args := kanikoJob(t, j, kaniko, host+"/app:kaniko-base")
		aws.ResetCalls()
		k.run(t, "chroot", append(args, "--destination", host+"/app:kaniko")...)
		wantCalls(t, 1, 1, 1)
		files, err := j.exec("", crane, "export", host+"/app:kaniko", "-")
		check(t, err)
		if !strings.Contains(files, "kaniko's base") || !strings.Contains(files, "COPY Dockerfile") {
			t.Error("the pushed image does not contain the built files")
		}
	})
	t.Run("push denied", func(t *testing.T) {
		k, args := kanikoJob(t, newJob(t, untrustedJob(), host), kaniko, "scratch")
		aws.ResetCalls()
		wantDenied(t, k.runFails(t, "chroot", append(args, "--destination", host+"/app:refused")...))
	})
	t.Run("pull denied", func(t *testing.T) {
		k, args := kanikoJob(t, newJob(t, untrustedJob(), host), kaniko, host+"/app:none")
		aws.ResetCalls()
		wantDenied(t, k.runFails(t, "chroot", append(args, "--no-push")...))
	})
}

// kanikoJob returns a job inside the chroot, and the arguments of chroot that run the build.
func kanikoJob(t *testing.T, j *job, kaniko, from string) (*job, []string) {
	t.Helper()
	root := t.TempDir()
	for name, source := range map[string]string{
		"kaniko/executor":                      kaniko,
		"kaniko/docker-credential-ecr-oidc":    need(t, "docker-credential-ecr-oidc"),
		"kaniko/.docker/config.json":           j.dockerConfig(),
		"kaniko/ssl/certs/ca-certificates.crt": os.Getenv("CLIENTS_CA"),
		"etc/hosts":                            "/etc/hosts",
	} {
		b, err := os.ReadFile(source)
		check(t, err)
		check(t, os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o755))
		check(t, os.WriteFile(filepath.Join(root, name), b, 0o755))
	}
	for _, dir := range []string{"proc", "tmp", "root", "workspace"} {
		check(t, os.Mkdir(filepath.Join(root, dir), 0o755))
	}
	check(t, os.WriteFile(filepath.Join(root, "workspace", "Dockerfile"),
		[]byte("FROM "+from+"\nCOPY Dockerfile /\n"), 0o644))
	check(t, exec.Command("mount", "-t", "proc", "proc", filepath.Join(root, "proc")).Run())
	t.Cleanup(func() { check(t, exec.Command("umount", filepath.Join(root, "proc")).Run()) })
	inside := j.withEnv("PATH", "/usr/local/bin:/kaniko").withEnv("HOME", "/root").withEnv("SSL_CERT_DIR",
		"/kaniko/ssl/certs").
		withEnv("DOCKER_CONFIG", "/kaniko/.docker/").withEnv("RUNNER_TEMP", "/tmp").withEnv("TMPDIR", "/tmp")
	return inside, []string{root, "/kaniko/executor", "--force", "--context", "dir:///workspace"}
}
