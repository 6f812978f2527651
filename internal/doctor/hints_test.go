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

// examine returns the examination of an environment before the first request.
func examine(t *testing.T, role bool, pairs ...string) (helper.Examination, token.Env) {
	t.Helper()
	// The first pair of a name counts. The files of the user who runs the test are not read.
	env := environ(append([]string{"AWS_CONFIG_FILE=/no/such/file",
		"AWS_SHARED_CREDENTIALS_FILE=/no/such/file"}, pairs...)...)
	var x helper.Examination
	settings := token.Settings{Source: env.Get("ECR_OIDC_SOURCE"), SourceFrom: "ECR_OIDC_SOURCE",
		HasRole: role, HasWebIdentityRole: role}
	x.Identity, x.Err = token.Identify(env, settings)
	x.Resolved = true
	return x, env
}

// Each hint appears for its condition, and for no other.
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
		explicit = "ECR_OIDC_SOURCE=aws"
	)
	config := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(config, []byte("[profile dev]\n[profile admin]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	profiles := "AWS_CONFIG_FILE=" + config
	none := &exchange.NoCredentialsError{Profile: "default", Ambient: "instance"}
	untrusted := errors.New("tls: failed to verify certificate: x509: certificate signed by " +
		"unknown authority")
	for _, tt := range []struct {
		name   string
		env    []string
		noRole bool
		err    error // of the steps after the identity
		skew   time.Duration
		want   string // names of the hints
		text   string // substring of the last hint's text
	}{
		{name: "GitHub with a token", env: []string{gitHub, url, bearer}},
		{name: "machine"},

		{name: "long-lived key and a token", env: []string{gitHub, url, bearer, long},
			want: "long-lived key", text: "has an OIDC token"},
		{name: "session key and a token", env: []string{gitHub, url, bearer, short}},
		{name: "long-lived key, no role", env: []string{gitHub, long, secret}, noRole: true,
			want: "long-lived key", text: "(AKIA...)"},
		{name: "long-lived key on a machine", env: []string{long, secret}},

		{name: "fork", env: []string{gitHub, fork}, want: "fork", text: "the fork mallory/app"},
		{name: "fork without a role", env: []string{gitHub, fork}, noRole: true, want: "fork"},
		{name: "deleted fork", env: []string{gitHub, pull("null")}, want: "fork",
			text: "the fork that was deleted"},
		{name: "fork with a token", env: []string{gitHub, fork, url, bearer}},
		{name: "fork with a token, no role", env: []string{gitHub, fork, url, bearer},
			noRole: true},
		{name: "pull_request_target",
			env:  []string{gitHub, fork, "GITHUB_EVENT_NAME=pull_request_target"},
			want: "permission"},
		{name: "branch of the same repository",
			env: []string{gitHub, pull(`{"full_name": "acme/app"}`)}, want: "permission"},
		{name: "push", env: []string{gitHub, event(`{"ref": "refs/heads/main"}`)},
			want: "permission"},
		{name: "event with a syntax error", env: []string{gitHub, event(`{"pull_request": `)},
			want: "permission"},
		{name: "event that is not an object", env: []string{gitHub, event(`[]`)},
			want: "permission"},
		{name: "missing event file",
			env: []string{gitHub, "GITHUB_EVENT_PATH=/no/such/file"}, want: "permission"},
		{name: "fork name with control characters", env: []string{gitHub,
			pull(`{"full_name": "x\u001b[2J\n::error::y"}`)}, want: "fork",
			text: "the fork x [2J ::error::y:"},

		{name: "no permission", env: []string{gitHub}, want: "permission", text: "id-token: write"},
		{name: "no permission, no role", env: []string{gitHub}, noRole: true,
			want: "permission"},
		{name: "explicit github on a machine", env: []string{"ECR_OIDC_SOURCE=github"}},
		{name: "Forgejo", env: []string{gitHub, "FORGEJO_ACTIONS=true"}},
		{name: "token, no role", env: []string{gitHub, url, bearer}, noRole: true},

		{name: "fork on CircleCI", env: []string{circle, "CIRCLE_PR_REPONAME=app"}, want: "fork",
			text: "CircleCI"},
		{name: "fork on CircleCI by owner, no role",
			env: []string{circle, "CIRCLE_PR_USERNAME=mallory"}, noRole: true, want: "fork"},
		{name: "fork on CircleCI with a token",
			env: []string{circle, "CIRCLE_PR_REPONAME=app", "CIRCLE_OIDC_TOKEN_V2=x"}},
		{name: "no token on CircleCI", env: []string{circle}},

		{name: "sudo", env: []string{"SUDO_UID=1000"}, want: "sudo"},
		{name: "sudo with the job's variables", env: []string{"SUDO_UID=1000", gitHub, url, bearer}},
		{name: "sudo with an explicit source", env: []string{"SUDO_UID=1000", explicit}},

		{name: "container without credentials", env: []string{"container=podman"}, err: none,
			want: "container", text: "does not have the variables of a CI"},
		{name: "container with credentials", env: []string{"container=podman"}},
		{name: "container, role refused", env: []string{"container=podman"},
			err: &exchange.Error{Code: "AccessDenied"}},
		{name: "container with an explicit source",
			env: []string{"container=podman", explicit}, err: none},
		{name: "container of a CI job", env: []string{"container=podman", gitHub, url, bearer},
			err: none},

		{name: "container with profiles", env: []string{"container=podman", profiles}, err: none,
			want: "profiles", text: "are admin, dev"},
		{name: "machine with profiles", env: []string{profiles}, err: none, want: "profiles"},
		{name: "machine with profiles and credentials", env: []string{profiles}},
		{name: "dev container", env: []string{"container=podman", "REMOTE_CONTAINERS=true"}, err: none,
			want: "profiles", text: "this is a dev container without AWS profiles"},
		{name: "missing profile", env: []string{profiles, explicit},
			err: &exchange.ProfileError{Profile: "amdin", Missing: true}, want: "profiles",
			text: "did you mean admin?"},
		{name: "broken profile", env: []string{profiles}, err: &exchange.ProfileError{Profile: "dev"}},
		{name: "profiles in a CI", env: []string{profiles, gitHub, url, bearer}, err: none},

		{name: "runner in EKS", env: []string{gitHub, url, bearer, irsa},
			want: "runner's identity", text: "AWS_WEB_IDENTITY_TOKEN_FILE"},
		{name: "runner with Pod Identity", env: []string{gitHub, url, bearer, pod},
			want: "runner's identity", text: "AWS_CONTAINER_CREDENTIALS_FULL_URI"},
		{name: "runner with both", env: []string{gitHub, url, bearer, pod, irsa},
			want: "runner's identity", text: "AWS_WEB_IDENTITY_TOKEN_FILE"},
		{name: "pod without a CI", env: []string{irsa, "AWS_ROLE_ARN=x"}},
		{name: "explicit runner's identity",
			env: []string{gitHub, irsa, "ECR_OIDC_SOURCE=file"}},

		{name: "clock skew under two minutes", env: []string{gitHub, url, bearer},
			skew: 119 * time.Second},
		{name: "clock ahead", env: []string{gitHub, url, bearer}, skew: 121 * time.Second,
			want: "clock", text: "2m ahead of"},
		{name: "clock behind", env: []string{gitHub, url, bearer}, skew: -26 * time.Hour,
			want: "clock", text: "26h behind"},

		{name: "untrusted certificate", env: []string{gitHub, url, bearer}, err: untrusted,
			want: "TLS"},
		{name: "untrusted certificate on macOS", env: []string{gitHub, url, bearer},
			err: errors.New("x509: “emulator” certificate is not trusted"), want: "TLS"},
		{name: "untrusted certificate, proxy",
			env: []string{gitHub, url, bearer, "https_proxy=http://user:password@proxy"},
			err: untrusted, want: "TLS", text: "(https_proxy is set)"},
		{name: "untrusted certificate, CA bundle",
			env: []string{gitHub, url, bearer, "AWS_CA_BUNDLE=/x.pem"}, err: untrusted,
			want: "TLS", text: "AWS_CA_BUNDLE is /x.pem"},
		{name: "expired certificate", env: []string{gitHub, url, bearer},
			err: errors.New("x509: certificate has expired or is not yet valid")},
	} {
		x, env := examine(t, !tt.noRole, tt.env...)
		if x.Err == nil {
			x.Err = tt.err
		}
		x.ClockSkew = tt.skew
		var d Diagnosis
		d.addHints(x, env)
		var names []string
		for _, c := range d.Checks {
			names = append(names, c.Name)
			if c.State != Note || c.Text == "" || c.Advice == "" ||
				strings.ContainsAny(c.Text+c.Advice, "\n\x1b") ||
				strings.Contains(c.Text, "password") {
				t.Errorf("%s: %+v", tt.name, c)
			}
			if !strings.Contains(c.Text, tt.text) {
				t.Errorf("%s: text %q does not contain %q", tt.name, c.Text, tt.text)
			}
		}
		if got := strings.Join(names, " "); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A hint replaces the advice of its own checks, and of no others.
func TestHintsReplaceAdvice(t *testing.T) {
	for name, tt := range map[string]struct {
		hint string
		want string // the failed checks that keep their advice
	}{
		"TLS": {"TLS", "role"}, "container": {"container", "role token STS"},
		"sudo": {"sudo", "role token STS credentials"},
	} {
		var d Diagnosis
		for _, check := range []string{"role", "token", "STS", "credentials"} {
			d.add(check, Wrong, "x").Advice = "y"
			d.add(check, Note, "x").Advice = "y"
		}
		for _, detector := range detectors() {
			if detector.name == tt.hint {
				d.removeAdvice(detector.replaces...)
			}
		}
		var left []string
		for _, c := range d.Checks {
			switch {
			case c.State == Note && c.Advice == "":
				t.Errorf("%s removed the advice of the note %s", name, c.Name)
			case c.State == Wrong && c.Advice != "":
				left = append(left, c.Name)
			}
		}
		if got := strings.Join(left, " "); got != tt.want {
			t.Errorf("%s keeps the advice of %q, want %q", name, got, tt.want)
		}
	}
}
