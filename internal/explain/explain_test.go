package explain

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/testenv"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

const host = "123456789012.dkr.ecr.eu-west-2.amazonaws.com"

func environ(pairs ...string) token.Env { return testenv.Lookup(pairs...) }

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
		useKeys     = "; to use the AWS keys in the environment, set ECR_OIDC_SOURCE=aws"
		useFile     = "; to use AWS_WEB_IDENTITY_TOKEN_FILE, set ECR_OIDC_SOURCE=file"
	)
	tests := []struct {
		name string
		err  error
		want []string // substrings in this order; nil: no advice
	}{
		{"GitHub without a token", missing("github"), []string{permissions}},
		{"CircleCI without a token", missing("circleci"),
			[]string{"check that the job receives an OIDC token"}},
		{"GitLab without a token", missing("gitlab"),
			[]string{"give the job `id_tokens: {ECR_OIDC_TOKEN: {aud: sts.amazonaws.com}}`"}},
		{"Buildkite without a token", missing("buildkite"),
			[]string{"pass BUILDKITE_JOB_ID and BUILDKITE_AGENT_ACCESS_TOKEN to"}},
		{"file without a token", missing("file"), []string{"set ECR_OIDC_TOKEN_FILE"}},
		{"env without a token", missing("env"), []string{"set ECR_OIDC_TOKEN to"}},
		{"ignored keys", missing("github", "AWS_ACCESS_KEY_ID"),
			[]string{permissions, useKeys}},
		{"ignored token file", missing("github", "AWS_WEB_IDENTITY_TOKEN_FILE"),
			[]string{permissions, useFile}},
		{"ignored keys and token file",
			missing("gitlab", "AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"),
			[]string{"id_tokens", useKeys, useFile}},
		{"no role", identify("github", false, "ACTIONS_ID_TOKEN_REQUEST_URL=https://x",
			"ACTIONS_ID_TOKEN_REQUEST_TOKEN=x"), []string{setRole}},
		{"no role and no token", identify("github", false),
			[]string{setRole, ", and ", permissions}},
		{"no role, ignored token file",
			identify("circleci", false, "CIRCLE_OIDC_TOKEN_V2=x",
				"AWS_WEB_IDENTITY_TOKEN_FILE=x"),
			[]string{setRole, useFile}},
		{"wrong audience", &token.AudienceError{Advice: "do this"}, []string{"do this"}},
		{"SSO login", &exchange.SignInError{Profile: "dev", Command: "aws sso login"},
			[]string{"run: aws sso login --profile dev"}},
		{"aws login", &exchange.SignInError{Profile: "dev", Command: "aws login"},
			[]string{"run: aws login --profile dev"}},
		{"profile name that needs quotes",
			&exchange.SignInError{Profile: "it's me", Command: "aws login"},
			[]string{`run: aws login --profile 'it'\''s me'`}},
		{"failed credential_process", &exchange.ProcessError{Profile: "dev"},
			[]string{"aws sts get-caller-identity --profile dev"}},
		{"missing profile", &exchange.ProfileError{Profile: "dev", Missing: true},
			[]string{"aws configure list-profiles"}},
		{"profile that requires MFA", &exchange.ProfileError{Profile: "dev", MFA: true},
			[]string{"aws configure export-credentials --format env --profile dev"}},
		{"role on an aws login profile",
			&exchange.ProfileError{Profile: "dev", ConsoleProfile: "jane", Role: "R"},
			[]string{"set ECR_OIDC_PROFILE=jane and ECR_OIDC_ROLE=R"}},
		{"other profile error", &exchange.ProfileError{Profile: "dev"}, nil},
		{"no credentials", &exchange.NoCredentialsError{Profile: "p", Ambient: "instance"},
			[]string{"aws sso login", "ECR_OIDC_PROFILE",
				"the instance's own credentials are used only with ECR_OIDC_SOURCE=aws"}},
		{"no credentials in a container",
			&exchange.NoCredentialsError{Profile: "p", Ambient: "container"},
			[]string{"the container's own credentials"}},
		{"role refused", aws(exchange.StepWebIdentity, "AccessDenied", ""),
			[]string{"the role does not exist, or its trust policy does not admit this exact " +
				"subject and audience"}},
		{"chained role refused", aws(exchange.StepAssumeRole, "AccessDenied", ""),
			[]string{"the role's trust policy must admit the calling identity",
				"sts:AssumeRole"}},
		{"password refused", aws(exchange.StepPassword, "AccessDeniedException", ""),
			[]string{`must allow ecr:GetAuthorizationToken on "*"`}},
		{"public password refused",
			&exchange.Error{Step: exchange.StepPassword, Code: "AccessDeniedException",
				Registry: registry.Registry{Public: true}},
			[]string{"ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken"}},
		{"no provider", aws(exchange.StepWebIdentity, "InvalidIdentityToken",
			"No OpenIDConnect provider found in your account for https://x"),
			[]string{"create an IAM OIDC provider"}},
		{"audience not in the provider", aws(exchange.StepWebIdentity, "InvalidIdentityToken",
			"Incorrect token audience"), []string{"add the audience to the client IDs"}},
		{"issuer keys not retrieved", aws(exchange.StepWebIdentity, "InvalidIdentityToken",
			"Couldn't retrieve verification key"), nil},
		{"expired token", aws(exchange.StepWebIdentity, "ExpiredTokenException", ""),
			[]string{"have the CI issue a new token"}},
		{"expired token on CircleCI", &exchange.Error{
			Step: exchange.StepWebIdentity, Source: "circleci", Code: "ExpiredTokenException"},
			[]string{"CircleCI's token is valid for one hour"}},
		{"region not activated", aws(exchange.StepWebIdentity, "RegionDisabledException", ""),
			[]string{"activate STS for that region"}},
		{"session too long", aws(exchange.StepWebIdentity, "ValidationError",
			"The requested DurationSeconds exceeds the MaxSessionDuration set for this role."),
			[]string{"reduce ECR_OIDC_SESSION_DURATION"}},
		{"no response", aws(exchange.StepWebIdentity, "", "no response in time"), nil},
		{"TLS interception before AWS",
			aws(exchange.StepWebIdentity, "", "tls: failed to verify certificate: x509: "+
				"certificate signed by unknown authority"), []string{"AWS_CA_BUNDLE"}},
		{"TLS interception before the CI",
			&token.RequestError{CI: "GitHub", Attempts: 1,
				Why: "x509: certificate signed by unknown authority"},
			[]string{"AWS_CA_BUNDLE"}},
		{"unknown code", aws(exchange.StepWebIdentity, "Surprise", "x"), nil},
		{"other error", errors.New("x"), nil},
		{"nil", nil, nil},
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
					t.Fatalf("advice %q does not contain %q in this order", got, want)
				}
				rest = after
			}
			if len(tt.want) == 0 && got != "" || strings.Contains(got, "\n") ||
				strings.HasSuffix(got, ".") || strings.HasSuffix(got, ";") {
				t.Errorf("advice %q, want none or one line without a final period", got)
			}
		})
	}
}

