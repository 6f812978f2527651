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

// environ is an environment that holds these variables, each "NAME=value", and nothing else.
func environ(pairs ...string) token.Env {
	home := []string{"HOME=/nobody/has/this/home", "USERPROFILE=/nobody/has/this/home"}
	return testenv.Lookup(append(home, pairs...)...)
}

// plan is the settings for a registry with the identity and the roles that follow from them, as internal/helper combines
// them.
type plan struct {
	Settings
	identity token.Identity
	roles    RoleChain
}

// planWith returns the plan for a registry in an environment.
func planWith(env token.Env, reg registry.Registry, environ ...string) (plan, error) {
	c, err := Read(env, environ)
	if err != nil {
		return plan{}, err
	}
	s, err := c.For(reg)
	if err != nil {
		return plan{}, err
	}
	id, err := token.Identify(env, s.Identity)
	var (
		missing *token.MissingError
		noRole  *token.NoRoleError
	)
	if err != nil && !errors.As(err, &missing) && !errors.As(err, &noRole) {
		return plan{}, err
	}
	p := plan{s, id, s.Role}
	if id.WebIdentityPair {
		p.roles = s.WebIdentityRole
	}
	p.SessionName = cmp.Or(s.SessionName, id.SessionName())
	return p, p.roles.Err
}

func planFor(t *testing.T, host string, pairs ...string) (plan, error) {
	t.Helper()
	reg, ok := registry.Parse(host)
	if !ok {
		t.Fatalf("%s is not ECR", host)
	}
	return planWith(environ(pairs...), reg, pairs...)
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
		{"empty ones", host, []string{"ECR_OIDC_ROLE=", "ECR_ROLE_TO_ASSUME= ", "AWS_ROLE_ARN="}, nil, ""},
		{"ours", host, []string{"ECR_OIDC_ROLE=" + other}, []string{other}, "ECR_OIDC_ROLE"},
		{"ours first", host, []string{"ECR_OIDC_ROLE=" + ci, "ECR_ROLE_TO_ASSUME=" + other, "AWS_ROLE_ARN=" + pod}, []string{ci}, "ECR_OIDC_ROLE"},
		{"an empty one of ours", host, []string{"ECR_OIDC_ROLE=", "ECR_ROLE_TO_ASSUME=" + other}, []string{other}, "ECR_ROLE_TO_ASSUME"},
		{"Cloud Platform's", host, []string{"ECR_ROLE_TO_ASSUME=" + other}, []string{other}, "ECR_ROLE_TO_ASSUME"},
		{"AWS's", host, []string{"AWS_ROLE_ARN=" + other}, []string{other}, "AWS_ROLE_ARN"},
		{"both standard ones, the same", host, []string{"ECR_ROLE_TO_ASSUME=" + ci, "AWS_ROLE_ARN=" + ci}, []string{ci}, "ECR_ROLE_TO_ASSUME"},
		{"a name", host, []string{"ECR_OIDC_ROLE=ci-push"}, []string{"arn:aws:iam::123456789012:role/ci-push"}, "ECR_OIDC_ROLE"},
		{"a name with a path", host, []string{"ECR_OIDC_ROLE=teams/app/ci"}, []string{"arn:aws:iam::123456789012:role/teams/app/ci"}, "ECR_OIDC_ROLE"},
		{"a name in China", china, []string{"ECR_OIDC_ROLE=ci"}, []string{"arn:aws-cn:iam::123456789012:role/ci"}, "ECR_OIDC_ROLE"},
		{"a name in GovCloud", gov, []string{"ECR_OIDC_ROLE=ci"}, []string{"arn:aws-us-gov:iam::123456789012:role/ci"}, "ECR_OIDC_ROLE"},
		{"an ARN in China", china, []string{"ECR_ROLE_TO_ASSUME=arn:aws-cn:iam::123456789012:role/ci"}, []string{"arn:aws-cn:iam::123456789012:role/ci"}, "ECR_ROLE_TO_ASSUME"},
		{"every character that a name may have", host, []string{"ECR_OIDC_ROLE=aZ0_+=.@-"}, []string{"arn:aws:iam::123456789012:role/aZ0_+=.@-"}, "ECR_OIDC_ROLE"},
		{"a chain", host, []string{"ECR_OIDC_ROLE= " + other + " , spoke,teams/last "}, []string{other, "arn:aws:iam::123456789012:role/spoke", "arn:aws:iam::123456789012:role/teams/last"}, "ECR_OIDC_ROLE"},

		{"in a pod: its own", host, []string{pair, "AWS_ROLE_ARN=" + pod}, []string{pod}, "AWS_ROLE_ARN"},
		{"in a pod: ours with its token", host, []string{pair, "AWS_ROLE_ARN=" + pod, "ECR_OIDC_ROLE=ci"}, []string{ci}, "ECR_OIDC_ROLE"},
		{"a CI in a pod: the pod's is not the job's", host, []string{pair, "AWS_ROLE_ARN=" + pod, "GITHUB_ACTIONS=true"}, nil, ""},
		{"a CI in a pod: the job's own", host, []string{pair, "AWS_ROLE_ARN=" + pod, "GITHUB_ACTIONS=true", "ECR_ROLE_TO_ASSUME=" + ci}, []string{ci}, "ECR_ROLE_TO_ASSUME"},
		{"a CI in a pod, the pair chosen", host, []string{pair, "AWS_ROLE_ARN=" + pod, "GITHUB_ACTIONS=true", "ECR_OIDC_SOURCE=file"}, []string{pod}, "AWS_ROLE_ARN"},
		{"a pod, another file", host, []string{pair, "AWS_ROLE_ARN=" + pod, "ECR_OIDC_TOKEN_FILE=/t"}, nil, ""},
		{"a pod, another token", host, []string{pair, "AWS_ROLE_ARN=" + pod, "ECR_OIDC_TOKEN=x"}, nil, ""},
		{"a pod, the SDK's chain: the pair is in it", host, []string{pair, "AWS_ROLE_ARN=" + pod, "ECR_OIDC_SOURCE=aws"}, nil, ""},
		{"half a pair is no pair", host, []string{"AWS_WEB_IDENTITY_TOKEN_FILE=", "AWS_ROLE_ARN=" + ci, "GITHUB_ACTIONS=true"}, []string{ci}, "AWS_ROLE_ARN"},

		{"the public registry is left anonymous", public, []string{"ECR_OIDC_ROLE=" + ci, "ECR_ROLE_TO_ASSUME=" + other, "AWS_ROLE_ARN=" + pod}, nil, ""},
		{"the public registry's own", public, []string{"ECR_OIDC_ROLE=" + ci, "ECR_OIDC_ROLE_PUBLIC=" + other}, []string{other}, "ECR_OIDC_ROLE_PUBLIC"},
		{"a chain for the public registry", public, []string{"ECR_OIDC_ROLE_PUBLIC=" + ci + "," + other}, []string{ci, other}, "ECR_OIDC_ROLE_PUBLIC"},
		{"and that is for no other", host, []string{"ECR_OIDC_ROLE_PUBLIC=" + other}, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := planFor(t, tt.host, tt.env...)
			if err != nil || !slices.Equal(got.roles.ARNs, tt.want) || got.roles.From != tt.from {
				t.Errorf("roles %q from %q, %v, want %q from %q", got.roles.ARNs, got.roles.From, err, tt.want, tt.from)
			}
		})
	}
}

