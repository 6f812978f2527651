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

// Each setting, alone and in conflict with every other way of making it: what names one account beats what names all;
// between equals a variable beats the file; ours beat the standard ones.
func TestPrecedence(t *testing.T) {
	const region, account, byDefault = "region", "account", "default" // places in the file; everything else is a variable
	role := func(p plan) string {
		return strings.TrimPrefix(strings.Join(p.roles.ARNs, ","), "arn:aws:iam::123456789012:role/")
	}
	for _, setting := range []struct {
		key   string
		order []string
		value func(n int) string
		got   func(plan) string
	}{
		{"role", []string{"ECR_OIDC_ROLE_123456789012", region, account, "ECR_OIDC_ROLE", byDefault, "ECR_ROLE_TO_ASSUME"}, name, role},
		{"role", []string{region, account, "ECR_OIDC_ROLE", byDefault, "AWS_ROLE_ARN"}, name, role},
		{"source", []string{region, account, "ECR_OIDC_SOURCE", byDefault}, func(n int) string { return []string{"github", "circleci", "buildkite", "aws"}[n] }, func(p plan) string { return p.identity.Name }},
		{"audience", []string{region, account, "ECR_OIDC_AUDIENCE", byDefault}, name, func(p plan) string { return p.Audience }},
		{"token_file", []string{region, account, "ECR_OIDC_TOKEN_FILE", byDefault}, name, func(p plan) string { return p.Identity.TokenFile }},
		{"profile", []string{"ECR_OIDC_PROFILE_123456789012", region, account, "ECR_OIDC_PROFILE", byDefault}, name, func(p plan) string { return p.Identity.Profile }},
		{"session_name", []string{region, account, "ECR_OIDC_SESSION_NAME", byDefault, "AWS_ROLE_SESSION_NAME"}, name, func(p plan) string { return p.SessionName }},
		{"session_duration", []string{region, account, "ECR_OIDC_SESSION_DURATION", byDefault}, func(n int) string { return fmt.Sprint(n+1, "h") }, func(p plan) string { return strings.TrimSuffix(p.SessionDuration.String(), "0m0s") }},
		{"external_id", []string{region, account, "ECR_OIDC_EXTERNAL_ID", byDefault}, name, func(p plan) string { return p.ExternalID }},
		{"session_policy", []string{region, account, "ECR_OIDC_SESSION_POLICY", byDefault}, func(n int) string { return fmt.Sprintf(`{"Statement":[%d]}`, n) }, func(p plan) string { return p.SessionPolicy }},
	} {
		for i := range setting.order {
			for j := i; j < len(setting.order); j++ { // i itself is "alone"
				t.Run(fmt.Sprintf("%s/%s over %s", setting.key, setting.order[i], setting.order[j]), func(t *testing.T) {
					env, file := map[string]string{}, map[string]string{}
					if setting.key == "session_policy" {
						env["ECR_ROLE_TO_ASSUME"] = "arn:aws:iam::123456789012:role/any"
					}
					for _, n := range []int{i, j} {
						place, value := setting.order[n], setting.value(n)
						switch {
						case place == region || place == account || place == byDefault:
							file[place] = fmt.Sprintf("{%s: '%s'}", setting.key, value)
						case place == "ECR_ROLE_TO_ASSUME" || place == "AWS_ROLE_ARN":
							env[place] = "arn:aws:iam::123456789012:role/" + value
						default:
							env[place] = value
						}
					}
					if got, want := setting.got(settingsOf(t, env, file)), setting.value(i); got != want {
						t.Errorf("%s is %q, want %q", setting.key, got, want)
					}
				})
			}
		}
	}
}

func name(n int) string { return fmt.Sprintf("value-%d", n) }

// settingsOf makes a plan of variables and a file with entries by place.
func settingsOf(t *testing.T, env, file map[string]string) plan {
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
	p, err := planFrom(t, text, env)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return p
}

// planFrom makes a plan for the usual registry with a file of this text.
func planFrom(t *testing.T, text string, env map[string]string) (plan, error) {
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
	return planWith(environ(pairs...), reg, pairs...)
}

