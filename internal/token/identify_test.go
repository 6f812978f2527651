package token

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// identityKind is the result of Identify, as in README's tables.
type identityKind int

const (
	usesToken    identityKind = iota
	usesKeys                  // the access keys in the environment only
	usesSDK                   // the SDK's default chain
	missingToken              // *MissingError
	missingRole               // *NoRoleError
)

func (o identityKind) String() string {
	return [...]string{"the token", "the keys alone", "the SDK's chain", "no token", "no role"}[o]
}

// identify calls Identify with these variables. role is whether a role is configured.
func identify(t *testing.T, role bool, settings Settings, pairs ...string) (Identity, error) {
	t.Helper()
	settings.HasRole, settings.HasWebIdentityRole = role, role
	return Identify(environ(pairs...), settings)
}

// identityKindOf returns the kind of a result of Identify.
func identityKindOf(t *testing.T, s Identity, err error) identityKind {
	t.Helper()
	var missing *MissingError
	var role *NoRoleError
	switch {
	case errors.As(err, &missing):
		return missingToken
	case errors.As(err, &role):
		return missingRole
	case err != nil:
		t.Fatalf("Identify: %v", err)
	case s.OIDC():
		return usesToken
	case s.KeysOnly:
		return usesKeys
	}
	return usesSDK
}

// TestIdentifyInCI checks each CI with and without a token, a role, access keys and a pod's
// identity. A job must never use another identity than its own.
func TestIdentifyInCI(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // no circleci command
	keys := []string{"AWS_ACCESS_KEY_ID=ASIAJOB", "AWS_SECRET_ACCESS_KEY=secret-of-the-keys-1",
		"AWS_SESSION_TOKEN=session"}
	pod := []string{"AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/token",
		"AWS_ROLE_ARN=arn:aws:iam::123456789012:role/pod"}
	cis := []struct {
		name, marker string
		token        []string
	}{
		{"github", "GITHUB_ACTIONS=true",
			[]string{"ACTIONS_ID_TOKEN_REQUEST_URL=https://x",
				"ACTIONS_ID_TOKEN_REQUEST_TOKEN=0123456789abcdef"}},
		{"circleci", "CIRCLECI=true", []string{"CIRCLE_OIDC_TOKEN_V2=0123456789abcdef"}},
		{"gitlab", "GITLAB_CI=true", []string{"ECR_OIDC_TOKEN=0123456789abcdef"}},
		{"buildkite", "BUILDKITE=true",
			[]string{"BUILDKITE_JOB_ID=j", "BUILDKITE_AGENT_ACCESS_TOKEN=0123456789abcdef"}},
		{"azure", "TF_BUILD=True",
			[]string{"SYSTEM_OIDCREQUESTURI=https://x", "SYSTEM_ACCESSTOKEN=0123456789abcdef"}},
	}
	cases := []struct {
		name                   string
		role, token, keys, pod bool
		want                   identityKind
	}{
		{"role, token", true, true, false, false, usesToken},
		{"role, token, keys", true, true, true, false, usesToken},
		{"role, token, keys, pod", true, true, true, true, usesToken},
		{"role", true, false, false, false, missingToken},
		{"role, keys", true, false, true, false, missingToken},
		{"role, pod", true, false, false, true, missingToken},
		{"token, keys", false, true, true, false, usesKeys},
		{"keys", false, false, true, false, usesKeys},
		{"keys, pod", false, false, true, true, usesKeys},
		{"token", false, true, false, false, missingRole},
		{"token, pod", false, true, false, true, missingRole},
		{"nothing", false, false, false, false, missingRole},
		{"pod", false, false, false, true, missingRole},
	}
	for _, ci := range cis {
		for _, tt := range cases {
			t.Run(ci.name+": "+tt.name, func(t *testing.T) {
				pairs := []string{ci.marker}
				if tt.token {
					pairs = append(pairs, ci.token...)
				}
				if tt.keys {
					pairs = append(pairs, keys...)
				}
				if tt.pod {
					pairs = append(pairs, pod...)
				}
				s, err := identify(t, tt.role, Settings{}, pairs...)
				if got := identityKindOf(t, s, err); got != tt.want {
					t.Fatalf("Identify = %v, want %v", got, tt.want)
				}
				want := ci.name
				if tt.want == usesKeys {
					want = "aws"
				}
				if s.Name != want {
					t.Errorf("Name = %q, want %q", s.Name, want)
				}
				if !s.CI {
					t.Error("CI = false")
				}
				var missing *MissingError
				if !errors.As(err, &missing) {
					return
				}
				for variable, set := range map[string]bool{
					"AWS_ACCESS_KEY_ID": tt.keys, "AWS_WEB_IDENTITY_TOKEN_FILE": tt.pod,
				} {
					if slices.Contains(missing.Ignored, variable) != set {
						t.Errorf("Ignored = %q", missing.Ignored)
					}
				}
			})
		}
	}
}