func TestRolesRefused(t *testing.T) {
	const ci = "arn:aws:iam::123456789012:role/ci"
	tests := []struct {
		name string
		host string
		env  []string
		want []string
	}{
		{"another partition", host, []string{"ECR_OIDC_ROLE=arn:aws-cn:iam::123456789012:role/ci"}, []string{"ECR_OIDC_ROLE has a role in partition \"aws-cn\"", host, `"aws"`}},
		{"another partition, standard", gov, []string{"AWS_ROLE_ARN=" + ci}, []string{"AWS_ROLE_ARN has a role in partition \"aws\"", `"aws-us-gov"`}},
		{"another partition, last of a chain", host, []string{"ECR_OIDC_ROLE=ci,arn:aws-us-gov:iam::123456789012:role/x"}, []string{"partition \"aws-us-gov\""}},
		{"two that differ", host, []string{"ECR_ROLE_TO_ASSUME=" + ci, "AWS_ROLE_ARN=" + ci + "2"}, []string{"ECR_ROLE_TO_ASSUME is \"" + ci + "\"", "AWS_ROLE_ARN is \"" + ci + "2\"", "ECR_OIDC_ROLE"}},
		{"a name where an ARN is wanted", host, []string{"ECR_ROLE_TO_ASSUME=ci"}, []string{"ECR_ROLE_TO_ASSUME has \"ci\"", "arn:aws:iam::ACCOUNT:role/NAME"}},
		{"a chain where one is wanted", host, []string{"AWS_ROLE_ARN=" + ci + "," + ci}, []string{"AWS_ROLE_ARN has "}},
		{"a name for the public registry", public, []string{"ECR_OIDC_ROLE_PUBLIC=ci"}, []string{"ECR_OIDC_ROLE_PUBLIC has \"ci\"", "arn:aws:iam::ACCOUNT:role/NAME"}},
	}
	for _, bad := range []string{
		"arn:aws:iam::12345678901:role/ci", "arn:aws:iam::1234567890123:role/ci", "arn:aws:iam::123456789012:user/ci", "arn:aws:iam::123456789012:role/",
		"arn:aws:sts::123456789012:assumed-role/ci/x", "arn:aws:iam:eu-west-2:123456789012:role/ci", "ARN:aws:iam::123456789012:role/ci", "arn:aws:iam::123456789012:role/a b",
		"https://x", "ci*", "/ci", "ci/", "a//b", "rôle", "ci\nci", strings.Repeat("x", 513), ",", "ci,", ",ci", "ci,,ci", "ci;ci",
	} {
		tests = append(tests, struct {
			name string
			host string
			env  []string
			want []string
		}{"malformed " + bad[:min(len(bad), 20)], host, []string{"ECR_OIDC_ROLE=" + bad}, []string{"ECR_OIDC_ROLE has ", "it must be arn:aws:iam::ACCOUNT:role/NAME or the name of a role in the registry's account"}})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := planFor(t, tt.host, tt.env...)
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