// Sources that disagree are an error where they are named by equals; a narrower one just wins.
func TestSourcesThatMeet(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		env        map[string]string
		want       string // the place, or a part of the error
	}{
		{"an account's source and a token for all", `accounts: {"123456789012": {source: aws}}`, map[string]string{"ECR_OIDC_TOKEN": "x"}, "aws"},
		{"an account's source and a token file for all", `accounts: {"123456789012": {source: github}}`, map[string]string{"ECR_OIDC_TOKEN_FILE": "/t"}, "github"},
		{"an account's token file and a source for all", `accounts: {"123456789012": {token_file: /t}}`, map[string]string{"ECR_OIDC_SOURCE": "github"}, "file"},
		{"an account's file source and a token file for all", `accounts: {"123456789012": {source: file}}`, map[string]string{"ECR_OIDC_TOKEN_FILE": "/t"}, "file"},
		{"a default and a token", `default: {source: aws}`, map[string]string{"ECR_OIDC_TOKEN": "x"}, "env"},
		{"a default token file and a token", `default: {token_file: /t}`, map[string]string{"ECR_OIDC_TOKEN": "x"}, "env"},
		{"a default and a CI", `default: {source: aws}`, map[string]string{"GITHUB_ACTIONS": "true"}, "aws"},
		{"an account's auto and a token", `accounts: {"123456789012": {source: auto, role: ci}}`, map[string]string{"ECR_OIDC_TOKEN": "x", "AWS_ACCESS_KEY_ID": "AKIA"}, "env"},
		{"an account's auto and a token file", `accounts: {"123456789012": {source: auto}}`, map[string]string{"ECR_OIDC_TOKEN_FILE": "/t"}, "file"},
		{"an account's auto takes back a source for all", `accounts: {"123456789012": {source: auto}}`, map[string]string{"ECR_OIDC_SOURCE": "aws", "GITHUB_ACTIONS": "true"}, "github"},
		{"a region's source over its account's token file", `accounts: {"123456789012": {source: file, token_file: /t, regions: {eu-west-2: {source: aws}}}}`, nil, "aws"},
		{"a region's token file over its account's source", `accounts: {"123456789012": {source: aws, regions: {eu-west-2: {token_file: /t}}}}`, nil, "file"},
		{"two variables", ``, map[string]string{"ECR_OIDC_SOURCE": "github", "ECR_OIDC_TOKEN": "x"}, "ECR_OIDC_SOURCE=github and ECR_OIDC_TOKEN disagree"},
		{"in one entry", "default:\n  source: aws\n  token_file: /t", nil, ":3: token_file goes with source: file, and source is \"aws\""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := planFrom(t, tt.file, tt.env)
			if err == nil && p.identity.Name != tt.want || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, %v, want %s", p.identity.Name, err, tt.want)
			}
		})
	}
}

// The session's settings that need each other.
func TestSessionSettings(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		env        map[string]string
		want       string // a part of the error; "" for none
	}{
		{"a policy without a role", `default: {session_policy: pull}`, nil, ":1 sets a session policy, which needs a role, and none is set"},
		{"a policy of a variable without a role", ``, map[string]string{"ECR_OIDC_SESSION_POLICY": "pull"}, "ECR_OIDC_SESSION_POLICY sets a session policy, which needs a role"},
		{"a policy that is none", ``, map[string]string{"ECR_OIDC_SESSION_POLICY": "push", "ECR_OIDC_ROLE": "ci"}, "ECR_OIDC_SESSION_POLICY is neither pull nor an IAM policy in JSON"},
		{"a policy for all, without a role for this one", `default: {session_policy: pull}`, map[string]string{"ECR_ROLE_TO_ASSUME": "arn:aws:iam::123456789012:role/ci"}, ""},
		{"a long chain", ``, map[string]string{"ECR_OIDC_ROLE": "hub,spoke", "ECR_OIDC_SESSION_DURATION": "2h"}, "ECR_OIDC_SESSION_DURATION asks for 2h, and AWS gives roles that are reached from another role an hour at most"},
		{"a chain of an hour", ``, map[string]string{"ECR_OIDC_ROLE": "hub,spoke", "ECR_OIDC_SESSION_DURATION": "1h"}, ""},
		{"an external id", ``, map[string]string{"ECR_OIDC_ROLE": "ci", "ECR_OIDC_EXTERNAL_ID": "no spaces"}, "ECR_OIDC_EXTERNAL_ID is \"no spaces\"; allowed are"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := planFrom(t, tt.file, tt.env)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
	public, _ := registry.Parse("public.ecr.aws")
	for _, env := range [][]string{{"ECR_OIDC_ROLE=ci", "ECR_OIDC_SESSION_POLICY=pull"}, {"ECR_OIDC_SESSION_POLICY=pull"}} {
		if p, err := planWith(environ(env...), public, env...); err != nil || len(p.roles.ARNs) > 0 { // it stays anonymous
			t.Errorf("public.ecr.aws with %v: %+v, %v", env, p, err)
		}
	}
	p, err := planFrom(t, "default: {role: ci, session_policy: pull, session_duration: 3600}", nil)
	if err != nil || !strings.Contains(p.SessionPolicy, `"ecr:BatchGetImage"`) || strings.Contains(p.SessionPolicy, "Put") || p.SessionDuration != time.Hour {
		t.Errorf("%+v, %v", p, err)
	}
}
