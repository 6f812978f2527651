package doctor

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/helper"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/testenv"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

func environ(pairs ...string) token.Env { return testenv.Lookup(pairs...) }

// examined returns what an examination in this environment finds before its first request.
func examined(t *testing.T, role bool, pairs ...string) (helper.Examination, token.Env) {
	t.Helper()
	env := environ(pairs...)
	var x helper.Examination
	settings := token.Settings{Source: env.Get("ECR_OIDC_SOURCE"), SourceFrom: "ECR_OIDC_SOURCE",
		HasRole: role, HasWebIdentityRole: role}
	x.Identity, x.Err = token.Identify(env, settings)
	x.Resolved = true
	return x, env
}

// Each hint is given for its state, and for no other.
func TestHints(t *testing.T) {
	event := func(text string) string {
		path := filepath.Join(t.TempDir(), "event.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return "GITHUB_EVENT_PATH=" + path
	}
	pull := func(head string) string {
		return event(`{"action": "opened", "pull_request": {"head": {"repo": ` + head +
			`}, "base": {"repo": {"full_name": "acme/app"}}}}`)
	}
	fork := pull(`{"full_name": "mallory/app"}`)
	const (
		gitHub, circle = "GITHUB_ACTIONS=true", "CIRCLECI=true"
		url, bearer    = "ACTIONS_ID_TOKEN_REQUEST_URL=https://x",
			"ACTIONS_ID_TOKEN_REQUEST_TOKEN=x"
		long, short, secret = "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE",
			"AWS_ACCESS_KEY_ID=ASIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=x"
		irsa, pod = "AWS_WEB_IDENTITY_TOKEN_FILE=/t",
			"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/v1/credentials"
		chosen = "ECR_OIDC_SOURCE=aws"
	)
	none := &exchange.NoCredentialsError{Profile: "default", Ambient: "instance"}
	untrusted := errors.New("tls: failed to verify certificate: x509: certificate signed by " +
		"unknown authority")
	for _, tt := range []struct {
		name   string
		env    []string
		noRole bool
		err    error // of what comes after the identity
		skew   time.Duration
		want   string // names of the hints
		says   string
	}{
		{name: "GitHub, all well", env: []string{gitHub, url, bearer}},
		{name: "a machine, all well"},

		{name: "a long-lived key beside a token", env: []string{gitHub, url, bearer, long},
			want: "long-lived key", says: "beside a token"},
		{name: "a session's key beside a token", env: []string{gitHub, url, bearer, short}},
		{name: "a long-lived key alone", env: []string{gitHub, long, secret}, noRole: true,
			want: "long-lived key", says: "(AKIA...)"},
		{name: "a long-lived key on a machine", env: []string{long, secret}},

		{name: "a fork", env: []string{gitHub, fork}, want: "fork", says: "the fork mallory/app"},
		{name: "a fork, without a role", env: []string{gitHub, fork}, noRole: true, want: "fork"},
		{name: "a fork that was deleted", env: []string{gitHub, pull("null")}, want: "fork",
			says: "the fork that was deleted"},
		{name: "a fork with a token", env: []string{gitHub, fork, url, bearer}},
		{name: "a fork with a token, without a role", env: []string{gitHub, fork, url, bearer},
			noRole: true},
		{name: "pull_request_target",
			env:  []string{gitHub, fork, "GITHUB_EVENT_NAME=pull_request_target"},
			want: "permission"},
		{name: "a branch of the same repository",
			env: []string{gitHub, pull(`{"full_name": "acme/app"}`)}, want: "permission"},
		{name: "a push", env: []string{gitHub, event(`{"ref": "refs/heads/main"}`)},
			want: "permission"},
		{name: "an event that cannot be read", env: []string{gitHub, event(`{"pull_request": `)},
			want: "permission"},
		{name: "an event that is no object", env: []string{gitHub, event(`[]`)},
			want: "permission"},
		{name: "an event that is not there",
			env: []string{gitHub, "GITHUB_EVENT_PATH=/no/such/file"}, want: "permission"},
		{name: "an odd name", env: []string{gitHub,
			pull(`{"full_name": "x\u001b[2J\n::error::y"}`)}, want: "fork",
			says: "the fork x [2J ::error::y:"},

		{name: "no permission", env: []string{gitHub}, want: "permission", says: "id-token: write"},
		{name: "no permission, without a role", env: []string{gitHub}, noRole: true,
			want: "permission"},
		{name: "GitHub on a machine", env: []string{"ECR_OIDC_SOURCE=github"}},
		{name: "Forgejo", env: []string{gitHub, "FORGEJO_ACTIONS=true"}},
		{name: "no role alone", env: []string{gitHub, url, bearer}, noRole: true},

		{name: "a fork on CircleCI", env: []string{circle, "CIRCLE_PR_REPONAME=app"}, want: "fork",
			says: "CircleCI"},
		{name: "a fork on CircleCI, by its owner",
			env: []string{circle, "CIRCLE_PR_USERNAME=mallory"}, noRole: true, want: "fork"},
		{name: "a fork on CircleCI with secrets",
			env: []string{circle, "CIRCLE_PR_REPONAME=app", "CIRCLE_OIDC_TOKEN_V2=x"}},
		{name: "no token on CircleCI", env: []string{circle}},

		{name: "sudo", env: []string{"SUDO_UID=1000"}, want: "sudo"},
		{name: "sudo that kept the variables", env: []string{"SUDO_UID=1000", gitHub, url, bearer}},
		{name: "sudo, and a source that was chosen", env: []string{"SUDO_UID=1000", chosen}},

		{name: "a container", env: []string{"container=podman"}, err: none, want: "container",
			says: "no CI's variables"},
		{name: "a container with credentials", env: []string{"container=podman"}},
		{name: "a container, refused", env: []string{"container=podman"},
			err: &exchange.Error{Code: "AccessDenied"}},
		{name: "a container, and a source that was chosen",
			env: []string{"container=podman", chosen}, err: none},
		{name: "a CI's container", env: []string{"container=podman", gitHub, url, bearer},
			err: none},

		{name: "a runner in EKS", env: []string{gitHub, url, bearer, irsa},
			want: "runner's identity", says: "AWS_WEB_IDENTITY_TOKEN_FILE"},
		{name: "a runner with Pod Identity", env: []string{gitHub, url, bearer, pod},
			want: "runner's identity", says: "AWS_CONTAINER_CREDENTIALS_FULL_URI"},
		{name: "a runner with both", env: []string{gitHub, url, bearer, pod, irsa},
			want: "runner's identity", says: "AWS_WEB_IDENTITY_TOKEN_FILE"},
		{name: "a pod that is no runner", env: []string{irsa, "AWS_ROLE_ARN=x"}},
		{name: "a runner's identity that was chosen",
			env: []string{gitHub, irsa, "ECR_OIDC_SOURCE=file"}},

		{name: "a clock a minute off", env: []string{gitHub, url, bearer}, skew: 119 * time.Second},
		{name: "a clock that is ahead", env: []string{gitHub, url, bearer}, skew: 121 * time.Second,
			want: "clock", says: "2m ahead of"},
		{name: "a clock that is behind", env: []string{gitHub, url, bearer}, skew: -26 * time.Hour,
			want: "clock", says: "26h behind"},

		{name: "TLS", env: []string{gitHub, url, bearer}, err: untrusted, want: "TLS"},
		{name: "TLS, macOS's words", env: []string{gitHub, url, bearer},
			err: errors.New("x509: “emulator” certificate is not trusted"), want: "TLS"},
		{name: "TLS behind a proxy",
			env: []string{gitHub, url, bearer, "https_proxy=http://user:password@proxy"},
			err: untrusted, want: "TLS", says: "(https_proxy is set)"},
		{name: "TLS and a bundle", env: []string{gitHub, url, bearer, "AWS_CA_BUNDLE=/x.pem"},
			err: untrusted, want: "TLS", says: "AWS_CA_BUNDLE is /x.pem"},
		{name: "TLS, another fault", env: []string{gitHub, url, bearer},
			err: errors.New("x509: certificate has expired or is not yet valid")},
	} {
		x, env := examined(t, !tt.noRole, tt.env...)
		if x.Err == nil {
			x.Err = tt.err
		}
		x.ClockSkew = tt.skew
		var found Diagnosis
		found.hints(x, env)
		var names []string
		for _, c := range found.Checks {
			names = append(names, c.Name)
			if c.State != Note || c.Text == "" || c.Next == "" ||
				strings.ContainsAny(c.Text+c.Next, "\n\x1b") ||
				strings.Contains(c.Text, "password") {
				t.Errorf("%s: %+v", tt.name, c)
			}
			if !strings.Contains(c.Text, tt.says) {
				t.Errorf("%s: %q; want %q in it", tt.name, c.Text, tt.says)
			}
		}
		if got := strings.Join(names, " "); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A hint replaces the advice of its checks, and of no others.
func TestHintsReplaceAdvice(t *testing.T) {
	for name, tt := range map[string]struct {
		hint  string
		leave string // the checks that still say what to do
	}{
		"TLS": {"TLS", "role"}, "container": {"container", "role token STS"},
		"sudo": {"sudo", "role token STS credentials"},
	} {
		var d Diagnosis
		for _, check := range []string{"role", "token", "STS", "credentials"} {
			d.add(check, Wrong, "x").Next = "y"
			d.add(check, Note, "x").Next = "y"
		}
		for _, s := range detectors() {
			if s.name == tt.hint {
				d.replaceAdvice(s.instead...)
			}
		}
		var left []string
		for _, c := range d.Checks {
			switch {
			case c.State == Note && c.Next == "":
				t.Errorf("%s: %s lost its note", name, c.Name)
			case c.State == Wrong && c.Next != "":
				left = append(left, c.Name)
			}
		}
		if got := strings.Join(left, " "); got != tt.leave {
			t.Errorf("%s leaves %q, want %q", name, got, tt.leave)
		}
	}
}
