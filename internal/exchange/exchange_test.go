package exchange

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	ssotypes "github.com/aws/aws-sdk-go-v2/service/sso/types"
	ssooidctypes "github.com/aws/aws-sdk-go-v2/service/ssooidc/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyendpoints "github.com/aws/smithy-go/endpoints"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/testenv"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

const (
	registryHost = "123456789012.dkr.ecr.eu-west-2.amazonaws.com"
	role         = "arn:aws:iam::123456789012:role/teams/ci"
)

// parseHost returns the registry of an ECR host.
func parseHost(t *testing.T, host string) registry.Registry {
	t.Helper()
	reg, ok := registry.Parse(host)
	if !ok {
		t.Fatalf("%s is not an ECR host", host)
	}
	return reg
}

// TestChooseVariant checks that the host selects FIPS and dual-stack, that AWS's variables can
// enable them too, and that a custom endpoint disables both. FIPS in a region without FIPS
// endpoints is an error.
func TestChooseVariant(t *testing.T) {
	const (
		plain, dual = "123456789012.dkr.ecr.eu-west-2.amazonaws.com",
			"123456789012.dkr-ecr.eu-west-2.on.aws"
		us, usFIPS = "123456789012.dkr.ecr.us-east-1.amazonaws.com",
			"123456789012.dkr.ecr-fips.us-east-1.amazonaws.com"
		usBoth      = "123456789012.dkr-ecr-fips.us-west-2.on.aws"
		gov, euFIPS = "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
			"123456789012.dkr.ecr-fips.eu-west-2.amazonaws.com"
		public, publicDual = "public.ecr.aws", "ecr-public.aws.com"
		china              = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"
	)
	tests := []struct {
		host               string
		fips, dual         bool // set by AWS's variables
		custom             bool
		wantFIPS, wantDual bool
		wrong              bool
	}{
		{host: plain},
		{host: plain, dual: true, wantDual: true},
		{host: plain, fips: true, wrong: true},
		{host: plain, fips: true, dual: true, custom: true},
		{host: dual, wantDual: true},
		{host: dual, custom: true},
		{host: us},
		{host: us, fips: true, wantFIPS: true},
		{host: us, fips: true, dual: true, wantFIPS: true, wantDual: true},
		{host: usFIPS, wantFIPS: true},
		{host: usFIPS, dual: true, wantFIPS: true, wantDual: true},
		{host: usFIPS, custom: true},
		{host: usBoth, wantFIPS: true, wantDual: true},
		{host: gov, wantFIPS: true},
		{host: euFIPS, wrong: true},
		{host: euFIPS, custom: true},
		{host: public},
		{host: public, dual: true, wantDual: true},
		{host: public, fips: true, wrong: true},
		{host: public, fips: true, custom: true},
		{host: publicDual, wantDual: true},
		{host: china, fips: true, wrong: true},
	}
	fipsState := map[bool]aws.FIPSEndpointState{true: aws.FIPSEndpointStateEnabled}
	dualState := map[bool]aws.DualStackEndpointState{true: aws.DualStackEndpointStateEnabled}
	for _, tt := range tests {
		fips, dual := fipsState[tt.fips], dualState[tt.dual]
		var custom *string
		if tt.custom {
			custom = aws.String("http://127.0.0.1:1")
		}
		in := LoginInput{Settings: config.Settings{Registry: parseHost(t, tt.host)}}
		in.chooseVariant(custom, &fips, &dual)
		_, err := in.endpointURL(sts.ServiceID, custom, fips, smithyendpoints.Endpoint{}, nil)
		if tt.wrong {
			if err == nil || !strings.Contains(err.Error(), tt.host) ||
				!strings.Contains(err.Error(), "AWS_USE_FIPS_ENDPOINT") {
				t.Errorf("%+v: %v, want an error", tt, err)
			}
			continue
		}
		gotFIPS := fips == aws.FIPSEndpointStateEnabled
		gotDual := dual == aws.DualStackEndpointStateEnabled
		if err != nil || gotFIPS != tt.wantFIPS || gotDual != tt.wantDual {
			t.Errorf("%+v: FIPS %v, dual-stack %v, %v", tt, gotFIPS, gotDual, err)
		}
	}
}

