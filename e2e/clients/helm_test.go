//go:build clients

package clients

import (
	"os"
	"strings"
	"testing"
)

const charts = "oci://" + host + "/app-charts"

// Helm asks us by Docker's own file.
func TestHelm(t *testing.T) {
	helm := need(t, "helm")
	t.Run("push and pull", func(t *testing.T) {
		j := newJob(t, trusted(), host)
		chart := chart(t, j, helm)
		aws.ResetCalls()
		j.ok(t, helm, "push", chart, charts)
		j.ok(t, helm, "pull", charts+"/demo", "--version", "0.1.0", "--destination", j.home())
		asked(t, 1, 1, 1)
		a, err := j.get(host)
		check(t, err)
		j.leftNothing(t, a.Secret)
	})
	t.Run("refused", func(t *testing.T) {
		j := newJob(t, untrusted(), host)
		aws.ResetCalls()
		saysUntrusted(t, j.refused(t, helm, "push", chart(t, j, helm), charts))
		saysUntrusted(t, j.refused(t, helm, "pull", charts+"/demo", "--version", "0.1.0"))
	})
}

// What README says for tools that call no helper. Helm then keeps the password itself, as any login of that kind.
func TestHelmRegistryLogin(t *testing.T) {
	helm := need(t, "helm")
	login := "set -o pipefail; docker-credential-ecr-oidc password " + host + " | helm registry login --username AWS --password-stdin " + host
	t.Run("login", func(t *testing.T) {
		j := newJob(t, trusted(), host)
		check(t, os.Remove(j.dockerConfig()))
		out, err := j.try("", "bash", "-c", login) // not logged: the first line masks the password, and so has it
		check(t, err)
		if !strings.HasPrefix(out, "::add-mask::") || !strings.HasSuffix(out, "Login Succeeded\n") {
			t.Error("it did not mask the password first, or Helm does not say that the login succeeded")
		}
		j.ok(t, helm, "push", chart(t, j, helm), charts)
		j.ok(t, helm, "registry", "logout", host)
		if out := j.refused(t, helm, "pull", charts+"/demo"); !strings.Contains(out, "basic credential not found") {
			t.Error("it failed for another reason")
		}
	})
	t.Run("refused", func(t *testing.T) {
		j := newJob(t, untrusted(), host)
		aws.ResetCalls()
		saysUntrusted(t, j.refused(t, "bash", "-c", login))
	})
}

func chart(t *testing.T, j *job, helm string) string {
	t.Helper()
	dir := j.scratch("demo")
	check(t, os.MkdirAll(dir, 0o755))
	check(t, os.WriteFile(dir+"/Chart.yaml", []byte("apiVersion: v2\nname: demo\nversion: 0.1.0\n"), 0o644))
	j.ok(t, helm, "package", "--destination", j.env["TMPDIR"], dir)
	return j.scratch("demo-0.1.0.tgz")
}
