package config

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/testenv"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

const (
	host   = "123456789012.dkr.ecr.eu-west-2.amazonaws.com"
	public = "public.ecr.aws"
	china  = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"
	gov    = "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com"
)

// testEnv returns an environment with only these variables, each "NAME=value".
func testEnv(pairs ...string) token.Env {
	home := []string{"HOME=/no/such/home", "USERPROFILE=/no/such/home"}
	return testenv.Lookup(append(home, pairs...)...)
}

// resolved contains the settings for a registry and the resulting identity and roles, as in
// package helper.
type resolved struct {
	Settings
	identity token.Identity
	roles    RoleChain
}

// resolve returns the settings, identity and roles for a registry in an environment. environ has
// the variables for accounts.
func resolve(env token.Env, reg registry.Registry, environ ...string) (resolved, error) {
	c, err := Read(env, environ)
	if err != nil {
		return resolved{}, err
	}
	s, err := c.For(reg)
	if err != nil {
		return resolved{}, err
	}
	id, err := token.Identify(env, s.Identity)
	var (
		missing *token.MissingError
		noRole  *token.NoRoleError
	)
	if err != nil && !errors.As(err, &missing) && !errors.As(err, &noRole) {
		return resolved{}, err
	}
	got := resolved{s, id, s.Role}
	if id.WebIdentityPair {
		got.roles = s.WebIdentityRole
	}
	got.SessionName = cmp.Or(s.SessionName, id.SessionName())
	return got, got.roles.Err
}

// resolveForHost returns the settings, identity and roles for a registry host with variables,
// each "NAME=value".
func resolveForHost(t *testing.T, host string, pairs ...string) (resolved, error) {
	t.Helper()
	reg, ok := registry.Parse(host)
	if !ok {
		t.Fatalf("%s is not ECR", host)
	}
	return resolve(testEnv(pairs...), reg, pairs...)
}

