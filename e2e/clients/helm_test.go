//go:build clients

package clients

import (
	"os"
	"strings"
	"testing"
)

const charts = "oci://" + host + "/app-charts"

// TestHelm pushes and pulls charts. Helm calls the helper because of Docker's configuration.
func TestHelm(t *testing.T) {
	helm := need(t, "helm")
	t.Run("push and pull", func(t *testing.T) {
		j := newJob(t, trustedJob(), host)
		chart := chart(t, j, helm)
		aws.ResetCalls()
		j.run(t, helm, "push", chart, charts)
		j.run(t, helm, "pull", charts+"/demo", "--version", "0.1.0", "--destination", j.home())
		wantCalls(t, 1, 1, 1)
		a, err := j.get(host)
		check(t, err)
		j.checkNoSecrets(t, a.Secret)
	})
	t.Run("denied", func(t *testing.T) {
		j := newJob(t, untrustedJob(), host)
		aws.ResetCalls()
		wantDenied(t, j.runFails(t, helm, "push", chart(t, j, helm), charts))
		wantDenied(t, j.runFails(t, helm, "pull", charts+"/demo", "--version", "0.1.0"))
	})
}

// TestHelmRegistryLogin runs the command that README shows for tools that call no helper. Helm then
// stores the password.
func TestHelmRegistryLogin(t *testing.T) {
	helm := need(t, "helm")
	login := "set -o pipefail; docker-credential-ecr-oidc password " + host +
		" | helm registry login --username AWS --password-stdin " + host
	t.Run("login", func(t *testing.T) {
		j := newJob(t, trustedJob(), host)
		check(t, os.Remove(j.dockerConfig()))
		// The output is not logged, because its first line contains the password that it masks.
		out, err := j.exec("", "bash", "-c", login)
		check(t, err)
		if !strings.HasPrefix(out, "::add-mask::") || !strings.HasSuffix(out, "Login Succeeded\n") {
			t.Error("the output does not begin with ::add-mask:: or does not end with Login Succeeded")
		}
		j.run(t, helm, "push", chart(t, j, helm), charts)
		j.run(t, helm, "registry", "logout", host)
		if out := j.runFails(t, helm, "pull", charts+"/demo"); !strings.Contains(out,
			"basic credential not found") {
			t.Error("the pull failed with another error")
		}
	})
	t.Run("denied", func(t *testing.T) {
		j := newJob(t, untrustedJob(), host)
		aws.ResetCalls()
		wantDenied(t, j.runFails(t, "bash", "-c", login))
	})
}

func chart(t *testing.T, j *job, helm string) string {
	t.Helper()
	dir := j.scratch("demo")
	check(t, os.MkdirAll(dir, 0o755))
	check(t, os.WriteFile(dir+"/Chart.yaml", []byte("apiVersion: v2\nname: demo\nversion: 0.1.0\n"), 0o644))
	j.run(t, helm, "package", "--destination", j.env["TMPDIR"], dir)
	return j.scratch("demo-0.1.0.tgz")
}