// TestIdentifyOutsideCI checks machines, pods, and sources that the user named.
func TestIdentifyOutsideCI(t *testing.T) {
	pod := []string{"AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/token",
		"AWS_ROLE_ARN=arn:aws:iam::123456789012:role/pod"}
	keys := []string{"AWS_ACCESS_KEY_ID=AKIA", "AWS_SECRET_ACCESS_KEY=0123456789abcdef"}
	tests := []struct {
		name     string
		role     bool
		settings Settings
		env      []string
		want     identityKind
	}{
		{"no CI", false, Settings{}, nil, usesSDK},
		{"role", true, Settings{}, nil, usesSDK},
		{"keys", false, Settings{}, keys, usesSDK},
		{"profile", false, Settings{Profile: "dev"}, nil, usesSDK},
		{"pod", true, Settings{}, pod, usesToken},
		{"pod with keys", true, Settings{}, append(keys, pod...), usesToken},
		{"source aws in a CI", true, Settings{Source: "aws"}, []string{"GITHUB_ACTIONS=true"},
			usesSDK},
		{"source aws in a CI, keys, no role", false, Settings{Source: "aws"},
			append(keys, "GITHUB_ACTIONS=true"), usesSDK},
		{"source file in a CI", true, Settings{Source: "file"}, append(pod, "GITHUB_ACTIONS=true"),
			usesToken},
		{"source file without a file", true, Settings{Source: "file"}, nil, missingToken},
		{"named source is not replaced by keys", false, Settings{Source: "github"},
			append(keys, "GITHUB_ACTIONS=true", "ACTIONS_ID_TOKEN_REQUEST_URL=https://x",
				"ACTIONS_ID_TOKEN_REQUEST_TOKEN=x"), missingRole},
		{"named source without a token", true, Settings{Source: "buildkite"},
			append(keys, "GITHUB_ACTIONS=true"), missingToken},
		{"ECR_OIDC_TOKEN in a CI", true, Settings{},
			append(keys, "CIRCLECI=true", "ECR_OIDC_TOKEN=0123456789abcdef"), usesToken},
		{"ECR_OIDC_TOKEN in a CI, keys, no role", false, Settings{},
			append(keys, "CIRCLECI=true", "ECR_OIDC_TOKEN=0123456789abcdef"), usesKeys},
		{"ECR_OIDC_TOKEN, no role", false, Settings{}, []string{"ECR_OIDC_TOKEN=0123456789abcdef"},
			missingRole},
		{"ECR_OIDC_TOKEN and keys outside a CI, no role", false, Settings{},
			append(keys, "ECR_OIDC_TOKEN=0123456789abcdef"), missingRole},
		{"source env, no token", true, Settings{Source: "env"}, nil, missingToken},
		{"GitLab's conventional variable", true, Settings{},
			[]string{"GITLAB_CI=true", "STS_AMAZONAWS_COM_ID_TOKEN=0123456789abcdef"}, usesToken},
		{"that variable outside GitLab", true, Settings{Source: "env"},
			[]string{"STS_AMAZONAWS_COM_ID_TOKEN=0123456789abcdef"}, missingToken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := identify(t, tt.role, tt.settings, tt.env...)
			if got := identityKindOf(t, s, err); got != tt.want {
				t.Errorf("Identify = %v (%v), want %v", got, err, tt.want)
			}
		})
	}
}

