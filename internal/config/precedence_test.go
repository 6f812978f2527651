package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
)

// A setting for one account overrides a setting for all accounts. For the same accounts, a variable
// overrides the file, and an ECR_OIDC_* variable overrides a standard variable. The test sets each
// setting at each level, alone and together with every wider level.
func TestPrecedence(t *testing.T) {
	// Levels of the file. Every other level is the name of a variable.
	const region, account, def = "region", "account", "default"
	const rolePrefix = "arn:aws:iam::123456789012:role/"
	role := func(r resolved) string {
		return strings.TrimPrefix(strings.Join(r.roles.ARNs, ","), rolePrefix)
	}
	source := func(n int) string { return []string{"github", "circleci", "buildkite", "aws"}[n] }
	hours := func(n int) string { return fmt.Sprint(n+1, "h") }
	duration := func(r resolved) string { return strings.TrimSuffix(r.SessionDuration.String(), "0m0s") }
	policy := func(n int) string { return fmt.Sprintf(`{"Statement":[%d]}`, n) }
	for _, setting := range []struct {
		key    string
		levels []string // from the narrowest to the widest
		value  func(n int) string
		got    func(resolved) string
	}{
		{"role", []string{"ECR_OIDC_ROLE_123456789012", region, account, "ECR_OIDC_ROLE", def,
			"ECR_ROLE_TO_ASSUME"}, numberedValue, role},
		{"role", []string{region, account, "ECR_OIDC_ROLE", def, "AWS_ROLE_ARN"}, numberedValue, role},
		{"source", []string{region, account, "ECR_OIDC_SOURCE", def}, source,
			func(r resolved) string { return r.identity.Name }},
		{"audience", []string{region, account, "ECR_OIDC_AUDIENCE", def}, numberedValue,
			func(r resolved) string { return r.Audience }},
		{"token_file", []string{region, account, "ECR_OIDC_TOKEN_FILE", def}, numberedValue,
			func(r resolved) string { return r.Identity.TokenFile }},
		{"profile", []string{"ECR_OIDC_PROFILE_123456789012", region, account,
			"ECR_OIDC_PROFILE", def}, numberedValue,
			func(r resolved) string { return r.Identity.Profile }},
		{"session_name", []string{region, account, "ECR_OIDC_SESSION_NAME", def,
			"AWS_ROLE_SESSION_NAME"}, numberedValue,
			func(r resolved) string { return r.SessionName }},
		{"session_duration", []string{region, account, "ECR_OIDC_SESSION_DURATION", def}, hours,
			duration},
		{"external_id", []string{region, account, "ECR_OIDC_EXTERNAL_ID", def}, numberedValue,
			func(r resolved) string { return r.ExternalID }},
		{"session_policy", []string{region, account, "ECR_OIDC_SESSION_POLICY", def}, policy,
			func(r resolved) string { return r.SessionPolicy }},
	} {
		test := func(t *testing.T, i, j int) {
			env, file := map[string]string{}, map[string]string{}
			if setting.key == "session_policy" {
				env["ECR_ROLE_TO_ASSUME"] = rolePrefix + "any"
			}
			for _, n := range []int{i, j} {
				level, value := setting.levels[n], setting.value(n)
				switch level {
				case region, account, def:
					file[level] = fmt.Sprintf("{%s: '%s'}", setting.key, value)
				case "ECR_ROLE_TO_ASSUME", "AWS_ROLE_ARN":
					env[level] = rolePrefix + value
				default:
					env[level] = value
				}
			}
			got, want := setting.got(resolveForLevels(t, env, file)), setting.value(i)
			if got != want {
				t.Errorf("%s is %q, want %q", setting.key, got, want)
			}
		}
		for i, narrow := range setting.levels {
			// The first wide level is narrow itself. That case sets only one level.
			for j, wide := range setting.levels[i:] {
				name := fmt.Sprintf("%s/%s over %s", setting.key, narrow, wide)
				t.Run(name, func(t *testing.T) { test(t, i, i+j) })
			}
		}
	}
}

func numberedValue(n int) string { return fmt.Sprintf("value-%d", n) }

// resolveForLevels returns the settings, identity and roles for variables and for a file with an
// entry per level.
func resolveForLevels(t *testing.T, env, file map[string]string) resolved {
	t.Helper()
	text := ""
	if e := file["default"]; e != "" {
		text += "default: " + e + "\n"
	}
	var account []string
	if e := file["account"]; e != "" {
		account = append(account, strings.TrimSuffix(strings.TrimPrefix(e, "{"), "}"))
	}
	if e := file["region"]; e != "" {
		account = append(account, "regions: {eu-west-2: "+e+"}")
	}
	if account != nil {
		text += "accounts: {'123456789012': {" + strings.Join(account, ", ") + "}}\n"
	}
	got, err := resolveForFile(t, text, env)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return got
}

// resolveForFile returns the settings, identity and roles for host with a file of this text and
// with variables.
func resolveForFile(t *testing.T, text string, env map[string]string) (resolved, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ecr-oidc.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	pairs := []string{"ECR_OIDC_CONFIG=" + path}
	for k, v := range env {
		pairs = append(pairs, k+"="+v)
	}
	reg, ok := registry.Parse(host)
	if !ok {
		t.Fatal(host)
	}
	return resolve(testEnv(pairs...), reg, pairs...)
}