func TestRoles(t *testing.T) {
	const (
		ci    = "arn:aws:iam::123456789012:role/ci"
		other = "arn:aws:iam::210987654321:role/team/other"
		pod   = "arn:aws:iam::123456789012:role/pod"
		pair  = "AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/token"
	)
	tests := []struct {
		name string
		host string
		env  []string
		want []string
		from string
	}{
		{"none", host, nil, nil, ""},
		{"empty variables", host,
			[]string{"ECR_OIDC_ROLE=", "ECR_ROLE_TO_ASSUME= ", "AWS_ROLE_ARN="}, nil,
			""},
		{"ECR_OIDC_ROLE", host, []string{"ECR_OIDC_ROLE=" + other}, []string{other},
			"ECR_OIDC_ROLE"},
		{"ECR_OIDC_ROLE overrides", host,
			[]string{"ECR_OIDC_ROLE=" + ci, "ECR_ROLE_TO_ASSUME=" + other,
				"AWS_ROLE_ARN=" + pod}, []string{ci}, "ECR_OIDC_ROLE"},
		{"empty ECR_OIDC_ROLE", host,
			[]string{"ECR_OIDC_ROLE=", "ECR_ROLE_TO_ASSUME=" + other}, []string{other},
			"ECR_ROLE_TO_ASSUME"},
		{"ECR_ROLE_TO_ASSUME", host, []string{"ECR_ROLE_TO_ASSUME=" + other},
			[]string{other}, "ECR_ROLE_TO_ASSUME"},
		{"AWS_ROLE_ARN", host, []string{"AWS_ROLE_ARN=" + other}, []string{other},
			"AWS_ROLE_ARN"},
		{"equal standard variables", host,
			[]string{"ECR_ROLE_TO_ASSUME=" + ci, "AWS_ROLE_ARN=" + ci}, []string{ci},
			"ECR_ROLE_TO_ASSUME"},
		{"bare name", host, []string{"ECR_OIDC_ROLE=ci-push"},
			[]string{"arn:aws:iam::123456789012:role/ci-push"}, "ECR_OIDC_ROLE"},
		{"bare name with a path", host, []string{"ECR_OIDC_ROLE=teams/app/ci"},
			[]string{"arn:aws:iam::123456789012:role/teams/app/ci"}, "ECR_OIDC_ROLE"},
		{"bare name in China", china, []string{"ECR_OIDC_ROLE=ci"},
			[]string{"arn:aws-cn:iam::123456789012:role/ci"}, "ECR_OIDC_ROLE"},
		{"bare name in GovCloud", gov, []string{"ECR_OIDC_ROLE=ci"},
			[]string{"arn:aws-us-gov:iam::123456789012:role/ci"}, "ECR_OIDC_ROLE"},
		{"ARN in China", china,
			[]string{"ECR_ROLE_TO_ASSUME=arn:aws-cn:iam::123456789012:role/ci"},
			[]string{"arn:aws-cn:iam::123456789012:role/ci"}, "ECR_ROLE_TO_ASSUME"},
		{"all characters of a name", host, []string{"ECR_OIDC_ROLE=aZ0_+=.@-"},
			[]string{"arn:aws:iam::123456789012:role/aZ0_+=.@-"}, "ECR_OIDC_ROLE"},
		{"chain", host, []string{"ECR_OIDC_ROLE= " + other + " , spoke,teams/last "},
			[]string{other, "arn:aws:iam::123456789012:role/spoke",
				"arn:aws:iam::123456789012:role/teams/last"}, "ECR_OIDC_ROLE"},

		{"pod", host, []string{pair, "AWS_ROLE_ARN=" + pod}, []string{pod}, "AWS_ROLE_ARN"},
		{"pod with ECR_OIDC_ROLE", host,
			[]string{pair, "AWS_ROLE_ARN=" + pod, "ECR_OIDC_ROLE=ci"}, []string{ci},
			"ECR_OIDC_ROLE"},
		{"CI in a pod", host, []string{pair, "AWS_ROLE_ARN=" + pod, "GITHUB_ACTIONS=true"},
			nil, ""},
		{"CI in a pod with ECR_ROLE_TO_ASSUME", host,
			[]string{pair, "AWS_ROLE_ARN=" + pod, "GITHUB_ACTIONS=true",
				"ECR_ROLE_TO_ASSUME=" + ci}, []string{ci}, "ECR_ROLE_TO_ASSUME"},
		{"CI in a pod with source file", host,
			[]string{pair, "AWS_ROLE_ARN=" + pod, "GITHUB_ACTIONS=true",
				"ECR_OIDC_SOURCE=file"}, []string{pod}, "AWS_ROLE_ARN"},
		{"pod with ECR_OIDC_TOKEN_FILE", host,
			[]string{pair, "AWS_ROLE_ARN=" + pod, "ECR_OIDC_TOKEN_FILE=/t"}, nil, ""},
		{"pod with ECR_OIDC_TOKEN", host,
			[]string{pair, "AWS_ROLE_ARN=" + pod, "ECR_OIDC_TOKEN=x"}, nil, ""},
		{"pod with source aws", host,
			[]string{pair, "AWS_ROLE_ARN=" + pod, "ECR_OIDC_SOURCE=aws"}, nil, ""},
		{"AWS_ROLE_ARN without a token file", host,
			[]string{"AWS_WEB_IDENTITY_TOKEN_FILE=", "AWS_ROLE_ARN=" + ci,
				"GITHUB_ACTIONS=true"}, []string{ci}, "AWS_ROLE_ARN"},

		{"public registry", public,
			[]string{"ECR_OIDC_ROLE=" + ci, "ECR_ROLE_TO_ASSUME=" + other,
				"AWS_ROLE_ARN=" + pod}, nil, ""},
		{"public registry with its role", public,
			[]string{"ECR_OIDC_ROLE=" + ci, "ECR_OIDC_ROLE_PUBLIC=" + other},
			[]string{other}, "ECR_OIDC_ROLE_PUBLIC"},
		{"public registry with a chain", public,
			[]string{"ECR_OIDC_ROLE_PUBLIC=" + ci + "," + other}, []string{ci, other},
			"ECR_OIDC_ROLE_PUBLIC"},
		{"private registry with the public role", host,
			[]string{"ECR_OIDC_ROLE_PUBLIC=" + other}, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := resolveForHost(t, tt.host, tt.env...)
			if err != nil || !slices.Equal(got.roles.ARNs, tt.want) ||
				got.roles.From != tt.from {
				t.Errorf("roles %q from %q, %v, want %q from %q", got.roles.ARNs,
					got.roles.From, err, tt.want, tt.from)
			}
		})
	}
}

