package explain

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

const host = "123456789012.dkr.ecr.eu-west-2.amazonaws.com"

func environ(pairs ...string) token.Env {
	return func(name string) (string, bool) {
		for _, pair := range pairs {
			if key, value, _ := strings.Cut(pair, "="); key == name {
				return value, true
			}
		}
		return "", false
	}
}

func TestAdvice(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // no circleci command
	identify := func(source string, role bool, variables ...string) error {
		_, err := token.Identify(environ(variables...),
			token.Settings{Source: source, SourceFrom: "ECR_OIDC_SOURCE", HasRole: role,
				HasWebIdentityRole: role})
		return err
	}
	missing := func(source string, ignored ...string) error {
		var variables []string
		for _, name := range ignored {
			variables = append(variables, name+"=x")
		}
		return identify(source, true, variables...)
	}
	aws := func(step exchange.Step, code, message string) error {
		return &exchange.Error{Step: step, Source: "github", Code: code, Message: message}
	}
	const (
		permissions = "give the job `permissions: {id-token: write}`"
		setRole     = "set ECR_OIDC_ROLE to the role to assume"
		useKeys     = "; the AWS keys in the environment are used with ECR_OIDC_SOURCE=aws"
		useFile     = "; AWS_WEB_IDENTITY_TOKEN_FILE is used with ECR_OIDC_SOURCE=file"
	)
	tests := []struct {
		name string
		err  error
		want []string // in this order; none is no advice
	}{
		{"GitHub without a token", missing("github"), []string{permissions}},
		{"CircleCI without a token", missing("circleci"),
			[]string{"check that the job receives an OIDC token"}},
		{"GitLab without a token", missing("gitlab"),
			[]string{"give the job `id_tokens: {ECR_OIDC_TOKEN: {aud: sts.amazonaws.com}}`"}},
		{"Buildkite without a token", missing("buildkite"),
			[]string{"pass BUILDKITE_JOB_ID and BUILDKITE_AGENT_ACCESS_TOKEN to"}},
		{"file without one", missing("file"), []string{"set ECR_OIDC_TOKEN_FILE"}},
		{"env without one", missing("env"), []string{"set ECR_OIDC_TOKEN to"}},
		{"keys that were not used", missing("github", "AWS_ACCESS_KEY_ID"),
			[]string{permissions, useKeys}},
		{"a file that was not used", missing("github", "AWS_WEB_IDENTITY_TOKEN_FILE"),
			[]string{permissions, useFile}},
		{"both", missing("gitlab", "AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"),
			[]string{"id_tokens", useKeys, useFile}},
		{"no role", identify("github", false, "ACTIONS_ID_TOKEN_REQUEST_URL=https://x",
			"ACTIONS_ID_TOKEN_REQUEST_TOKEN=x"), []string{setRole}},
		{"no role and no token", identify("github", false),
			[]string{setRole, ", and ", permissions}},
		{"no role, a file that was not used",
			identify("circleci", false, "CIRCLE_OIDC_TOKEN_V2=x", "AWS_WEB_IDENTITY_TOKEN_FILE=x"),
			[]string{setRole, useFile}},
		{"another audience", &token.AudienceError{Advice: "do this"}, []string{"do this"}},
		{"an SSO login", &exchange.SignInError{Profile: "dev", Command: "aws sso login"},
			[]string{"run: aws sso login --profile dev"}},
		{"an aws login", &exchange.SignInError{Profile: "dev", Command: "aws login"},
			[]string{"run: aws login --profile dev"}},
		{"a login of a profile with an odd name",
			&exchange.SignInError{Profile: "it's me", Command: "aws login"},
			[]string{`run: aws login --profile 'it'\''s me'`}},
		{"a command that failed", &exchange.ProcessError{Profile: "dev"},
			[]string{"aws sts get-caller-identity --profile dev"}},
		{"a profile that is not there", &exchange.ProfileError{Profile: "dev", Missing: true},
			[]string{"aws configure list-profiles"}},
		{"a profile that wants a code", &exchange.ProfileError{Profile: "dev", MFA: true},
			[]string{"aws configure export-credentials --format env --profile dev"}},
		{"a role on an aws login", &exchange.ProfileError{Profile: "dev", LoginProfile: "jane", Role: "R"},
			[]string{"set ECR_OIDC_PROFILE=jane and ECR_OIDC_ROLE=R"}},
		{"a profile that is wrong otherwise", &exchange.ProfileError{Profile: "dev"}, nil},
		{"no credentials", &exchange.NoCredentialsError{Profile: "p", Ambient: "instance"},
			[]string{"aws sso login", "ECR_OIDC_PROFILE",
				"the instance's own credentials are used only with ECR_OIDC_SOURCE=aws"}},
		{"no credentials in a container",
			&exchange.NoCredentialsError{Profile: "p", Ambient: "container"},
			[]string{"the container's own credentials"}},
		{"role refused", aws(exchange.StepWebIdentity, "AccessDenied", ""),
			[]string{"either there is no such role, or its trust policy does not admit exactly " +
				"this subject and audience"}},
		{"link refused", aws(exchange.StepAssumeRole, "AccessDenied", ""),
			[]string{"the role's trust policy must admit the identity before it",
				"sts:AssumeRole"}},
		{"password refused", aws(exchange.StepPassword, "AccessDeniedException", ""),
			[]string{`allow it ecr:GetAuthorizationToken on "*"`}},
		{"public password refused",
			&exchange.Error{Step: exchange.StepPassword, Code: "AccessDeniedException",
				Registry: registry.Registry{Public: true}},
			[]string{"ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken"}},
		{"no provider", aws(exchange.StepWebIdentity, "InvalidIdentityToken",
			"No OpenIDConnect provider found in your account for https://x"),
			[]string{"create the IAM OIDC provider"}},
		{"audience not listed", aws(exchange.StepWebIdentity, "InvalidIdentityToken",
			"Incorrect token audience"), []string{"add the audience to the client ids"}},
		{"keys not fetched", aws(exchange.StepWebIdentity, "InvalidIdentityToken",
			"Couldn't retrieve verification key"), nil},
		{"expired", aws(exchange.StepWebIdentity, "ExpiredTokenException", ""),
			[]string{"have the CI issue a new token"}},
		{"expired on CircleCI", &exchange.Error{Step: exchange.StepWebIdentity, Source: "circleci",
			Code: "ExpiredTokenException"}, []string{"CircleCI's token is valid for one hour"}},
		{"region off", aws(exchange.StepWebIdentity, "RegionDisabledException", ""),
			[]string{"activate STS in that region"}},
		{"too long a session", aws(exchange.StepWebIdentity, "ValidationError",
			"The requested DurationSeconds exceeds the MaxSessionDuration set for this role."),
			[]string{"shorten ECR_OIDC_SESSION_DURATION"}},
		{"no answer", aws(exchange.StepWebIdentity, "", "no response in time"), nil},
		{"a proxy that intercepts TLS",
			aws(exchange.StepWebIdentity, "", "tls: failed to verify certificate: x509: certificate signed "+
				"by unknown authority"), []string{"AWS_CA_BUNDLE"}},
		{"one in front of the CI",
			&token.RequestError{CI: "GitHub", Attempts: 1,
				Why: "x509: certificate signed by unknown authority"}, []string{"AWS_CA_BUNDLE"}},
		{"a code that we know nothing of", aws(exchange.StepWebIdentity, "Surprise", "x"), nil},
		{"another error", errors.New("x"), nil},
		{"none", nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.err
			if err != nil {
				err = fmt.Errorf("outer: %w", err)
			}
			got := Advice(err)
			rest := got
			for _, want := range tt.want {
				_, after, found := strings.Cut(rest, want)
				if !found {
					t.Fatalf("%q, want %q in it, after what comes before", got, want)
				}
				rest = after
			}
			if len(tt.want) == 0 && got != "" || strings.Contains(got, "\n") ||
				strings.HasSuffix(got, ".") || strings.HasSuffix(got, ";") {
				t.Errorf("%q", got)
			}
		})
	}
}