// Two settings that select different identities are an error if they have the same scope. Otherwise
// the narrower setting applies.
func TestSourcePrecedence(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		env        map[string]string
		want       string // the environment, or a part of the error
	}{
		{"source of an account, ECR_OIDC_TOKEN",
			`accounts: {"123456789012": {source: aws}}`,
			map[string]string{"ECR_OIDC_TOKEN": "x"}, "aws"},
		{"source of an account, ECR_OIDC_TOKEN_FILE",
			`accounts: {"123456789012": {source: github}}`,
			map[string]string{"ECR_OIDC_TOKEN_FILE": "/t"}, "github"},
		{"token file of an account, ECR_OIDC_SOURCE",
			`accounts: {"123456789012": {token_file: /t}}`,
			map[string]string{"ECR_OIDC_SOURCE": "github"}, "file"},
		{"source file of an account, ECR_OIDC_TOKEN_FILE",
			`accounts: {"123456789012": {source: file}}`,
			map[string]string{"ECR_OIDC_TOKEN_FILE": "/t"}, "file"},
		{"default source, ECR_OIDC_TOKEN", `default: {source: aws}`,
			map[string]string{"ECR_OIDC_TOKEN": "x"}, "env"},
		{"default token file, ECR_OIDC_TOKEN", `default: {token_file: /t}`,
			map[string]string{"ECR_OIDC_TOKEN": "x"}, "env"},
		{"default source, CI", `default: {source: aws}`,
			map[string]string{"GITHUB_ACTIONS": "true"}, "aws"},
		{"source auto of an account, ECR_OIDC_TOKEN",
			`accounts: {"123456789012": {source: auto, role: ci}}`,
			map[string]string{"ECR_OIDC_TOKEN": "x", "AWS_ACCESS_KEY_ID": "AKIA"},
			"env"},
		{"source auto of an account, ECR_OIDC_TOKEN_FILE",
			`accounts: {"123456789012": {source: auto}}`,
			map[string]string{"ECR_OIDC_TOKEN_FILE": "/t"}, "file"},
		{"source auto of an account, ECR_OIDC_SOURCE",
			`accounts: {"123456789012": {source: auto}}`,
			map[string]string{"ECR_OIDC_SOURCE": "aws", "GITHUB_ACTIONS": "true"},
			"github"},
		{"source of a region, token file of its account",
			`accounts: {"123456789012": {source: file, token_file: /t, ` +
				`regions: {eu-west-2: {source: aws}}}}`,
			nil, "aws"},
		{"token file of a region, source of its account",
			`accounts: {"123456789012": {source: aws, regions: {eu-west-2: {token_file: /t}}}}`,
			nil, "file"},
		{"conflicting variables", ``,
			map[string]string{"ECR_OIDC_SOURCE": "github", "ECR_OIDC_TOKEN": "x"},
			"ECR_OIDC_SOURCE=github conflicts with ECR_OIDC_TOKEN"},
		{"conflicting keys of an entry", "default:\n  source: aws\n  token_file: /t", nil,
			":3: token_file requires source: file, but source is \"aws\""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := resolveForFile(t, tt.file, tt.env)
			if err == nil && got.identity.Name != tt.want ||
				err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, %v, want %s", got.identity.Name, err, tt.want)
			}
		})
	}
}

// The settings of a role session are validated together with the roles.
func TestSessionSettings(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		env        map[string]string
		want       string // a part of the error; "" for none
	}{
		{"policy without a role", `default: {session_policy: pull}`, nil,
			":1 sets a session policy, which requires a role, but no role is set"},
		{"policy variable without a role", ``,
			map[string]string{"ECR_OIDC_SESSION_POLICY": "pull"},
			"ECR_OIDC_SESSION_POLICY sets a session policy, which requires a role"},
		{"invalid policy", ``,
			map[string]string{"ECR_OIDC_SESSION_POLICY": "push", "ECR_OIDC_ROLE": "ci"},
			"ECR_OIDC_SESSION_POLICY is neither pull nor an IAM policy in JSON"},
		{"default policy, standard role", `default: {session_policy: pull}`,
			map[string]string{"ECR_ROLE_TO_ASSUME": "arn:aws:iam::123456789012:role/ci"},
			""},
		{"chain of two hours", ``,
			map[string]string{"ECR_OIDC_ROLE": "hub,spoke",
				"ECR_OIDC_SESSION_DURATION": "2h"},
			"ECR_OIDC_SESSION_DURATION sets a session duration of 2h, " +
				"but AWS limits a role chain to 1 hour"},
		{"chain of one hour", ``,
			map[string]string{"ECR_OIDC_ROLE": "hub,spoke",
				"ECR_OIDC_SESSION_DURATION": "1h"}, ""},
		{"invalid external ID", ``,
			map[string]string{"ECR_OIDC_ROLE": "ci",
				"ECR_OIDC_EXTERNAL_ID": "no spaces"},
			"ECR_OIDC_EXTERNAL_ID is \"no spaces\"; it must have"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := resolveForFile(t, tt.file, tt.env)
			if tt.want == "" && err != nil ||
				tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
	public, _ := registry.Parse("public.ecr.aws")
	for _, env := range [][]string{{"ECR_OIDC_ROLE=ci", "ECR_OIDC_SESSION_POLICY=pull"},
		{"ECR_OIDC_SESSION_POLICY=pull"}} {
		if got, err := resolve(testEnv(env...), public, env...); err != nil ||
			len(got.roles.ARNs) > 0 { // access is anonymous
			t.Errorf("public.ecr.aws with %v: %+v, %v", env, got, err)
		}
	}
	got, err := resolveForFile(t,
		"default: {role: ci, session_policy: pull, session_duration: 3600}", nil)
	if err != nil || !strings.Contains(got.SessionPolicy, `"ecr:BatchGetImage"`) ||
		strings.Contains(got.SessionPolicy, "Put") || got.SessionDuration != time.Hour {
		t.Errorf("settings %+v, %v", got, err)
	}
}