func TestError(t *testing.T) {
	reg := parseHost(t, registryHost)
	tests := []struct {
		name string
		err  Error
		want string
	}{
		{"refused, code only",
			Error{Step: StepWebIdentity, Registry: reg, Role: role, From: "ECR_ROLE_TO_ASSUME",
				Source: "github", Subject: "repo:acme/app:pull_request",
				Audience: "sts.amazonaws.com", Code: "AccessDenied",
				Message: "Not authorized to perform sts:AssumeRoleWithWebIdentity"},
			`AWS refused role teams/ci in 123456789012 (from ECR_ROLE_TO_ASSUME) ` +
				`for "repo:acme/app:pull_request", aud "sts.amazonaws.com", source github: ` +
				`AccessDenied`},
		{"refused, with a message",
			Error{Step: StepWebIdentity, Registry: reg, Role: role, From: "AWS_ROLE_ARN",
				Source: "github", Subject: "s", Audience: "a", Code: "InvalidIdentityToken",
				Message: "No OpenIDConnect\nprovider found"},
			`AWS refused role teams/ci in 123456789012 (from AWS_ROLE_ARN) for "s", aud "a", ` +
				`source github: InvalidIdentityToken: No OpenIDConnect provider found`},
		{"role chain, with a message",
			Error{Step: StepAssumeRole, Registry: reg, Role: role, From: "ECR_OIDC_ROLE",
				Source: "aws", Code: "AccessDenied", Message: "User: x is not authorized"},
			"AWS refused role teams/ci in 123456789012 (from ECR_OIDC_ROLE), source aws: " +
				"AccessDenied: User: x is not authorized"},
		{"password",
			Error{Step: StepPassword, Registry: reg, Role: role, From: "ECR_OIDC_ROLE",
				Source: "github", Subject: "s", Audience: "a",
				Code: "AccessDeniedException", Message: "no"},
			`AWS refused a password for ` + registryHost +
				` to role teams/ci in 123456789012 (from ECR_OIDC_ROLE) for "s", aud "a", ` +
				`source github: AccessDeniedException: no`},
		{"password without a role",
			Error{Step: StepPassword, Registry: reg, Source: "aws",
				Code: "AccessDeniedException"},
			"AWS refused a password for " + registryHost +
				", source aws: AccessDeniedException"},
		{"no response",
			Error{Step: StepWebIdentity, Registry: reg, Role: role, From: "ECR_OIDC_ROLE",
				Source: "file", Subject: "s", Audience: "a",
				Message: "no response in time"},
			`requesting role teams/ci in 123456789012 (from ECR_OIDC_ROLE) for "s", aud "a", ` +
				`source file: no response in time`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.err.Error(); got != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
			if got := errorCode(fmt.Errorf("x: %w", &tt.err)); got != tt.err.Code {
				t.Errorf("Code = %q", got)
			}
		})
	}
	if got := errorCode(errors.New("x")); got != "" {
		t.Errorf("Code of another error = %q", got)
	}
}

// TestErrorSingleLine checks that untrusted text from AWS and from the token is limited to one line
// of bounded length.
func TestErrorSingleLine(t *testing.T) {
	const untrusted = "a\r\nb\u2028c\x1b[31m ##[error]\u202e"
	for _, step := range []Step{StepWebIdentity, StepAssumeRole, StepPassword} {
		for _, code := range []string{"", "SomeCode"} {
			e := &Error{
				Step: step, Registry: parseHost(t, registryHost), Role: role, Code: code,
				From: "ECR_OIDC_ROLE", Source: "github",
				Subject:  untrusted + strings.Repeat("s", 5000),
				Audience: untrusted + strings.Repeat("a", 5000),
				Message:  untrusted + strings.Repeat("m", 5000),
			}
			if got := e.Error(); strings.ContainsAny(got, "\r\n\x1b\u2028\u202e") ||
				strings.Contains(got, "##[") || len(got) > 2500 {
				t.Errorf("%q", got)
			}
		}
	}
}

func TestDescribeRole(t *testing.T) {
	for in, want := range map[string]string{
		"arn:aws:iam::123456789012:role/ci":            "role ci in 123456789012",
		"arn:aws-cn:iam::123456789012:role/teams/a/ci": "role teams/a/ci in 123456789012",
		"arn:aws:iam::123456789012:role/with:colon":    "role with:colon in 123456789012",
		"not an ARN": "role not an ARN",
		"arn:aws:sts::123456789012:assumed-role/ci/run": "role assumed-role/ci/run in 123456789012",
	} {
		if got := DescribeRole(in); got != want {
			t.Errorf("DescribeRole(%q) = %q, want %q", in, got, want)
		}
	}
}