// Advice follows its error on the same line, and keys that were not named are not offered.
func TestAdviceIsOnTheLine(t *testing.T) {
	err := fmt.Errorf("a\nrequest-token-of-this-job: %w",
		&token.MissingError{Token: "the OIDC token", Why: "x",
			Advice: "set ECR_OIDC_TOKEN to the token"})
	got := Line(err, "", []string{"request-token-of-this-job"})
	if want := "ecr-oidc: a ***: finding the OIDC token: x; set ECR_OIDC_TOKEN to the token"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A refusal whose reason AWS or the CI keeps to itself names the command that explains it, with the
// host.
func TestDoctorIsNamed(t *testing.T) {
	reg, _ := registry.Parse(host)
	aws := func(step exchange.Step, code, message string) error {
		return fmt.Errorf("outer: %w",
			&exchange.Error{Step: step, Registry: reg, Code: code, Message: message})
	}
	for _, tt := range []struct {
		name string
		err  error
		host string
		want bool
	}{
		{"role refused", aws(exchange.StepWebIdentity, "AccessDenied", ""), "", true},
		{"link refused", aws(exchange.StepAssumeRole, "AccessDenied", ""), "", true},
		{"password refused, and what to allow is said",
			aws(exchange.StepPassword, "AccessDeniedException", ""), "", false},
		{"no answer", aws(exchange.StepWebIdentity, "", "HTTP 500"), "", true},
		{"a code that we know nothing of", aws(exchange.StepWebIdentity, "Surprise", ""), "", true},
		{"expired, and what to do is said", aws(exchange.StepWebIdentity, "ExpiredTokenException", ""), "",
			false},
		{"no token from the CI", &token.RequestError{CI: "GitHub", Why: "HTTP 500"}, host, true},
		{"no token from the CI, for another command",
			&token.RequestError{CI: "GitHub", Why: "HTTP 500"}, "", false},
		{"something hangs", &TimeoutError{"answering get", time.Second}, host, true},
		{"something hangs, and no registry was named", &TimeoutError{"answering get", time.Second},
			"", false},
		{"a proxy that intercepts TLS",
			&token.RequestError{CI: "GitHub", Why: "certificate signed by unknown authority"},
			host, false},
		{"no permission, and what to do is said", &token.MissingError{Advice: "x"}, host, false},
		{"a setting", errors.New("ECR_OIDC_SOURCE is bad"), host, false},
	} {
		got := Line(tt.err, tt.host, nil)
		if strings.HasSuffix(got,
			"; to see why: docker-credential-ecr-oidc doctor "+host) != tt.want {
			t.Errorf("%s: %s", tt.name, got)
		}
	}
}
