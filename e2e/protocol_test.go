package e2e

import (
	"io"
	"os/exec"
	"testing"

	"github.com/docker/docker-credential-helpers/client"
	"github.com/docker/docker-credential-helpers/credentials"
)

// TestDockersClient runs the program with the client of docker-credential-helpers, which Docker
// uses: get, store, list, erase and get again. The client recognizes the response for another host
// as "not found".
func TestDockersClient(t *testing.T) {
	j := newJob(t)
	helper := func(args ...string) client.Program {
		cmd, _, stderr := j.command(args[0], "")
		t.Cleanup(func() {
			if stderr.Len() > 0 && !t.Failed() {
				t.Errorf("%s wrote to stderr: %s", args[0], stderr)
			}
		})
		return &clientProgram{cmd}
	}
	const server = "https://" + defaultHost

	first, err := client.Get(helper, server)
	if err != nil || first.Username != "AWS" || first.Secret == "" || first.ServerURL != server {
		t.Fatalf("get: %v, %v", first, err)
	}
	if err := client.Store(helper, first); err != nil { // as "docker login" does with what it got
		t.Errorf("store of our own password: %v", err)
	}
	other := &credentials.Credentials{ServerURL: server, Username: "AWS", Secret: "somebody-elses-login"}
	if err := client.Store(helper, other); err != nil {
		t.Errorf("store: %v", err)
	}
	if got, err := client.Get(helper, defaultHost); err != nil || got.Secret != other.Secret {
		t.Errorf("get after store: %v, %v", got, err)
	}
	if all, err := client.List(helper); err != nil || len(all) != 0 {
		t.Errorf("list: %v, %v, want nothing", all, err)
	}
	if err := client.Erase(helper, server); err != nil {
		t.Errorf("erase: %v", err)
	}
	if got, err := client.Get(helper, server); err != nil || got.Secret == other.Secret || got.Secret == first.Secret {
		t.Errorf("get after erase: %v, %v, want a new password", got, err)
	}
	if n := j.server.Count("ecr"); n != 2 {
		t.Errorf("asked ECR %d times, want 2", n)
	}
	if _, err := client.Get(helper, "https://index.docker.io/v1/"); !credentials.IsErrCredentialsNotFound(err) {
		t.Errorf("get for a foreign host: %v, want the protocol's not-found", err)
	}
	if err := client.Erase(helper, "https://index.docker.io/v1/"); err != nil {
		t.Errorf("erase of a foreign host: %v", err)
	}
}

// clientProgram is client.Shell with an environment.
type clientProgram struct{ cmd *exec.Cmd }

func (p *clientProgram) Output() ([]byte, error) { p.cmd.Stdout = nil; return p.cmd.Output() }
func (p *clientProgram) Input(in io.Reader)      { p.cmd.Stdin = in }

// TestExitCodes checks that wrong usage exits with 2, a failure with 1, and help and version with
// 0.
func TestExitCodes(t *testing.T) {
	j := newJob(t)
	for _, tt := range []struct {
		verb, stdin string
		want        int
	}{
		{"get", defaultHost, 0}, {"list", "", 0}, {"version", "", 0}, {"--version", "", 0}, {"help", "", 0},
		{"get", "docker.io", 1}, {"get", "", 1}, {"store", "{", 1}, {"erase", "docker.io", 0},
		{"login", "", 2}, {"configure", "", 2}, {"", "", 2},
	} {
		cmd, _, _ := j.command(tt.verb, tt.stdin)
		if cmd.Run(); cmd.ProcessState.ExitCode() != tt.want {
			t.Errorf("%q with %q: exit code %d, want %d", tt.verb, tt.stdin, cmd.ProcessState.ExitCode(), tt.want)
		}
	}
	if n := j.server.Count("oidc"); n != 1 {
		t.Errorf("asked GitHub %d times, want once, for the one get of an ECR host", n)
	}
}