// responseError returns the SDK's error for an HTTP response with this status.
func responseError(status int, err error) error {
	response := &smithyhttp.Response{Response: &http.Response{StatusCode: status}}
	return &smithy.OperationError{ServiceID: "STS", OperationName: "X", Err: &awshttp.ResponseError{
		RequestID: "r", ResponseError: &smithyhttp.ResponseError{Response: response, Err: err},
	}}
}

func TestDescribeSDKError(t *testing.T) {
	sent := func(err error) error {
		return fmt.Errorf("operation error: %w",
			&smithyhttp.RequestSendError{Err: &url.Error{Op: "Post",
				URL: "https://sts.eu-west-2.amazonaws.com/?Token=secret", Err: err}})
	}
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"ctx done", fmt.Errorf("x: %w", context.DeadlineExceeded), "no response in time"},
		{"ctx done during a request", sent(context.DeadlineExceeded), "no response in time"},
		{"timeout of an attempt", sent(timeout{}),
			"no response in time from sts.eu-west-2.amazonaws.com"},
		{"no such host",
			sent(&net.DNSError{Err: "no such host", Name: "sts.eu-west-2.amazonaws.com",
				IsNotFound: true}),
			"sts.eu-west-2.amazonaws.com: lookup sts.eu-west-2.amazonaws.com: no such host"},
		{"connection refused", sent(errors.New("connection refused")),
			"sts.eu-west-2.amazonaws.com: connection refused"},
		{"page of a proxy", responseError(502, errors.New("<html>secret")), "HTTP 502"},
		{"a redirect", responseError(302, errors.New("secret")), "HTTP 302"},
		{"page of a captive portal",
			responseError(200, errors.New("deserialization failed: <html>secret")),
			"the response is not from AWS (is there a proxy in between?)"},
		{"truncated response",
			responseError(200, fmt.Errorf("deserialization failed: %w", errTruncated)),
			"the connection was closed before the response was complete"},
		{"incomplete JSON",
			responseError(200, fmt.Errorf("deserialization failed: %w", io.ErrUnexpectedEOF)),
			"the response is not from AWS (is there a proxy in between?)"},
		{"too long",
			responseError(500,
				fmt.Errorf("failed to copy error response body, %w",
					&http.MaxBytesError{Limit: maxResponse})),
			"the response is longer than 1048576 bytes"},
		{"another error", errors.New("something else"), "something else"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := describeSDKError(tt.err); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
	for in, want := range map[string]string{
		"https://h:1/x?y": "h:1", "": "AWS", "::": "AWS", "/x": "AWS",
	} {
		if got := hostOf(in); got != want {
			t.Errorf("hostOf(%q) = %q, want %q", in, got, want)
		}
	}
}

type timeout struct{}

func (timeout) Error() string { return "Client.Timeout exceeded while awaiting headers" }
func (timeout) Timeout() bool { return true }

// TestRequestError checks that the Error has AWS's code and a redacted message, and no code when
// the response is not from AWS.
func TestRequestError(t *testing.T) {
	raw := "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzIn0.c2lnbmF0dXJl"
	in := LoginInput{
		Settings: config.Settings{Registry: parseHost(t, registryHost)},
		Roles: config.RoleChain{ARNs: []string{"arn:aws:iam::123456789012:role/hub", role},
			From: "ECR_OIDC_ROLE"},
		Identity: oidcIdentity(t),
		token: token.Token{Raw: raw,
			Claims: token.Claims{Subject: "s", Audience: []string{"a", "b"}}},
		Env: environ("AWS_SECRET_ACCESS_KEY=secret-of-the-keys"),
	}
	e := in.requestError(StepWebIdentity, role, responseError(400, &smithy.GenericAPIError{
		Code:    "ValidationError",
		Message: " 1 validation error: '" + raw + "' and secret-of-the-keys \n",
	}))
	if e.Code != "ValidationError" || e.Message != "1 validation error: '***' and ***" {
		t.Errorf("code %q, message %q", e.Code, e.Message)
	}
	if e.Step != StepWebIdentity || e.Role != role || e.From != "ECR_OIDC_ROLE" ||
		e.Source != "github" || e.Subject != "s" || e.Audience != "a, b" ||
		e.Registry.Host != registryHost {
		t.Errorf("%+v", e)
	}
	e = in.requestError(StepPassword, "",
		responseError(503, &smithy.GenericAPIError{Code: "UnknownError", Message: "<html>"}))
	if e.Code != "" || e.Message != "HTTP 503" || e.Role != role {
		t.Errorf("page of a proxy: code %q, message %q, role %q", e.Code, e.Message, e.Role)
	}
	in.Identity = awsIdentity()
	if e := in.requestError(StepAssumeRole, role, errors.New("x")); e.Subject != "" ||
		e.Audience != "" || e.Source != "aws" {
		t.Errorf("an aws source: %+v", e)
	}
}

