package config

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

func TestFor(t *testing.T) {
	got, err := resolveForHost(t, host,
		"ECR_OIDC_SOURCE=aws", "ECR_OIDC_PROFILE= dev ", "ECR_OIDC_AUDIENCE=aud",
		"ECR_OIDC_CACHE_DIR=/c", "ECR_OIDC_CACHE=off",
		"ECR_OIDC_SESSION_DURATION=900", "ECR_OIDC_SESSION_NAME=me", "AWS_PROFILE=another")
	if err != nil {
		t.Fatal(err)
	}
	want := token.Settings{
		Source: "aws", SourceFrom: "ECR_OIDC_SOURCE",
		Profile: "dev", ProfileFrom: "ECR_OIDC_PROFILE",
	}
	if got.Identity != want {
		t.Errorf("identity %+v, want %+v", got.Identity, want)
	}
	if got.Registry.Host != host || got.identity.Name != "aws" || !got.identity.Explicit ||
		got.Audience != "aud" || got.CacheDir != "/c" || got.CacheEnabled ||
		got.SessionDuration != 15*time.Minute || got.SessionName != "me" {
		t.Errorf("settings %+v", got)
	}
	got, err = resolveForHost(t, host, "AWS_PROFILE=another") // only the SDK reads AWS_PROFILE
	if err != nil || got.Identity != (token.Settings{}) || got.Audience != "" ||
		got.CacheDir != "" || !got.CacheEnabled || got.SessionDuration != 0 {
		t.Errorf("without settings: %+v, %v", got, err)
	}
}

// The error for an invalid value names the variable and the allowed values.
func TestForInvalid(t *testing.T) {
	const chars = "letters, digits and _ + = , . @ -"
	for _, tt := range []struct {
		env  []string
		want string
	}{
		{[]string{"ECR_OIDC_SOURCE=gihub"},
			`ECR_OIDC_SOURCE is "gihub"; allowed values are ` +
				strings.Join(token.Sources(), ", ")},
		{[]string{"ECR_OIDC_CACHE=yes"},
			`ECR_OIDC_CACHE is "yes"; allowed values are 1, 0, true, false, on, off`},
		{[]string{"ECR_OIDC_SESSION_DURATION=1"},
			`ECR_OIDC_SESSION_DURATION is "1"; it must be 900 to 43200 seconds, or 15m to 12h`},
		{[]string{"ECR_OIDC_SESSION_NAME=a b"},
			`ECR_OIDC_SESSION_NAME is "a b"; it must have 2 to 64 characters: ` + chars},
		{[]string{"AWS_ROLE_SESSION_NAME=x"},
			`AWS_ROLE_SESSION_NAME is "x"; it must have 2 to 64 characters: ` + chars},
		{[]string{"ECR_OIDC_TOKEN=x", "ECR_OIDC_TOKEN_FILE=y"},
			`ECR_OIDC_TOKEN and ECR_OIDC_TOKEN_FILE are both set; remove one of them`},
	} {
		if got, err := resolveForHost(t, host, tt.env...); err == nil || err.Error() != tt.want {
			t.Errorf("%q: %+v, %v, want %s", tt.env, got, err, tt.want)
		}
	}
}

func TestBool(t *testing.T) {
	for _, def := range []bool{true, false} {
		for value, want := range map[string]bool{
			"": def, " ": def, "1": true, "true": true, "on": true, " on\n": true,
			"0": false, "false": false, "off": false,
		} {
			if got, err := Bool(testEnv("X="+value), "X", def); err != nil || got != want {
				t.Errorf("Bool(%q, default %v) = %v, %v", value, def, got, err)
			}
		}
		if got, err := Bool(testEnv(), "X", def); err != nil || got != def {
			t.Errorf("Bool of an unset variable, default %v = %v, %v", def, got, err)
		}
		for _, value := range []string{"yes", "no", "TRUE", "2", "t", "enabled"} {
			got, err := Bool(testEnv("X="+value), "X", def)
			const format = "X is %q; allowed values are 1, 0, true, false, on, off"
			want := fmt.Sprintf(format, value)
			if err == nil || err.Error() != want || got != def {
				t.Errorf("Bool(%q) = %v, %v, want %s", value, got, err, want)
			}
		}
	}
}

func TestDuration(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "900": 15 * time.Minute, "43200": 12 * time.Hour, "3600": time.Hour,
		"15m": 15 * time.Minute, "12h": 12 * time.Hour,
		"1h30m": 90 * time.Minute, "900s": 15 * time.Minute, "1.5h": 90 * time.Minute,
		" 1h ": time.Hour,
	} {
		got, err := resolveForHost(t, host, "ECR_OIDC_SESSION_DURATION="+value)
		if err != nil || got.SessionDuration != want {
			t.Errorf("with %q: %v, %v, want %v", value, got.SessionDuration, err, want)
		}
	}
	for _, value := range []string{
		"899", "43201", "14m59s", "12h1s", "0", "-900", "1", "900.5s", "15m0.5s", "1d", "1 h",
		"h", "1e3", "0x400", "99999999999999999999", "NaN", "15m\n15m",
	} {
		_, err := resolveForHost(t, host, "ECR_OIDC_SESSION_DURATION="+value)
		if err == nil || !strings.HasPrefix(err.Error(), "ECR_OIDC_SESSION_DURATION is ") ||
			!strings.Contains(err.Error(), "it must be 900 to 43200 seconds, or 15m to 12h") {
			t.Errorf("with %q: %v, want an error", value, err)
		}
	}
}