// TestIdentifyErrorNamesVariable checks that the error names the variable to look at, and reports
// whether it is missing or empty.
func TestIdentifyErrorNamesVariable(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	tests := []struct {
		name     string
		settings Settings
		env      []string
		want     string
	}{
		{"GitHub, no permission", Settings{}, []string{"GITHUB_ACTIONS=true"},
			"finding the GitHub job's OIDC token: ACTIONS_ID_TOKEN_REQUEST_URL is not set"},
		{"GitHub, empty", Settings{},
			[]string{"GITHUB_ACTIONS=true", "ACTIONS_ID_TOKEN_REQUEST_URL="},
			"finding the GitHub job's OIDC token: ACTIONS_ID_TOKEN_REQUEST_URL is set but empty"},
		{"GitHub, empty request token", Settings{},
			[]string{"ACTIONS_ID_TOKEN_REQUEST_URL=https://x", "ACTIONS_ID_TOKEN_REQUEST_TOKEN= "},
			"finding the GitHub job's OIDC token: ACTIONS_ID_TOKEN_REQUEST_TOKEN is set but empty"},
		{"CircleCI", Settings{}, []string{"CIRCLECI=true"},
			"finding the CircleCI job's OIDC token: CIRCLE_OIDC_TOKEN_V2 is not set"},
		{"CircleCI, empty V2 with V1", Settings{},
			[]string{"CIRCLECI=true", "CIRCLE_OIDC_TOKEN_V2=", "CIRCLE_OIDC_TOKEN=x"},
			"finding the CircleCI job's OIDC token: CIRCLE_OIDC_TOKEN_V2 is set but empty"},
		{"CircleCI server, empty", Settings{}, []string{"CIRCLECI=true", "CIRCLE_OIDC_TOKEN="},
			"finding the CircleCI job's OIDC token: CIRCLE_OIDC_TOKEN is set but empty"},
		{"GitLab", Settings{}, []string{"GITLAB_CI=true"},
			"finding the GitLab job's OIDC token: ECR_OIDC_TOKEN is not set"},
		{"GitLab, empty", Settings{}, []string{"GITLAB_CI=true", "ECR_OIDC_TOKEN="},
			"finding the GitLab job's OIDC token: ECR_OIDC_TOKEN is set but empty"},
		{"Buildkite", Settings{}, []string{"BUILDKITE=true"},
			"finding the Buildkite job's OIDC token: BUILDKITE_JOB_ID is not set"},
		{"Buildkite, empty token", Settings{},
			[]string{"BUILDKITE=true", "BUILDKITE_JOB_ID=j", "BUILDKITE_AGENT_ACCESS_TOKEN="},
			"finding the Buildkite job's OIDC token: BUILDKITE_AGENT_ACCESS_TOKEN is set but empty"},
		{"file", Settings{Source: "file"}, []string{"ECR_OIDC_TOKEN_FILE="},
			"finding the OIDC token: ECR_OIDC_TOKEN_FILE is set but empty"},
		{"env", Settings{Source: "env"}, nil, "finding the OIDC token: ECR_OIDC_TOKEN is not set"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := identify(t, true, tt.settings, tt.env...); err == nil ||
				err.Error() != tt.want {
				t.Errorf("with a role: %v, want %s", err, tt.want)
			}
			_, err := identify(t, false, tt.settings, tt.env...)
			_, why, _ := strings.Cut(tt.want, "token: ")
			want := "finding an identity: no role is configured, and there is no token (" + why + ")"
			if err == nil || err.Error() != want {
				t.Errorf("without a role: %v, want %s", err, want)
			}
		})
	}
	if _, err := identify(t, false, Settings{}, "GITLAB_CI=true", "ECR_OIDC_TOKEN=x"); err == nil ||
		err.Error() != "finding an identity: no role is configured" {
		t.Errorf("with a token and without a role: %v", err)
	}
}