// TestRetryIssuerKeys checks that only one InvalidIdentityToken error is retried: AWS could not
// fetch the issuer's keys.
func TestRetryIssuerKeys(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want aws.Ternary
	}{
		{&smithy.GenericAPIError{Code: "InvalidIdentityToken",
			Message: "Couldn't retrieve verification key from your identity provider, please " +
				"reference AssumeRoleWithWebIdentity documentation for requirements"},
			aws.TrueTernary},
		{&smithy.GenericAPIError{Code: "InvalidIdentityToken", Message: "Incorrect token audience"},
			aws.UnknownTernary},
		{&smithy.GenericAPIError{Code: "InvalidIdentityToken",
			Message: "No OpenIDConnect provider found in your account for https://x"},
			aws.UnknownTernary},
		{&smithy.GenericAPIError{Code: "AccessDenied",
			Message: "Couldn't retrieve verification key"}, aws.UnknownTernary},
		{errors.New("Couldn't retrieve verification key"), aws.UnknownTernary},
	} {
		if got := retryIssuerKeys(responseError(400, tt.err)); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.err, got, tt.want)
		}
	}
}

// TestRetryConnection checks that an untrusted certificate is not retried, and that a truncated
// response is.
func TestRetryConnection(t *testing.T) {
	sent := func(err error) error {
		return &smithyhttp.RequestSendError{Err: &url.Error{Op: "Post", Err: err}}
	}
	in := LoginInput{Settings: config.Settings{Registry: parseHost(t, registryHost)},
		Identity: oidcIdentity(t), Env: environ()}
	for _, tt := range []struct {
		name               string
		err                error
		retried, retryable bool
	}{
		{"untrusted certificate",
			sent(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}),
			false, false},
		{"connection", sent(syscall.ECONNREFUSED), true, true},
		{"truncated response",
			responseError(200, &smithy.DeserializationError{Err: fmt.Errorf("x: %w", errTruncated)}),
			true, true},
		{"incomplete JSON",
			responseError(200,
				&smithy.DeserializationError{Err: fmt.Errorf("x: %w", io.ErrUnexpectedEOF)}),
			false, true},
		{"page of a captive portal",
			responseError(200, &smithy.DeserializationError{Err: errors.New("x")}),
			false, true},
	} {
		retried := retryer(t.Context(), "", 0)().IsErrorRetryable(tt.err)
		if retried != tt.retried {
			t.Errorf("%s: retried: %v", tt.name, retried)
		}
		retryable := in.requestError(StepWebIdentity, role, tt.err).Retryable
		if retryable != tt.retryable {
			t.Errorf("%s: retryable: %v", tt.name, retryable)
		}
	}
}

// TestRetryer checks in each retry mode, for any number of attempts, that temporary errors are
// retried and refusals are not.
func TestRetryer(t *testing.T) {
	api := func(code, message string) error {
		return responseError(400, &smithy.GenericAPIError{Code: code, Message: message})
	}
	for _, mode := range []aws.RetryMode{"", aws.RetryModeStandard, aws.RetryModeAdaptive} {
		for attempts, want := range map[int]int{0: maxAttempts, 1: 1, 7: 7} {
			r := retryer(t.Context(), mode, attempts)()
			if got := r.MaxAttempts(); got != want {
				t.Errorf("mode %q, %d attempts configured: MaxAttempts = %d", mode,
					attempts, got)
			}
			for _, err := range []error{
				api("InvalidIdentityToken",
					"Couldn't retrieve verification key from your identity provider"),
				api("Throttling", "Rate exceeded"),
				responseError(503, errors.New("x")),
			} {
				if !r.IsErrorRetryable(err) {
					t.Errorf("mode %q: not retried: %v", mode, err)
				}
			}
			for _, err := range []error{
				api("AccessDenied", "no"), api("InvalidIdentityToken", "Incorrect token audience"),
				api("ExpiredTokenException", "x"), api("ValidationError", "x"),
			} {
				if r.IsErrorRetryable(err) {
					t.Errorf("mode %q: retried: %v", mode, err)
				}
			}
		}
	}
}

