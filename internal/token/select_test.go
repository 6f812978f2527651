package token

import (
	"slices"
	"strings"
	"testing"
)

// selection is the result of selectProvider.
type selection struct {
	Name            string
	CI              bool
	SelectedBy      string
	Explicit        bool
	WebIdentityPair bool
}

// selectionOf calls selectProvider.
func selectionOf(env Env, settings Settings) (selection, error) {
	id, err := selectProvider(env, settings)
	return selection{id.Name, id.CI, id.SelectedBy, id.Explicit, id.WebIdentityPair}, err
}

func TestSelectProvider(t *testing.T) {
	const (
		onCircle = "CIRCLECI=true"
		irsaFile = "AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/token"
		irsaRole = "AWS_ROLE_ARN=arn:aws:iam::123456789012:role/pod"
	)
	tests := []struct {
		name     string
		env      []string
		settings Settings
		want     selection
	}{
		{"GitHub", []string{"GITHUB_ACTIONS=true"}, Settings{},
			selection{Name: "github", CI: true, SelectedBy: "GITHUB_ACTIONS"}},
		{"GitHub's URL alone", []string{"ACTIONS_ID_TOKEN_REQUEST_URL=https://x"}, Settings{},
			selection{Name: "github", CI: true, SelectedBy: "ACTIONS_ID_TOKEN_REQUEST_URL"}},
		{"GitHub's request token alone", []string{"ACTIONS_ID_TOKEN_REQUEST_TOKEN=x"}, Settings{},
			selection{Name: "github", CI: true, SelectedBy: "ACTIONS_ID_TOKEN_REQUEST_TOKEN"}},
		{"GITHUB_ACTIONS with another value", []string{"GITHUB_ACTIONS=1"}, Settings{},
			selection{Name: "aws"}},
		{"CircleCI", []string{onCircle}, Settings{},
			selection{Name: "circleci", CI: true, SelectedBy: "CIRCLECI"}},
		{"GitLab", []string{"GITLAB_CI=true"}, Settings{},
			selection{Name: "gitlab", CI: true, SelectedBy: "GITLAB_CI"}},
		{"Buildkite", []string{"BUILDKITE=true"}, Settings{},
			selection{Name: "buildkite", CI: true, SelectedBy: "BUILDKITE"}},
		{"Azure Pipelines", []string{"TF_BUILD=True"}, Settings{},
			selection{Name: "azure", CI: true, SelectedBy: "TF_BUILD"}},

		{"GitHub before all others",
			[]string{"GITHUB_ACTIONS=true", onCircle, "GITLAB_CI=true", "BUILDKITE=true",
				irsaFile, irsaRole}, Settings{},
			selection{Name: "github", CI: true, SelectedBy: "GITHUB_ACTIONS"}},
		{"CircleCI before GitLab", []string{onCircle, "GITLAB_CI=true", "BUILDKITE=true"},
			Settings{},
			selection{Name: "circleci", CI: true, SelectedBy: "CIRCLECI"}},
		{"GitLab before Buildkite", []string{"GITLAB_CI=true", "BUILDKITE=true"}, Settings{},
			selection{Name: "gitlab", CI: true, SelectedBy: "GITLAB_CI"}},
		{"CI without a token, on a runner in EKS",
			[]string{onCircle, irsaFile, irsaRole, "AWS_ACCESS_KEY_ID=AKIA"}, Settings{},
			selection{Name: "circleci", CI: true, SelectedBy: "CIRCLECI"}},

		{"nothing", nil, Settings{}, selection{Name: "aws"}},
		{"empty variables",
			[]string{"GITHUB_ACTIONS=", "ACTIONS_ID_TOKEN_REQUEST_URL=", "CIRCLECI= ",
				"GITLAB_CI=", "BUILDKITE="}, Settings{}, selection{Name: "aws"}},
		{"variables set to false", []string{"CIRCLECI=false", "GITLAB_CI=False"}, Settings{},
			selection{Name: "aws"}},
		{"a pod", []string{irsaFile, irsaRole}, Settings{},
			selection{Name: "file", SelectedBy: "AWS_WEB_IDENTITY_TOKEN_FILE",
				WebIdentityPair: true}},
		{"source file in a pod", []string{irsaFile, onCircle}, Settings{Source: "file"},
			selection{Name: "file", CI: true, SelectedBy: "ECR_OIDC_SOURCE", Explicit: true,
				WebIdentityPair: true}},
		{"another file in a pod", []string{irsaFile, irsaRole}, Settings{TokenFile: "/t"},
			selection{Name: "file", SelectedBy: "ECR_OIDC_TOKEN_FILE"}},
		{"account-specific source with ECR_OIDC_TOKEN", []string{"ECR_OIDC_TOKEN=x"},
			Settings{Source: "aws", AccountSpecific: true},
			selection{Name: "aws", SelectedBy: "ECR_OIDC_SOURCE", Explicit: true}},
		{"pod without a role", []string{irsaFile}, Settings{}, selection{Name: "aws"}},
		{"pod without a file", []string{irsaRole}, Settings{}, selection{Name: "aws"}},
		{"pod with an empty file variable", []string{"AWS_WEB_IDENTITY_TOKEN_FILE=", irsaRole},
			Settings{}, selection{Name: "aws"}},
		{"keys", []string{"AWS_ACCESS_KEY_ID=AKIA"}, Settings{}, selection{Name: "aws"}},

		{"a token outside a CI", []string{"ECR_OIDC_TOKEN=x"}, Settings{},
			selection{Name: "env", SelectedBy: "ECR_OIDC_TOKEN"}},
		{"a token in a CI", []string{"ECR_OIDC_TOKEN=x", onCircle}, Settings{},
			selection{Name: "env", CI: true, SelectedBy: "ECR_OIDC_TOKEN"}},
		{"a token in GitLab", []string{"ECR_OIDC_TOKEN=x", "GITLAB_CI=true"}, Settings{},
			selection{Name: "gitlab", CI: true, SelectedBy: "ECR_OIDC_TOKEN"}},
		{"an empty token", []string{"ECR_OIDC_TOKEN=", onCircle}, Settings{},
			selection{Name: "circleci", CI: true, SelectedBy: "CIRCLECI"}},
		{"a token file", nil, Settings{TokenFile: "/t"},
			selection{Name: "file", SelectedBy: "ECR_OIDC_TOKEN_FILE"}},
		{"a token file in a CI", []string{"GITHUB_ACTIONS=true"}, Settings{TokenFile: "/t"},
			selection{Name: "file", CI: true, SelectedBy: "ECR_OIDC_TOKEN_FILE"}},

		{"auto", []string{onCircle}, Settings{Source: "auto"},
			selection{Name: "circleci", CI: true, SelectedBy: "CIRCLECI"}},
		{"auto and a token", []string{"ECR_OIDC_TOKEN=x"}, Settings{Source: "auto"},
			selection{Name: "env", SelectedBy: "ECR_OIDC_TOKEN"}},
		{"aws in a CI", []string{"GITHUB_ACTIONS=true"}, Settings{Source: "aws"},
			selection{Name: "aws", CI: true, SelectedBy: "ECR_OIDC_SOURCE", Explicit: true}},
		{"aws outside a CI", nil, Settings{Source: "aws"},
			selection{Name: "aws", SelectedBy: "ECR_OIDC_SOURCE", Explicit: true}},
		{"another CI than the detected one", []string{"GITHUB_ACTIONS=true"},
			Settings{Source: "buildkite"},
			selection{Name: "buildkite", CI: true, SelectedBy: "ECR_OIDC_SOURCE", Explicit: true}},
		{"file with a file", nil, Settings{Source: "file", TokenFile: "/t"},
			selection{Name: "file", SelectedBy: "ECR_OIDC_SOURCE", Explicit: true}},
		{"env with a token", []string{"ECR_OIDC_TOKEN=x"}, Settings{Source: "env"},
			selection{Name: "env", SelectedBy: "ECR_OIDC_SOURCE", Explicit: true}},
		{"gitlab with a token", []string{"ECR_OIDC_TOKEN=x"}, Settings{Source: "gitlab"},
			selection{Name: "gitlab", SelectedBy: "ECR_OIDC_SOURCE", Explicit: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.settings.SourceFrom = "ECR_OIDC_SOURCE"
			tt.settings.TokenFileFrom = "ECR_OIDC_TOKEN_FILE"
			got, err := selectionOf(environ(tt.env...), tt.settings)
			if err != nil || got != tt.want {
				t.Errorf("selectProvider = %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

// TestSelectProviderConflicts checks that contradicting settings are an error that names both.
func TestSelectProviderConflicts(t *testing.T) {
	tests := []struct {
		name     string
		env      []string
		settings Settings
		want     []string
	}{
		{"unknown source", nil, Settings{Source: "github-actions"},
			append([]string{`ECR_OIDC_SOURCE is "github-actions"; allowed values are`}, Sources()...)},
		{"upper case", nil, Settings{Source: "AWS"},
			[]string{`ECR_OIDC_SOURCE is "AWS"; allowed values are`}},
		{"a source and a token", []string{"ECR_OIDC_TOKEN=x"}, Settings{Source: "github"},
			[]string{"ECR_OIDC_SOURCE=github", "conflicts with ECR_OIDC_TOKEN; remove one of them"}},
		{"aws and a token", []string{"ECR_OIDC_TOKEN=x"}, Settings{Source: "aws"},
			[]string{"ECR_OIDC_SOURCE=aws", "conflicts with ECR_OIDC_TOKEN; remove one of them"}},
		{"file and a token", []string{"ECR_OIDC_TOKEN=x"}, Settings{Source: "file"},
			[]string{"ECR_OIDC_SOURCE=file", "conflicts with ECR_OIDC_TOKEN; remove one of them"}},
		{"a source and a token file", nil, Settings{Source: "circleci", TokenFile: "/t"},
			[]string{"ECR_OIDC_SOURCE=circleci", "conflicts with ECR_OIDC_TOKEN_FILE; remove one of them"}},
		{"env and a token file", nil, Settings{Source: "env", TokenFile: "/t"},
			[]string{"ECR_OIDC_SOURCE=env", "conflicts with ECR_OIDC_TOKEN_FILE; remove one of them"}},
		{"a token and a token file", []string{"ECR_OIDC_TOKEN=x"}, Settings{TokenFile: "/t"},
			[]string{"ECR_OIDC_TOKEN and ECR_OIDC_TOKEN_FILE are both set"}},
		{"a token and a token file with auto", []string{"ECR_OIDC_TOKEN=x"},
			Settings{Source: "auto", TokenFile: "/t"},
			[]string{"ECR_OIDC_TOKEN and ECR_OIDC_TOKEN_FILE are both set"}},
		{"a token and a token file with a source", []string{"ECR_OIDC_TOKEN=x"},
			Settings{Source: "env", TokenFile: "/t"}, []string{"ECR_OIDC_TOKEN_FILE"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.settings.SourceFrom = "ECR_OIDC_SOURCE"
			tt.settings.TokenFileFrom = "ECR_OIDC_TOKEN_FILE"
			_, err := Identify(environ(tt.env...), tt.settings)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Identify: %v, want %q in it", err, want)
				}
			}
		})
	}
}

func TestEnv(t *testing.T) {
	env := environ("FULL= a value\n", "EMPTY=", "BLANK= \t")
	for _, tt := range []struct{ name, value, missing string }{
		{"FULL", "a value", "FULL is set but empty"},
		{"EMPTY", "", "EMPTY is set but empty"},
		{"BLANK", "", "BLANK is set but empty"},
		{"NONE", "", "NONE is not set"},
	} {
		if got := env.Get(tt.name); got != tt.value {
			t.Errorf("Get(%s) = %q, want %q", tt.name, got, tt.value)
		}
		if got := env.DescribeMissing(tt.name); got != tt.missing {
			t.Errorf("DescribeMissing(%s) = %q, want %q", tt.name, got, tt.missing)
		}
	}
}

// TestSecrets checks that Secrets has every variable that contains a token or a key, and no public
// variable.
func TestSecrets(t *testing.T) {
	secret := []string{
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN", "CIRCLE_OIDC_TOKEN", "CIRCLE_OIDC_TOKEN_V2",
		"ECR_OIDC_TOKEN", "STS_AMAZONAWS_COM_ID_TOKEN",
		"BUILDKITE_AGENT_ACCESS_TOKEN", "SYSTEM_ACCESSTOKEN", "AWS_SECRET_ACCESS_KEY",
		"AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
	}
	pairs := []string{"AWS_ACCESS_KEY_ID=AKIAPUBLIC", "ECR_OIDC_ROLE=public",
		"GITHUB_REPOSITORY=public"}
	for _, name := range secret {
		pairs = append(pairs, name+"=secret of "+name)
	}
	got := environ(pairs...).Secrets()
	if n := len(slices.Compact(slices.Sorted(slices.Values(got)))); n != len(secret) {
		t.Errorf("Secrets = %q, want %d different ones", got, len(secret))
	}
	for _, name := range secret {
		if !strings.Contains(strings.Join(got, "\n"), "secret of "+name) {
			t.Errorf("Secrets does not contain %s", name)
		}
	}
	// The passwords of proxies and endpoints, as written and decoded.
	got = environ("HTTPS_PROXY=http://user:proxy%25word@proxy:3128",
		"http_proxy=user:another%word@proxy",
		"AWS_ENDPOINT_URL_SSO_OIDC=https://svc:S3cr3t/P@ss@host/x",
		"AWS_ENDPOINT_URL=https://host:8443/x",
		"NO_PROXY=u:password@host").Secrets()
	slices.Sort(got)
	want := []string{"S3cr3t/P@ss", "another%word", "proxy%25word", "proxy%word"}
	if !slices.Equal(got, want) {
		t.Errorf("Secrets of URLs = %q, want %q", got, want)
	}
	if got := environ("ECR_OIDC_TOKEN=", "AWS_SECRET_ACCESS_KEY= ").Secrets(); got != nil {
		t.Errorf("Secrets of empty variables = %q", got)
	}
}

// TestIgnored checks that Ignored has the variables that are set and not used, and no variable that
// is used.
func TestIgnored(t *testing.T) {
	keys := []string{"AWS_ACCESS_KEY_ID=AKIA", "AWS_PROFILE=dev", "AWS_WEB_IDENTITY_TOKEN_FILE=/t",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://x"}
	const identities = "AWS_ACCESS_KEY_ID AWS_PROFILE AWS_CONTAINER_CREDENTIALS_FULL_URI " +
		"AWS_WEB_IDENTITY_TOKEN_FILE"
	for _, tt := range []struct {
		name     string
		env      []string
		settings Settings
		want     string
	}{
		{"nothing", nil, Settings{}, ""},
		{"GitHub and nothing else",
			[]string{"GITHUB_ACTIONS=true", "ACTIONS_ID_TOKEN_REQUEST_URL=x",
				"ACTIONS_ID_TOKEN_REQUEST_TOKEN=x"}, Settings{}, ""},
		{"GitHub on a runner in EKS", append([]string{"GITHUB_ACTIONS=true"}, keys...), Settings{},
			identities},
		{"GitHub inside CircleCI",
			[]string{"GITHUB_ACTIONS=true", "CIRCLECI=true", "GITLAB_CI=false", "BUILDKITE= "},
			Settings{}, "CIRCLECI"},
		{"CircleCI, and a shell's GITHUB_ACTIONS", []string{"CIRCLECI=true", "GITHUB_ACTIONS=1"},
			Settings{}, ""},
		{"a token in CircleCI", []string{"CIRCLECI=true", "ECR_OIDC_TOKEN=x"}, Settings{},
			"CIRCLECI"},
		{"a token in GitLab", []string{"GITLAB_CI=true", "ECR_OIDC_TOKEN=x"}, Settings{}, ""},
		{"account-specific source and a token", []string{"GITHUB_ACTIONS=true", "ECR_OIDC_TOKEN=x"},
			Settings{Source: "github", SourceFrom: "ecr-oidc.yaml:3", AccountSpecific: true},
			"ECR_OIDC_TOKEN"},
		{"aws in GitHub", append([]string{"GITHUB_ACTIONS=true"}, keys...),
			Settings{Source: "aws", SourceFrom: "ECR_OIDC_SOURCE"}, "GITHUB_ACTIONS"},
		{"keys and profile outside a CI", keys[:2], Settings{}, ""},
		{"a pod", append([]string{"AWS_ROLE_ARN=x"}, keys...), Settings{},
			"AWS_ACCESS_KEY_ID AWS_PROFILE AWS_CONTAINER_CREDENTIALS_FULL_URI"},
		{"another file in a pod", append([]string{"AWS_ROLE_ARN=x"}, keys...),
			Settings{TokenFile: "/other", TokenFileFrom: "ECR_OIDC_TOKEN_FILE"}, identities},
		{"empty", []string{"GITHUB_ACTIONS=true", "AWS_ACCESS_KEY_ID=", "AWS_PROFILE= "},
			Settings{}, ""},
	} {
		env := environ(tt.env...)
		tt.settings.HasRole, tt.settings.HasWebIdentityRole = true, true
		id, _ := Identify(env, tt.settings)
		if got := strings.Join(id.Ignored(), " "); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	// In a CI without a role, neither the CI nor the keys are ignored.
	id, err := Identify(environ("GITHUB_ACTIONS=true", "AWS_ACCESS_KEY_ID=AKIA", "AWS_PROFILE=dev",
		"CIRCLECI=true"), Settings{})
	if got := strings.Join(id.Ignored(), " "); err != nil || !id.KeysOnly ||
		got != "CIRCLECI AWS_PROFILE" {
		t.Errorf("keys alone: %q, %v", got, err)
	}
}
