//go:build clients

package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// kaniko in a root of its own, laid out as its image is, with our binary and Docker's file put in as an image made FROM
// it would have them. https://github.com/GoogleContainerTools/kaniko/blob/v1.24.0/deploy/Dockerfile
func TestKaniko(t *testing.T) {
	kaniko, crane := need(t, "kaniko"), need(t, "crane")
	t.Run("build", func(t *testing.T) {
		j := newJob(t, trusted(), host)
		layout := j.scratch("layout")
		image(t, layout, "kaniko's base")
		j.ok(t, crane, "push", layout, host+"/app:kaniko-base")
		k, args := kanikoJob(t, j, kaniko, host+"/app:kaniko-base")
		aws.ResetCalls()
		k.ok(t, "chroot", append(args, "--destination", host+"/app:kaniko")...)
		asked(t, 1, 1, 1)
		files, err := j.try("", crane, "export", host+"/app:kaniko", "-")
		check(t, err)
		if !strings.Contains(files, "kaniko's base") || !strings.Contains(files, "COPY Dockerfile") {
			t.Error("the image is not what was built")
		}
	})
	t.Run("push refused", func(t *testing.T) {
		k, args := kanikoJob(t, newJob(t, untrusted(), host), kaniko, "scratch")
		aws.ResetCalls()
		saysUntrusted(t, k.refused(t, "chroot", append(args, "--destination", host+"/app:refused")...))
	})
	t.Run("pull refused", func(t *testing.T) {
		k, args := kanikoJob(t, newJob(t, untrusted(), host), kaniko, host+"/app:none")
		aws.ResetCalls()
		saysUntrusted(t, k.refused(t, "chroot", append(args, "--no-push")...))
	})
}

// kanikoJob returns the job as it is inside the container, and the arguments of chroot that build there.
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
	check(t, os.WriteFile(filepath.Join(root, "workspace", "Dockerfile"), []byte("FROM "+from+"\nCOPY Dockerfile /\n"), 0o644))
	check(t, exec.Command("mount", "-t", "proc", "proc", filepath.Join(root, "proc")).Run())
	t.Cleanup(func() { check(t, exec.Command("umount", filepath.Join(root, "proc")).Run()) })
	inside := j.with("PATH", "/usr/local/bin:/kaniko").with("HOME", "/root").with("SSL_CERT_DIR", "/kaniko/ssl/certs").
		with("DOCKER_CONFIG", "/kaniko/.docker/").with("RUNNER_TEMP", "/tmp").with("TMPDIR", "/tmp")
	return inside, []string{root, "/kaniko/executor", "--force", "--context", "dir:///workspace"}
}