// TestBackoff checks that a throttled request is retried until ctx leaves no time, and other errors
// twice, unless the user sets the number of attempts. The error is that of the last attempt. Pauses
// are random, so that processes do not retry at the same time.
func TestBackoff(t *testing.T) {
	throttle := responseError(400,
		&smithy.GenericAPIError{Code: "Throttling", Message: "Rate exceeded"})
	temporary := responseError(500, &smithy.GenericAPIError{Code: "InternalFailure"})
	within := func(d time.Duration) context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		t.Cleanup(cancel)
		return ctx
	}
	for _, tt := range []struct {
		name     string
		ctx      context.Context
		attempts int
		err      error
		failed   int           // attempts so far
		max      time.Duration // pause; 0 when there is no further attempt
	}{
		{"first throttle", t.Context(), 0, throttle, 1, time.Second},
		{"second throttle", t.Context(), 0, throttle, 2, 2 * time.Second},
		{"third throttle", t.Context(), 0, throttle, 3, 2 * time.Second},
		{"many throttles", t.Context(), 0, throttle, 19, 2 * time.Second},
		{"throttle, configured attempts", t.Context(), 7, throttle, 6, 2 * time.Second},
		{"second error", t.Context(), 0, temporary, 2, 2 * time.Second},
		{"third error", t.Context(), 0, temporary, 3, 0},
		{"third error, configured attempts", t.Context(), 7, temporary, 3, 2 * time.Second},
		{"enough time", within(20 * time.Second), 0, throttle, 5, 2 * time.Second},
		{"no time, throttle", within(firstBackoff/2 + minRetryTime), 0, throttle, 1, 0},
		{"no time, error", within(firstBackoff/2 + minRetryTime), 7, temporary, 1, 0},
		{"attempts from 0, as with AWS_NEW_RETRIES_2026", t.Context(), 0, throttle, 0, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pauses := map[time.Duration]bool{}
			for range 50 {
				pause, err := backoff(tt.ctx, tt.attempts).BackoffDelay(tt.failed, tt.err)
				if tt.max == 0 {
					if err == nil || !errors.Is(err, tt.err) {
						t.Fatalf("pause %v, error %v; want the last attempt's error", pause, err)
					}
					continue
				}
				if err != nil || pause < tt.max/2 || pause >= tt.max {
					t.Fatalf("pause %v, error %v; want %v to %v",
						pause, err, tt.max/2, tt.max)
				}
				pauses[pause] = true
			}
			if tt.max > 0 && len(pauses) < 40 {
				t.Errorf("%d different pauses of 50", len(pauses))
			}
		})
	}
}

// TestCredentialsFormat checks that no verb formats the password.
func TestCredentialsFormat(t *testing.T) {
	l := Credentials{Username: "AWS", Password: "the-password", TTL: 12 * time.Hour}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for _, v := range []any{
			l, []Credentials{l}, map[string]Credentials{"l": l}, struct{ Login Credentials }{l},
		} {
			got := fmt.Sprintf(verb, v)
			if strings.Contains(got, "the-password") ||
				strings.Contains(got, fmt.Sprintf("%x", "the-password")) {
				t.Errorf("%s of %T prints %s", verb, v, got)
			}
		}
	}
	if got, want := fmt.Sprint(l), `login of "AWS" for 12h0m0s`; got != want {
		t.Errorf("String = %s, want %s", got, want)
	}
}