// TestSecret checks which secret the job's cache is encrypted with. No other job may have it, and
// it must be long enough for a key.
func TestSecret(t *testing.T) {
	const s16, s15 = "0123456789abcdef", "0123456789abcde"
	const other = "another-secret-of-this-job"
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(s16+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name     string
		role     bool
		settings Settings
		env      []string
		want     string // "" for none
	}{
		{"github: the request token", true, Settings{},
			[]string{"ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + s16,
				"ACTIONS_ID_TOKEN_REQUEST_URL=https://" + other,
				"AWS_SECRET_ACCESS_KEY=" + other}, s16},
		{"github: too short", true, Settings{},
			[]string{"ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + s15,
				"ACTIONS_ID_TOKEN_REQUEST_URL=https://" + other}, ""},
		{"github: none, and not the keys'", true, Settings{},
			[]string{"GITHUB_ACTIONS=true", "AWS_ACCESS_KEY_ID=AKIA",
				"AWS_SECRET_ACCESS_KEY=" + other}, ""},
		{"github: without a role", false, Settings{},
			[]string{"GITHUB_ACTIONS=true", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + s16}, s16},
		{"circleci: the variable", true, Settings{},
			[]string{"CIRCLECI=true", "CIRCLE_OIDC_TOKEN_V2=" + s16,
				"CIRCLE_OIDC_TOKEN=" + other}, s16},
		{"circleci: the older variable", true, Settings{},
			[]string{"CIRCLECI=true", "CIRCLE_OIDC_TOKEN=" + s16}, s16},
		{"circleci: empty, not an issued token", true, Settings{},
			[]string{"CIRCLECI=true", "CIRCLE_OIDC_TOKEN_V2="}, ""},
		{"gitlab: the variable", true, Settings{},
			[]string{"GITLAB_CI=true", "ECR_OIDC_TOKEN=" + s16,
				"STS_AMAZONAWS_COM_ID_TOKEN=" + other}, s16},
		{"gitlab: the other variable", true, Settings{},
			[]string{"GITLAB_CI=true", "STS_AMAZONAWS_COM_ID_TOKEN=" + s16}, s16},
		{"env: the variable", true, Settings{}, []string{"ECR_OIDC_TOKEN=" + s16}, s16},
		{"env: too short", true, Settings{}, []string{"ECR_OIDC_TOKEN=" + s15}, ""},
		{"buildkite: a job token", true, Settings{},
			[]string{"BUILDKITE=true", "BUILDKITE_JOB_ID=job",
				"BUILDKITE_AGENT_ACCESS_TOKEN=bkaj_" + s16}, "bkaj_" + s16},
		{"buildkite: too short, and not the job's id", true, Settings{},
			[]string{"BUILDKITE=true", "BUILDKITE_JOB_ID=" + other,
				"BUILDKITE_AGENT_ACCESS_TOKEN=bkaj_1"}, ""},
		{"buildkite: the agent's session token", true, Settings{},
			[]string{"BUILDKITE=true", "BUILDKITE_JOB_ID=job",
				"BUILDKITE_AGENT_ACCESS_TOKEN=bkaa_" + s16}, ""},
		{"buildkite: a token without a prefix", true, Settings{},
			[]string{"BUILDKITE=true", "BUILDKITE_JOB_ID=job",
				"BUILDKITE_AGENT_ACCESS_TOKEN=" + s16}, ""},
		{"buildkite: a job token without the job's id", true, Settings{},
			[]string{"BUILDKITE=true", "BUILDKITE_AGENT_ACCESS_TOKEN=bkaj_" + s16},
			"bkaj_" + s16},
		{"azure: the job's access token", true, Settings{},
			[]string{"TF_BUILD=True", "SYSTEM_OIDCREQUESTURI=https://x",
				"SYSTEM_ACCESSTOKEN=" + s16}, s16},
		{"azure: too short", true, Settings{},
			[]string{"TF_BUILD=True", "SYSTEM_OIDCREQUESTURI=https://" + other,
				"SYSTEM_ACCESSTOKEN=" + s15}, ""},
		{"file: its token", true, Settings{TokenFile: file},
			[]string{"ECR_OIDC_TOKEN_FILE=" + other}, s16},
		{"file: unreadable", true, Settings{TokenFile: file + "-none"}, nil, ""},
		{"keys in a CI, no role: the CI's secret first", false, Settings{},
			[]string{"GITHUB_ACTIONS=true", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + s16,
				"AWS_ACCESS_KEY_ID=A", "AWS_SECRET_ACCESS_KEY=" + other}, s16},
		{"keys in a CI, no role, no token", false, Settings{},
			[]string{"GITHUB_ACTIONS=true", "AWS_ACCESS_KEY_ID=A",
				"AWS_SECRET_ACCESS_KEY=" + s16}, s16},
		{"aws: the keys", false, Settings{},
			[]string{"AWS_ACCESS_KEY_ID=A", "AWS_SECRET_ACCESS_KEY=" + s16}, s16},
		{"aws: AWS_PROFILE does not override the keys", false, Settings{},
			[]string{"AWS_PROFILE=p", "AWS_ACCESS_KEY_ID=A",
				"AWS_SECRET_ACCESS_KEY=" + s16}, s16},
		{"aws: ECR_OIDC_PROFILE overrides the keys", false, Settings{Profile: "p"},
			[]string{"AWS_ACCESS_KEY_ID=A", "AWS_SECRET_ACCESS_KEY=" + s16}, ""},
		{"aws: too short", false, Settings{},
			[]string{"AWS_ACCESS_KEY_ID=A", "AWS_SECRET_ACCESS_KEY=" + s15}, ""},
		{"aws: no key id", false, Settings{}, []string{"AWS_SECRET_ACCESS_KEY=" + s16}, ""},
		{"aws: the keys' alternative variables", false, Settings{},
			[]string{"AWS_ACCESS_KEY=A", "AWS_SECRET_KEY=" + s16}, s16},
		{"aws: a container's token", false, Settings{Profile: "p"},
			[]string{"AWS_CONTAINER_AUTHORIZATION_TOKEN=" + s16}, s16},
		{"aws: a container's token in a file", false, Settings{},
			[]string{"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=" + file}, s16},
		{"aws: a web identity's token", true, Settings{Source: "aws"},
			[]string{"AWS_WEB_IDENTITY_TOKEN_FILE=" + file, "AWS_ROLE_ARN=r"}, s16},
		{"aws: nothing", false, Settings{}, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := identify(t, tt.role, tt.settings, tt.env...)
			if string(s.CacheSecret) != tt.want || s.CacheSecret != nil && tt.want == "" {
				t.Errorf("Secret = %q, want %q", s.CacheSecret, tt.want)
			}
		})
	}
}