func TestRolesInvalid(t *testing.T) {
	const ci = "arn:aws:iam::123456789012:role/ci"
	tests := []struct {
		name string
		host string
		env  []string
		want []string
	}{
		{"other partition", host,
			[]string{"ECR_OIDC_ROLE=arn:aws-cn:iam::123456789012:role/ci"},
			[]string{"ECR_OIDC_ROLE has a role in partition \"aws-cn\"", host,
				`"aws"`}},
		{"other partition in AWS_ROLE_ARN", gov, []string{"AWS_ROLE_ARN=" + ci},
			[]string{"AWS_ROLE_ARN has a role in partition \"aws\"", `"aws-us-gov"`}},
		{"other partition in a chain", host,
			[]string{"ECR_OIDC_ROLE=ci,arn:aws-us-gov:iam::123456789012:role/x"},
			[]string{"partition \"aws-us-gov\""}},
		{"different standard variables", host,
			[]string{"ECR_ROLE_TO_ASSUME=" + ci, "AWS_ROLE_ARN=" + ci + "2"},
			[]string{"ECR_ROLE_TO_ASSUME is \"" + ci + "\"",
				"AWS_ROLE_ARN is \"" + ci + "2\"", "ECR_OIDC_ROLE"}},
		{"bare name in ECR_ROLE_TO_ASSUME", host, []string{"ECR_ROLE_TO_ASSUME=ci"},
			[]string{"ECR_ROLE_TO_ASSUME has \"ci\"",
				"arn:aws:iam::ACCOUNT:role/NAME"}},
		{"chain in AWS_ROLE_ARN", host, []string{"AWS_ROLE_ARN=" + ci + "," + ci},
			[]string{"AWS_ROLE_ARN has "}},
		{"bare name for the public registry", public, []string{"ECR_OIDC_ROLE_PUBLIC=ci"},
			[]string{"ECR_OIDC_ROLE_PUBLIC has \"ci\"",
				"arn:aws:iam::ACCOUNT:role/NAME"}},
	}
	for _, bad := range []string{
		"arn:aws:iam::12345678901:role/ci", "arn:aws:iam::1234567890123:role/ci",
		"arn:aws:iam::123456789012:user/ci", "arn:aws:iam::123456789012:role/",
		"arn:aws:sts::123456789012:assumed-role/ci/x",
		"arn:aws:iam:eu-west-2:123456789012:role/ci", "ARN:aws:iam::123456789012:role/ci",
		"arn:aws:iam::123456789012:role/a b",
		"https://x", "ci*", "/ci", "ci/", "a//b", "rôle", "ci\nci",
		strings.Repeat("x", 513), ",", "ci,", ",ci", "ci,,ci", "ci;ci",
	} {
		tests = append(tests, struct {
			name string
			host string
			env  []string
			want []string
		}{"malformed " + bad[:min(len(bad), 20)], host, []string{"ECR_OIDC_ROLE=" + bad},
			[]string{"ECR_OIDC_ROLE has ", "; it must be " + arnFormat + " or " + nameFormat}})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := resolveForHost(t, tt.host, tt.env...)
			if err == nil {
				t.Fatalf("roles %q, want an error", got.roles.ARNs)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v, want %q in it", err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
		})
	}
}