func TestParseAuthorizationToken(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	in := LoginInput{Settings: config.Settings{Registry: parseHost(t, registryHost)},
		Identity: awsIdentity()}
	b64 := base64.StdEncoding.EncodeToString
	expires := aws.Time(now.Add(12 * time.Hour))
	got, err := in.parseAuthorizationToken(aws.String(b64([]byte("AWS:pass:with:colons"))), expires, now)
	want := Credentials{Username: "AWS", Password: "pass:with:colons", TTL: 12 * time.Hour}
	if err != nil || got != want {
		t.Errorf("login of %q with %q for %v, %v", got.Username, got.Password, got.TTL, err)
	}
	for name, encoded := range map[string]*string{
		"none": nil, "empty": aws.String(""), "not base64": aws.String("AWS:secret"),
		"no colon":    aws.String(b64([]byte("secret"))),
		"no user":     aws.String(b64([]byte(":secret"))),
		"no password": aws.String(b64([]byte("AWS:"))),
	} {
		var e *Error
		if got, err := in.parseAuthorizationToken(encoded, expires, now); !errors.As(err, &e) ||
			got != (Credentials{}) || strings.Contains(err.Error(), "secret") ||
			!strings.Contains(err.Error(), "the response of ECR contains no password") {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = in.parseAuthorizationToken(aws.String(b64([]byte("AWS:secret"))), nil, now)
	if err == nil {
		t.Error("no error for a password without an expiry")
	}
}

// TestIncompleteKeyPair checks that a missing secret access key is an error, and that no other
// identity is used.
func TestIncompleteKeyPair(t *testing.T) {
	for _, tt := range []struct {
		env  []string
		want string
	}{
		{[]string{"AWS_ACCESS_KEY_ID=AKIA"},
			"reading AWS credentials: AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not"},
		{[]string{"AWS_ACCESS_KEY_ID=AKIA", "AWS_SECRET_ACCESS_KEY= "},
			"reading AWS credentials: AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is empty"},
	} {
		in := LoginInput{Settings: config.Settings{Registry: parseHost(t, registryHost)},
			Identity: token.Identity{KeysOnly: true}, Env: environ(tt.env...)}
		if _, err := in.assumeRolesAndGetPassword(t.Context()); err == nil || err.Error() != tt.want {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
}

// TestChainError checks that each error of the SDK for an expired sign-in session becomes a
// *SignInError with the command to run.
func TestChainError(t *testing.T) {
	sso := awsconfig.SharedConfig{Profile: "dev", SSOSession: &awsconfig.SSOSession{Name: "s"}}
	legacy := awsconfig.SharedConfig{Profile: "old", SSOStartURL: "https://x"}
	login := awsconfig.SharedConfig{Profile: "new", LoginSession: "l"}
	chained := awsconfig.SharedConfig{Profile: "outer", Source: &sso}
	plain := awsconfig.SharedConfig{Profile: "default"}
	notExist := &fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist}
	expired := []error{
		&ssocreds.InvalidTokenError{}, &ssooidctypes.InvalidGrantException{},
		&ssotypes.UnauthorizedException{}, notExist,
		errors.New("cached SSO token is expired, or not present, and cannot be refreshed"),
	}
	in := LoginInput{Env: environ()}
	for _, tt := range []struct {
		shared           awsconfig.SharedConfig
		profile, command string
	}{
		{sso, "dev", "aws sso login"},
		{legacy, "old", "aws sso login"},
		{login, "new", "aws login"},
		{chained, "dev", "aws sso login"},
	} {
		for _, err := range expired {
			got := in.chainError(tt.shared, fmt.Errorf("x: %w", err))
			var e *SignInError
			if !errors.As(got, &e) || e.Profile != tt.profile || e.Command != tt.command {
				t.Errorf("profile %s, %T: %v", tt.shared.Profile, err, got)
			}
		}
		var e *SignInError
		got := in.chainError(tt.shared, errors.New("connection refused"))
		if errors.As(got, &e) || !strings.Contains(got.Error(), tt.shared.Profile) {
			t.Errorf("profile %s, another error: %v", tt.shared.Profile, got)
		}
	}
	const prefix = `finding AWS credentials in profile "default": `
	if got := in.chainError(plain, notExist); !strings.HasPrefix(got.Error(), prefix) {
		t.Errorf("a profile without a sign-in session: %v", got)
	}
	got := in.chainError(plain, &smithy.GenericAPIError{Code: "AccessDenied", Message: "no"})
	if got.Error() != prefix+"AccessDenied: no" {
		t.Errorf("an error of AWS: %v", got)
	}
}

// environ returns an environment with these variables, each "NAME=value", and no others.
func environ(pairs ...string) token.Env { return testenv.Lookup(pairs...) }

// oidcIdentity returns an identity that is an OIDC token.
func oidcIdentity(t *testing.T) token.Identity {
	t.Helper()
	env := environ("ACTIONS_ID_TOKEN_REQUEST_URL=https://x",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN=request-token-of-this-job")
	id, err := token.Identify(env, token.Settings{HasRole: true})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// awsIdentity returns an identity of the AWS SDK's default chain.
func awsIdentity() token.Identity {
	id, _ := token.Identify(environ(), token.Settings{})
	return id
}
