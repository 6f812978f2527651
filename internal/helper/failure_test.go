package helper

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/cache"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// An encoded error has the same type and text after decoding. Its TTL depends on its type.
func TestEncodeDecodeError(t *testing.T) {
	reg, _ := registry.Parse(host)
	aws := func(code string, retryable bool) error {
		return &exchange.Error{Step: exchange.StepWebIdentity, Registry: reg,
			Role: "arn:aws:iam::123456789012:role/ci", From: "ECR_OIDC_ROLE",
			Source:  "github",
			Subject: "repo:acme/app:pull_request", Audience: "sts.amazonaws.com",
			Code: code, Message: "no", Retryable: retryable}
	}
	const name = "the CircleCI job's OIDC token"
	for _, tt := range []struct {
		name            string
		err             error
		ttl             time.Duration
		identityRefused bool
	}{
		{"refusal", aws("AccessDenied", false), 10 * time.Second, true},
		{"missing OIDC provider", aws("InvalidIdentityToken", false), 10 * time.Second, true},
		{"issuer keys not fetched", aws("InvalidIdentityToken", true), 2 * time.Second, false},
		{"expired token", aws("ExpiredTokenException", false), 10 * time.Second, false},
		{"throttled", aws("Throttling", true), 2 * time.Second, false},
		{"no response", aws("", true), 2 * time.Second, false},
		{"CI refused", &token.RequestError{CI: "GitHub", Attempts: 1,
			Why: "HTTP 401 Unauthorized", Final: true}, 10 * time.Second, false},
		{"CI certificate not trusted", &token.RequestError{CI: "GitHub", Attempts: 1,
			Why: "certificate signed by unknown authority"}, 0, false},
		{"AWS certificate not trusted", aws("", false), 0, false},
		{"CI unavailable", &token.RequestError{CI: "GitHub", Attempts: 5, Why: "HTTP 503",
			Retryable: true}, 2 * time.Second, false},
		{"other audience", &token.AudienceError{TokenName: name, Advice: "do this", Want: "a",
			Got: []string{"b", "c"}, Why: "why"}, 0, false},
		{"no token", &token.MissingError{TokenName: name, Advice: "do that",
			Why: "it is not set", Ignored: []string{"AWS_ACCESS_KEY_ID"}}, 0, false},
		{"no credentials", &exchange.NoCredentialsError{Profile: "dev", Ambient: "instance",
			Why: "no route"}, 0, false},
		{"sign-in expired", &exchange.SignInError{Profile: "dev", Command: "aws sso login",
			Why: "was spent"}, 0, false},
		{"no profile", &exchange.ProfileError{Profile: "dev", From: "AWS_PROFILE",
			Why: "is not there", Missing: true}, 0, false},
		{"credential process",
			&exchange.ProcessError{Profile: "dev", Why: "printed nothing"}, 0, false},
		{"setting", errors.New("reading AWS_CA_BUNDLE: no such file"), 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := encodeError(tt.err)
			if f.TTL != tt.ttl || f.IdentityRefused != tt.identityRefused {
				t.Errorf("TTL %v, identity refused %v", f.TTL, f.IdentityRefused)
			}
			got := decodeError(f,
				exchange.LoginInput{Settings: config.Settings{Registry: reg},
					Roles: config.RoleChain{From: "ECR_OIDC_ROLE"}})
			if got.Error() != tt.err.Error() || !reflect.DeepEqual(got, tt.err) {
				t.Errorf("%T %v\nwant %T %v", got, got, tt.err, tt.err)
			}
		})
	}
	if encodeError(nil) != nil {
		t.Error("a nil error has a failure")
	}
}

// The error of a refused password names the registry of this process, not that of the process that
// made the request.
func TestDecodeErrorRegistry(t *testing.T) {
	first, _ := registry.Parse(host)
	second, _ := registry.Parse("210987654321" + strings.TrimPrefix(host, "123456789012"))
	f := encodeError(&exchange.Error{Step: exchange.StepPassword, Registry: first,
		Role: "arn:aws:iam::123456789012:role/ci", From: "ECR_OIDC_ROLE_123456789012",
		Source: "github", Code: "AccessDeniedException"})
	got := decodeError(f, exchange.LoginInput{Settings: config.Settings{Registry: second},
		Roles: config.RoleChain{From: "ECR_OIDC_ROLE_210987654321"}}).Error()
	if !strings.Contains(got, second.Host) || strings.Contains(got, first.Host) ||
		!strings.Contains(got, "from ECR_OIDC_ROLE_210987654321") {
		t.Error(got)
	}
}

// A failure that another version of the program encoded is still an error.
func TestDecodeErrorOtherVersion(t *testing.T) {
	for _, payload := range []string{"", "noise", "[]", `{"AWS": 7}`} {
		if err := decodeError(&cache.Failure{Payload: []byte(payload)},
			exchange.LoginInput{}); err == nil || err.Error() == "" {
			t.Errorf("%q: %v", payload, fmt.Sprint(err))
		}
	}
}
