package token

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// outcome is a cell of README's tables.
type identityKind int

const (
	usesToken    identityKind = iota
	usesKeys                  // and nothing else
	usesSDK                   // the SDK's chain
	missingToken              // *MissingError
	missingRole               // *NoRoleError
)

func (o identityKind) String() string {
	return [...]string{"the token", "the keys alone", "the SDK's chain", "no token", "no role"}[o]
}

func identify(t *testing.T, role bool, settings Settings, pairs ...string) (Identity, error) {
	t.Helper()
	settings.HasRole, settings.HasWebIdentityRole = role, role
	return Identify(environ(pairs...), settings)
}

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

// Each CI, with and without its token, a role, and keys: nobody's job ever becomes somebody else.
func TestIdentifyInCI(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // no circleci command
	keys := []string{"AWS_ACCESS_KEY_ID=ASIAJOB", "AWS_SECRET_ACCESS_KEY=secret-of-the-keys-1", "AWS_SESSION_TOKEN=session"}
	pod := []string{"AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/token", "AWS_ROLE_ARN=arn:aws:iam::123456789012:role/pod"}
	cis := []struct {
		name, marker string
		token        []string
	}{
		{"github", "GITHUB_ACTIONS=true", []string{"ACTIONS_ID_TOKEN_REQUEST_URL=https://x", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=0123456789abcdef"}},
		{"circleci", "CIRCLECI=true", []string{"CIRCLE_OIDC_TOKEN_V2=0123456789abcdef"}},
		{"gitlab", "GITLAB_CI=true", []string{"ECR_OIDC_TOKEN=0123456789abcdef"}},
		{"buildkite", "BUILDKITE=true", []string{"BUILDKITE_JOB_ID=j", "BUILDKITE_AGENT_ACCESS_TOKEN=0123456789abcdef"}},
		{"azure", "TF_BUILD=True", []string{"SYSTEM_OIDCREQUESTURI=https://x", "SYSTEM_ACCESSTOKEN=0123456789abcdef"}},
	}
	cells := []struct {
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
		for _, cell := range cells {
			t.Run(ci.name+": "+cell.name, func(t *testing.T) {
				pairs := []string{ci.marker}
				if cell.token {
					pairs = append(pairs, ci.token...)
				}
				if cell.keys {
					pairs = append(pairs, keys...)
				}
				if cell.pod {
					pairs = append(pairs, pod...)
				}
				s, err := identify(t, cell.role, Settings{}, pairs...)
				if got := identityKindOf(t, s, err); got != cell.want {
					t.Fatalf("Identify gives %v, want %v", got, cell.want)
				}
				if want := map[bool]string{true: "aws", false: ci.name}[cell.want == usesKeys]; s.Name != want {
					t.Errorf("the source is called %q, want %q", s.Name, want)
				}
				if !s.CI {
					t.Error("the source is not a CI's")
				}
				var missing *MissingError
				if !errors.As(err, &missing) {
					return
				}
				for variable, there := range map[string]bool{"AWS_ACCESS_KEY_ID": cell.keys, "AWS_WEB_IDENTITY_TOKEN_FILE": cell.pod} {
					if strings.Contains(strings.Join(missing.Ignored, " "), variable) != there {
						t.Errorf("the error names %q as what was not used", missing.Ignored)
					}
				}
			})
		}
	}
}

func TestIdentifyOutsideCI(t *testing.T) {
	pod := []string{"AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/token", "AWS_ROLE_ARN=arn:aws:iam::123456789012:role/pod"}
	keys := []string{"AWS_ACCESS_KEY_ID=AKIA", "AWS_SECRET_ACCESS_KEY=0123456789abcdef"}
	tests := []struct {
		name     string
		role     bool
		settings Settings
		env      []string
		want     identityKind
	}{
		{"machine", false, Settings{}, nil, usesSDK},
		{"machine with a role", true, Settings{}, nil, usesSDK},
		{"machine with keys", false, Settings{}, keys, usesSDK},
		{"machine with a profile", false, Settings{Profile: "dev"}, nil, usesSDK},
		{"pod", true, Settings{}, pod, usesToken},
		{"pod with keys", true, Settings{}, append(keys, pod...), usesToken},
		{"aws chosen in a CI", true, Settings{Source: "aws"}, []string{"GITHUB_ACTIONS=true"}, usesSDK},
		{"aws chosen in a CI, keys, no role", false, Settings{Source: "aws"}, append(keys, "GITHUB_ACTIONS=true"), usesSDK},
		{"file chosen in a CI", true, Settings{Source: "file"}, append(pod, "GITHUB_ACTIONS=true"), usesToken},
		{"file chosen without one", true, Settings{Source: "file"}, nil, missingToken},
		{"a source chosen is never the keys", false, Settings{Source: "github"}, append(keys, "GITHUB_ACTIONS=true", "ACTIONS_ID_TOKEN_REQUEST_URL=https://x", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=x"), missingRole},
		{"a source chosen whose token is missing", true, Settings{Source: "buildkite"}, append(keys, "GITHUB_ACTIONS=true"), missingToken},
		{"a token of the user's in a CI", true, Settings{}, append(keys, "CIRCLECI=true", "ECR_OIDC_TOKEN=0123456789abcdef"), usesToken},
		{"a token of the user's in a CI, keys, no role", false, Settings{}, append(keys, "CIRCLECI=true", "ECR_OIDC_TOKEN=0123456789abcdef"), usesKeys},
		{"a token of the user's, no role", false, Settings{}, []string{"ECR_OIDC_TOKEN=0123456789abcdef"}, missingRole},
		{"a token of the user's and keys on a machine, no role", false, Settings{}, append(keys, "ECR_OIDC_TOKEN=0123456789abcdef"), missingRole},
		{"env chosen, no token", true, Settings{Source: "env"}, nil, missingToken},
		{"GitLab's conventional variable", true, Settings{}, []string{"GITLAB_CI=true", "STS_AMAZONAWS_COM_ID_TOKEN=0123456789abcdef"}, usesToken},
		{"that variable elsewhere", true, Settings{Source: "env"}, []string{"STS_AMAZONAWS_COM_ID_TOKEN=0123456789abcdef"}, missingToken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := identify(t, tt.role, tt.settings, tt.env...)
			if got := identityKindOf(t, s, err); got != tt.want {
				t.Errorf("Identify gives %v (%v), want %v", got, err, tt.want)
			}
		})
	}
}

// An error says of the one variable that a person has to look at whether it is missing or empty.
func TestIdentifyErrorNamesVariable(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	tests := []struct {
		name     string
		settings Settings
		env      []string
		want     string
	}{
		{"GitHub, no permission", Settings{}, []string{"GITHUB_ACTIONS=true"}, "finding the GitHub job's OIDC token: ACTIONS_ID_TOKEN_REQUEST_URL is not set"},
		{"GitHub, emptied", Settings{}, []string{"GITHUB_ACTIONS=true", "ACTIONS_ID_TOKEN_REQUEST_URL="}, "finding the GitHub job's OIDC token: ACTIONS_ID_TOKEN_REQUEST_URL is set but empty"},
		{"GitHub, half", Settings{}, []string{"ACTIONS_ID_TOKEN_REQUEST_URL=https://x", "ACTIONS_ID_TOKEN_REQUEST_TOKEN= "}, "finding the GitHub job's OIDC token: ACTIONS_ID_TOKEN_REQUEST_TOKEN is set but empty"},
		{"CircleCI", Settings{}, []string{"CIRCLECI=true"}, "finding the CircleCI job's OIDC token: CIRCLE_OIDC_TOKEN_V2 is not set"},
		{"CircleCI, emptied, and the old one there", Settings{}, []string{"CIRCLECI=true", "CIRCLE_OIDC_TOKEN_V2=", "CIRCLE_OIDC_TOKEN=x"}, "finding the CircleCI job's OIDC token: CIRCLE_OIDC_TOKEN_V2 is set but empty"},
		{"CircleCI server, emptied", Settings{}, []string{"CIRCLECI=true", "CIRCLE_OIDC_TOKEN="}, "finding the CircleCI job's OIDC token: CIRCLE_OIDC_TOKEN is set but empty"},
		{"GitLab", Settings{}, []string{"GITLAB_CI=true"}, "finding the GitLab job's OIDC token: ECR_OIDC_TOKEN is not set"},
		{"GitLab, emptied", Settings{}, []string{"GITLAB_CI=true", "ECR_OIDC_TOKEN="}, "finding the GitLab job's OIDC token: ECR_OIDC_TOKEN is set but empty"},
		{"Buildkite", Settings{}, []string{"BUILDKITE=true"}, "finding the Buildkite job's OIDC token: BUILDKITE_JOB_ID is not set"},
		{"Buildkite, half", Settings{}, []string{"BUILDKITE=true", "BUILDKITE_JOB_ID=j", "BUILDKITE_AGENT_ACCESS_TOKEN="}, "finding the Buildkite job's OIDC token: BUILDKITE_AGENT_ACCESS_TOKEN is set but empty"},
		{"file", Settings{Source: "file"}, []string{"ECR_OIDC_TOKEN_FILE="}, "finding the OIDC token: ECR_OIDC_TOKEN_FILE is set but empty"},
		{"env", Settings{Source: "env"}, nil, "finding the OIDC token: ECR_OIDC_TOKEN is not set"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := identify(t, true, tt.settings, tt.env...); err == nil || err.Error() != tt.want {
				t.Errorf("with a role: %v, want %s", err, tt.want)
			}
			_, err := identify(t, false, tt.settings, tt.env...)
			_, why, _ := strings.Cut(tt.want, "token: ")
			if want := "finding an identity: no role is configured, and there is no token (" + why + ")"; err == nil || err.Error() != want {
				t.Errorf("without a role: %v, want %s", err, want)
			}
		})
	}
	if _, err := identify(t, false, Settings{}, "GITLAB_CI=true", "ECR_OIDC_TOKEN=x"); err == nil || err.Error() != "finding an identity: no role is configured" {
		t.Errorf("with a token and without a role: %v", err)
	}
}

// What seals a job's cache is known to this job alone, and long enough to be a key.
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
		want     string // "" is none
	}{
		{"github: the request token", true, Settings{}, []string{"ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + s16, "ACTIONS_ID_TOKEN_REQUEST_URL=https://" + other, "AWS_SECRET_ACCESS_KEY=" + other}, s16},
		{"github: too short", true, Settings{}, []string{"ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + s15, "ACTIONS_ID_TOKEN_REQUEST_URL=https://" + other}, ""},
		{"github: none, and no other's", true, Settings{}, []string{"GITHUB_ACTIONS=true", "AWS_ACCESS_KEY_ID=AKIA", "AWS_SECRET_ACCESS_KEY=" + other}, ""},
		{"github: it stays when no role is set", false, Settings{}, []string{"GITHUB_ACTIONS=true", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + s16}, s16},
		{"circleci: the variable", true, Settings{}, []string{"CIRCLECI=true", "CIRCLE_OIDC_TOKEN_V2=" + s16, "CIRCLE_OIDC_TOKEN=" + other}, s16},
		{"circleci: the old variable", true, Settings{}, []string{"CIRCLECI=true", "CIRCLE_OIDC_TOKEN=" + s16}, s16},
		{"circleci: empty, and a minted one is none", true, Settings{}, []string{"CIRCLECI=true", "CIRCLE_OIDC_TOKEN_V2="}, ""},
		{"gitlab: the variable", true, Settings{}, []string{"GITLAB_CI=true", "ECR_OIDC_TOKEN=" + s16, "STS_AMAZONAWS_COM_ID_TOKEN=" + other}, s16},
		{"gitlab: the other variable", true, Settings{}, []string{"GITLAB_CI=true", "STS_AMAZONAWS_COM_ID_TOKEN=" + s16}, s16},
		{"env: the variable", true, Settings{}, []string{"ECR_OIDC_TOKEN=" + s16}, s16},
		{"env: too short", true, Settings{}, []string{"ECR_OIDC_TOKEN=" + s15}, ""},
		{"buildkite: the job's token", true, Settings{}, []string{"BUILDKITE=true", "BUILDKITE_JOB_ID=job", "BUILDKITE_AGENT_ACCESS_TOKEN=bkaj_" + s16}, "bkaj_" + s16},
		{"buildkite: too short, whatever the job's id is", true, Settings{}, []string{"BUILDKITE=true", "BUILDKITE_JOB_ID=" + other, "BUILDKITE_AGENT_ACCESS_TOKEN=bkaj_1"}, ""},
		{"buildkite: the agent's token, which other jobs have", true, Settings{}, []string{"BUILDKITE=true", "BUILDKITE_JOB_ID=job", "BUILDKITE_AGENT_ACCESS_TOKEN=bkaa_" + s16}, ""},
		{"buildkite: a token without a prefix", true, Settings{}, []string{"BUILDKITE=true", "BUILDKITE_JOB_ID=job", "BUILDKITE_AGENT_ACCESS_TOKEN=" + s16}, ""},
		{"buildkite: a job's token without its id, for stored logins", true, Settings{},
			[]string{"BUILDKITE=true", "BUILDKITE_AGENT_ACCESS_TOKEN=bkaj_" + s16}, "bkaj_" + s16},
		{"azure: the job's access token", true, Settings{},
			[]string{"TF_BUILD=True", "SYSTEM_OIDCREQUESTURI=https://x", "SYSTEM_ACCESSTOKEN=" + s16}, s16},
		{"azure: too short", true, Settings{},
			[]string{"TF_BUILD=True", "SYSTEM_OIDCREQUESTURI=https://" + other, "SYSTEM_ACCESSTOKEN=" + s15}, ""},
		{"file: its token", true, Settings{TokenFile: file}, []string{"ECR_OIDC_TOKEN_FILE=" + other}, s16},
		{"file: it cannot be read", true, Settings{TokenFile: file + "-none"}, nil, ""},
		{"a CI's keys, no role: the CI's secret first", false, Settings{}, []string{"GITHUB_ACTIONS=true", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + s16, "AWS_ACCESS_KEY_ID=A", "AWS_SECRET_ACCESS_KEY=" + other}, s16},
		{"a CI's keys, no role, no token: the keys'", false, Settings{}, []string{"GITHUB_ACTIONS=true", "AWS_ACCESS_KEY_ID=A", "AWS_SECRET_ACCESS_KEY=" + s16}, s16},
		{"aws: the keys'", false, Settings{}, []string{"AWS_ACCESS_KEY_ID=A", "AWS_SECRET_ACCESS_KEY=" + s16}, s16},
		{"aws: AWS_PROFILE does not go before them", false, Settings{}, []string{"AWS_PROFILE=p", "AWS_ACCESS_KEY_ID=A", "AWS_SECRET_ACCESS_KEY=" + s16}, s16},
		{"aws: ECR_OIDC_PROFILE does", false, Settings{Profile: "p"}, []string{"AWS_ACCESS_KEY_ID=A", "AWS_SECRET_ACCESS_KEY=" + s16}, ""},
		{"aws: too short", false, Settings{}, []string{"AWS_ACCESS_KEY_ID=A", "AWS_SECRET_ACCESS_KEY=" + s15}, ""},
		{"aws: no key id", false, Settings{}, []string{"AWS_SECRET_ACCESS_KEY=" + s16}, ""},
		{"aws: the keys' second names", false, Settings{}, []string{"AWS_ACCESS_KEY=A", "AWS_SECRET_KEY=" + s16}, s16},
		{"aws: a container's token", false, Settings{Profile: "p"}, []string{"AWS_CONTAINER_AUTHORIZATION_TOKEN=" + s16}, s16},
		{"aws: a container's token in a file", false, Settings{}, []string{"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=" + file}, s16},
		{"aws: a web identity's token", true, Settings{Source: "aws"}, []string{"AWS_WEB_IDENTITY_TOKEN_FILE=" + file, "AWS_ROLE_ARN=r"}, s16},
		{"aws: nothing", false, Settings{}, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := identify(t, tt.role, tt.settings, tt.env...)
			if string(s.Secret) != tt.want || s.Secret != nil && tt.want == "" {
				t.Errorf("Secret = %q, want %q", s.Secret, tt.want)
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
		{"GitLab's second variable", Settings{}, []string{"GITLAB_CI=true", "ECR_OIDC_TOKEN=", "STS_AMAZONAWS_COM_ID_TOKEN=" + raw}},
		{"file", Settings{TokenFile: path}, nil},
		{"a pod's file", Settings{}, []string{"AWS_ROLE_ARN=r", "AWS_WEB_IDENTITY_TOKEN_FILE=" + path}},
		{"our file before the pod's", Settings{TokenFile: path}, []string{"AWS_ROLE_ARN=r", "AWS_WEB_IDENTITY_TOKEN_FILE=/none"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, audience := range []string{"", "sts.amazonaws.com"} { // it has expired, and STS is to say so, not we
				if got, err := get(audience, tt.settings, tt.env...); err != nil || got.Raw != raw {
					t.Errorf("for audience %q: %v, %v", audience, got, err)
				}
			}
			var wrong *AudienceError
			if _, err := get("other", tt.settings, tt.env...); !errors.As(err, &wrong) || wrong.Want != "other" || len(wrong.Got) != 1 || wrong.Got[0] != "sts.amazonaws.com" {
				t.Errorf("for another audience: %v", err)
			}
		})
	}

	// A source has one token, which is the one that seals its cache, also when the file is replaced meanwhile.
	s, _ := identify(t, true, Settings{TokenFile: path})
	if err := os.WriteFile(path, []byte(jwtFor("next", 0)), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Token(context.Background(), nil, ""); err != nil || got.Raw != raw || string(s.Secret) != raw {
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
		{"5 MB", write("long", strings.Repeat("hunter2", 5<<20/7)), "it is longer than the 20000 characters that STS accepts (from "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := identify(t, true, Settings{TokenFile: tt.path})
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Token(context.Background(), nil, "")
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// Only what can be asked again can be renewed.
func TestSourceRenewable(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, tt := range []struct {
		env      []string
		settings Settings
		want     bool
	}{
		{[]string{"ACTIONS_ID_TOKEN_REQUEST_URL=https://x", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=x"}, Settings{}, true},
		{[]string{"BUILDKITE=true", "BUILDKITE_JOB_ID=j", "BUILDKITE_AGENT_ACCESS_TOKEN=x"}, Settings{}, true},
		{[]string{"TF_BUILD=True", "SYSTEM_OIDCREQUESTURI=https://x", "SYSTEM_ACCESSTOKEN=x"}, Settings{}, true},
		{[]string{"ECR_OIDC_TOKEN=x"}, Settings{}, false},
		{[]string{"GITLAB_CI=true", "ECR_OIDC_TOKEN=x"}, Settings{}, false},
		{nil, Settings{TokenFile: "/t"}, false},
		{nil, Settings{}, false},
	} {
		if s, err := identify(t, true, tt.settings, tt.env...); err != nil || (s.Source.Renew != nil) != tt.want {
			t.Errorf("%q %+v: %v, want %v", tt.env, tt.settings, err, tt.want)
		}
	}
}