// The advice follows its error on the same line, and secrets are redacted.
func TestLine(t *testing.T) {
	err := fmt.Errorf("a\nrequest-token-of-this-job: %w",
		&token.MissingError{TokenName: "the OIDC token", Why: "x",
			Advice: "set ECR_OIDC_TOKEN to the token"})
	got := Line(err, "", []string{"request-token-of-this-job"})
	const want = "ecr-oidc: a ***: finding the OIDC token: x; set ECR_OIDC_TOKEN to the token"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// The line of an error that doctor can explain ends with the doctor command for the registry.
func TestDoctorCommand(t *testing.T) {
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
		{"chained role refused", aws(exchange.StepAssumeRole, "AccessDenied", ""), "", true},
		{"password refused, with advice",
			aws(exchange.StepPassword, "AccessDeniedException", ""), "", false},
		{"no response", aws(exchange.StepWebIdentity, "", "HTTP 500"), "", true},
		{"unknown code", aws(exchange.StepWebIdentity, "Surprise", ""), "", true},
		{"expired token, with advice", aws(exchange.StepWebIdentity, "ExpiredTokenException", ""), "",
			false},
		{"no token from the CI", &token.RequestError{CI: "GitHub", Why: "HTTP 500"}, host, true},
		{"no token from the CI, unknown registry",
			&token.RequestError{CI: "GitHub", Why: "HTTP 500"}, "", false},
		{"timeout", &TimeoutError{"running get", time.Second}, host, true},
		{"timeout, unknown registry", &TimeoutError{"running get", time.Second},
			"", false},
		{"TLS interception",
			&token.RequestError{CI: "GitHub", Why: "certificate signed by unknown authority"},
			host, false},
		{"no permission, with advice", &token.MissingError{Advice: "x"}, host, false},
		{"invalid setting", errors.New("ECR_OIDC_SOURCE is bad"), host, false},
	} {
		got := Line(tt.err, tt.host, nil)
		if strings.HasSuffix(got,
			"; to see why: docker-credential-ecr-oidc doctor "+host) != tt.want {
			t.Errorf("%s: %s", tt.name, got)
		}
	}
}