func TestSessionName(t *testing.T) {
	github := []string{"GITHUB_ACTIONS=true", "GITHUB_REPOSITORY=acme/app",
		"GITHUB_RUN_ID=9876543210"}
	long := strings.Repeat("o", 39) + "/" + strings.Repeat("r", 100)
	tests := []struct {
		name string
		env  []string
		want string
	}{
		{"ECR_OIDC_SESSION_NAME",
			append(github, "ECR_OIDC_SESSION_NAME=my_Name+=,.@-",
				"AWS_ROLE_SESSION_NAME=other"), "my_Name+=,.@-"},
		{"AWS_ROLE_SESSION_NAME",
			append(github, "ECR_OIDC_SESSION_NAME=", "AWS_ROLE_SESSION_NAME=other"),
			"other"},
		{"64 characters", []string{"ECR_OIDC_SESSION_NAME=" + strings.Repeat("x", 64)},
			strings.Repeat("x", 64)},
		{"GitHub", github, "github-acme-app-9876543210"},
		{"GitHub, truncated repository", append(github, "GITHUB_REPOSITORY="+long),
			"github-" + strings.Repeat("r", 64-len("github-")-len("-9876543210")) +
				"-9876543210"},
		{"CircleCI",
			[]string{"CIRCLECI=true", "CIRCLE_PROJECT_USERNAME=acme",
				"CIRCLE_PROJECT_REPONAME=app", "CIRCLE_BUILD_NUM=42"},
			"circleci-acme-app-42"},
		{"GitLab",
			[]string{"GITLAB_CI=true", "CI_PROJECT_PATH=group/sub/app", "CI_JOB_ID=7"},
			"gitlab-group-sub-app-7"},
		{"Buildkite",
			[]string{"BUILDKITE=true", "BUILDKITE_ORGANIZATION_SLUG=acme",
				"BUILDKITE_PIPELINE_SLUG=app", "BUILDKITE_BUILD_NUMBER=3"},
			"buildkite-acme-app-3"},
		{"name of the source, not of the CI", append(github, "ECR_OIDC_TOKEN=x"),
			"env-acme-app-9876543210"},
		{"without a run ID", []string{"GITHUB_ACTIONS=true", "GITHUB_REPOSITORY=acme/app"},
			"github-acme-app"},
		{"machine", nil, "docker-credential-ecr-oidc"},
		{"non-Latin alphabet",
			[]string{"GITLAB_CI=true", "CI_PROJECT_PATH=группа/app", "CI_JOB_ID=7"},
			"gitlab-app-7"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := resolveForHost(t, host, tt.env...); err != nil ||
				got.SessionName != tt.want {
				t.Errorf("session name %q, %v, want %q", got.SessionName, err, tt.want)
			}
		})
	}
	for _, bad := range []string{"x", strings.Repeat("x", 65), "a/b", "a b", "é!", "a\nb", "a:b"} {
		if got, err := resolveForHost(t, host, "ECR_OIDC_SESSION_NAME="+bad); err == nil ||
			!strings.Contains(err.Error(), "ECR_OIDC_SESSION_NAME is ") {
			t.Errorf("session name %q from %q, %v, want an error", got.SessionName, bad, err)
		}
	}
}

// FuzzRole compares the hand-written parsers of roles and accounts with IAM's regular expressions.
func FuzzRole(f *testing.F) {
	for _, s := range []string{
		"ci", "path/to/ci", "/ci", "ci/", "a//b", "", "é", "\xff", "with space",
		"arn:aws:iam::123456789012:role/ci",
		"arn:aws-us-gov:iam::123456789012:role/path/ci",
		"arn:awsé:iam::123456789012:role/ci",
		"arn:aws:iam::123456789012:role/", "arn:aws:iam::12345678901:role/ci",
		"arn:aws:iam:eu-west-2:123456789012:role/ci", "arn:aws:sts::123456789012:role/ci",
		"arn:aws:iam::123456789012:user/ci", "arn:aws:iam::123456789012:role/a:b",
		"arn:gcp:iam::123456789012:role/ci", "ARN:aws:iam::123456789012:role/ci",
		"arn:aws:iam::123456789012:role/ci\n", "123456789012", "12345678901２",
	} {
		f.Add(s)
	}
	roleARN := regexp.MustCompile(`^arn:(aws[a-z-]*):iam::([0-9]{12}):role/[\w+=,.@/-]+$`)
	roleName := regexp.MustCompile(`^[\w+=.@-]+(/[\w+=.@-]+)*$`)
	account := regexp.MustCompile(`^[0-9]{12}$`)
	f.Fuzz(func(t *testing.T, s string) {
		if want := roleARN.MatchString(s) && len(s) <= 2048; isRoleARN(s) != want {
			t.Errorf("isRoleARN(%q) = %v", s, !want)
		}
		if m := roleARN.FindStringSubmatch(s); m != nil {
			if partition, ok := partitionOf(s); !ok || partition != m[1] {
				t.Errorf("partitionOf(%q) = %q, %v", s, partition, ok)
			}
		}
		if want := roleName.MatchString(s) && len(s) <= 512; isRoleName(s) != want {
			t.Errorf("isRoleName(%q) = %v", s, !want)
		}
		if want := account.MatchString(s); isAccount(s) != want {
			t.Errorf("isAccount(%q) = %v", s, !want)
		}
	})
}