func TestTokenFromVariableAndFile(t *testing.T) {
	raw := jwtFor("sts.amazonaws.com", 0)
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("\n"+raw+" \r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	get := func(audience string, settings Settings, pairs ...string) (Token, error) {
		s, err := identify(t, true, settings, pairs...)
		if err != nil {
			t.Fatal(err)
		}
		return s.Token(context.Background(), http.DefaultClient, audience)
	}
	for _, tt := range []struct {
		name     string
		settings Settings
		env      []string
	}{
		{"variable", Settings{}, []string{"ECR_OIDC_TOKEN= " + raw + "\n"}},
		{"GitLab's second variable", Settings{},
			[]string{"GITLAB_CI=true", "ECR_OIDC_TOKEN=", "STS_AMAZONAWS_COM_ID_TOKEN=" + raw}},
		{"file", Settings{TokenFile: path}, nil},
		{"a pod's token file", Settings{},
			[]string{"AWS_ROLE_ARN=r", "AWS_WEB_IDENTITY_TOKEN_FILE=" + path}},
		{"the configured file before the pod's", Settings{TokenFile: path},
			[]string{"AWS_ROLE_ARN=r", "AWS_WEB_IDENTITY_TOKEN_FILE=/none"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// the token has expired, which only STS decides
			for _, audience := range []string{"", "sts.amazonaws.com"} {
				got, err := get(audience, tt.settings, tt.env...)
				if err != nil || got.Raw != raw {
					t.Errorf("for audience %q: %v, %v", audience, got, err)
				}
			}
			var wrong *AudienceError
			if _, err := get("other", tt.settings, tt.env...); !errors.As(err, &wrong) ||
				wrong.Want != "other" || len(wrong.Got) != 1 ||
				wrong.Got[0] != "sts.amazonaws.com" {
				t.Errorf("for another audience: %v", err)
			}
		})
	}

	// A source has one token, and the cache is encrypted with it, even when the file is
	// replaced meanwhile.
	s, _ := identify(t, true, Settings{TokenFile: path})
	if err := os.WriteFile(path, []byte(jwtFor("next", 0)), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Token(context.Background(), nil, ""); err != nil || got.Raw != raw ||
		string(s.CacheSecret) != raw {
		t.Errorf("after the file was replaced: %v, %v", got, err)
	}
}

func TestTokenFileInvalid(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tt := range []struct{ name, path, want string }{
		{"missing", filepath.Join(dir, "none"), filepath.Join(dir, "none")},
		{"a directory", dir, dir},
		{"empty", write("empty", " \n"), "empty is empty"},
		{"not a JWT", write("noise", "hunter2hunter2"), "not a JWT"},
		{"5 MB", write("long", strings.Repeat("hunter2", 5<<20/7)),
			"it is longer than the 20000 characters that STS accepts (from "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := identify(t, true, Settings{TokenFile: tt.path})
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Token(context.Background(), nil, "")
			if err == nil || !strings.Contains(err.Error(), tt.want) ||
				strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// TestSourceRenewable checks which sources can request a new token.
func TestSourceRenewable(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, tt := range []struct {
		env      []string
		settings Settings
		want     bool
	}{
		{[]string{"ACTIONS_ID_TOKEN_REQUEST_URL=https://x", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=x"},
			Settings{}, true},
		{[]string{"BUILDKITE=true", "BUILDKITE_JOB_ID=j", "BUILDKITE_AGENT_ACCESS_TOKEN=x"},
			Settings{}, true},
		{[]string{"TF_BUILD=True", "SYSTEM_OIDCREQUESTURI=https://x", "SYSTEM_ACCESSTOKEN=x"},
			Settings{}, true},
		{[]string{"ECR_OIDC_TOKEN=x"}, Settings{}, false},
		{[]string{"GITLAB_CI=true", "ECR_OIDC_TOKEN=x"}, Settings{}, false},
		{nil, Settings{TokenFile: "/t"}, false},
		{nil, Settings{}, false},
	} {
		if s, err := identify(t, true, tt.settings, tt.env...); err != nil ||
			(s.TokenSource.Renew != nil) != tt.want {
			t.Errorf("%q %+v: %v, want %v", tt.env, tt.settings, err, tt.want)
		}
	}
}
