package exchange

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// TestErrorRedacted checks that secrets in AWS's messages are redacted. A signature error quotes
// the session token and the secret key. A validation error quotes the OIDC token.
func TestErrorRedacted(t *testing.T) {
	const (
		jwt          = "not.even.base64-but-secret"
		sessionToken = "SESSION-TOKEN-OF-THE-ROLE"
		secret       = "SECRET-KEY-OF-THE-ROLE-SESSION"
	)
	var stsError string
	aws := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/ecr"):
			rw.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(rw, `{"__type":"InvalidSignatureException","message":"The Canonical String `+
				`should have been 'x-amz-security-token:%s' %s"}`,
				r.Header.Get("X-Amz-Security-Token"), secret)
		case stsError != "":
			rw.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(rw, `<ErrorResponse><Error><Code>ValidationError</Code><Message>`+
				`Value '%s' at 'webIdentityToken' %s</Message></Error></ErrorResponse>`, jwt, stsError)
		default:
			fmt.Fprintf(rw, `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult>`+
				`<Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId>`+
				`<SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken>`+
				`<Expiration>2036-01-01T00:00:00Z</Expiration></Credentials>`+
				`</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
				secret, sessionToken)
		}
	}))
	defer aws.Close()
	t.Setenv("AWS_ENDPOINT_URL_STS", aws.URL+"/sts")
	t.Setenv("AWS_ENDPOINT_URL_ECR", aws.URL+"/ecr")
	env := func(name string) (string, bool) {
		v, ok := map[string]string{"CIRCLECI": "true", "CIRCLE_OIDC_TOKEN_V2": jwt}[name]
		return v, ok
	}
	reg, _ := registry.Parse("123456789012.dkr.ecr.eu-west-2.amazonaws.com")
	settings := config.Settings{Registry: reg, SessionName: "test"}
	roles := config.RoleChain{ARNs: []string{"arn:aws:iam::123456789012:role/ci"},
		From: "ECR_OIDC_ROLE"}
	id, err := token.Identify(env, token.Settings{HasRole: true})
	if err != nil {
		t.Fatal(err)
	}
	in := LoginInput{Settings: settings, Roles: roles, Identity: id, token: token.Token{Raw: jwt}, Env: env,
		Debug: func(string, ...any) {}}
	for _, tt := range []struct{ sts, want string }{
		{"", "InvalidSignatureException: The Canonical String should have been " +
			"'x-amz-security-token:***' ***"},
		{"is bad", "ValidationError: Value '***' at 'webIdentityToken' is bad"},
	} {
		stsError = tt.sts
		_, err := in.assumeRolesAndGetPassword(t.Context())
		if err == nil || !strings.HasSuffix(err.Error(), tt.want) {
			t.Errorf("%v, want ...%s", err, tt.want)
		}
	}
}

// TestResponseWithoutCredentials checks the error for a response of STS without credentials. It
// names the role.
func TestResponseWithoutCredentials(t *testing.T) {
	aws := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprint(rw, `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult>`+
			`</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`)
	}))
	defer aws.Close()
	t.Setenv("AWS_ENDPOINT_URL", aws.URL)
	env := func(name string) (string, bool) { return "x.y.z", name == "ECR_OIDC_TOKEN" }
	id, err := token.Identify(env, token.Settings{HasRole: true})
	if err != nil {
		t.Fatal(err)
	}
	reg, _ := registry.Parse("123456789012.dkr.ecr.eu-west-2.amazonaws.com")
	settings := config.Settings{Registry: reg, SessionName: "test"}
	roles := config.RoleChain{ARNs: []string{"arn:aws:iam::123456789012:role/ci"},
		From: "ECR_OIDC_ROLE"}
	in := LoginInput{Settings: settings, Roles: roles, Identity: id, Env: env,
		Debug: func(string, ...any) {}}
	_, err = in.assumeRolesAndGetPassword(t.Context())
	const want = "requesting role ci in 123456789012 (from ECR_OIDC_ROLE), source env: " +
		"the response of STS contains no credentials"
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
