package exchange

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
)

// Step is the part of an exchange that failed.
type Step string

const (
	StepWebIdentity Step = "web identity" // AssumeRoleWithWebIdentity
	StepAssumeRole  Step = "assume role"  // AssumeRole
	StepPassword    Step = "password"     // GetAuthorizationToken
)

// Outcome is the result of one step.
type Outcome struct {
	Step     Step
	Role     string        // that was assumed; "" for the password
	TTL      time.Duration // of the role session, or of the password
	Duration time.Duration // that the step took
}

// Error reports a request to AWS that was refused or had no response. It contains no secret.
type Error struct {
	Step      Step
	Registry  registry.Registry
	Role      string // ARN; empty where no role is involved
	From      string // the variable that named it
	Source    string
	Subject   string // of the token; empty for other sources
	Audience  string
	Code      string // AWS's; empty when AWS gave no answer
	Message   string // AWS's words, or why there was no answer
	Retryable bool   // a later try may succeed: no answer, a throttle, a fault of AWS's own
}

// Refused reports whether AWS refused the identity, so that its cached password must not be used
// any more.
func (e *Error) Refused() bool {
	switch e.Code {
	case "AccessDenied", "AccessDeniedException", "InvalidIdentityToken", "IDPRejectedClaim":
		return !e.Retryable
	}
	return false
}

func (e *Error) Error() string {
	var b strings.Builder
	switch {
	case e.Code == "":
		fmt.Fprintf(&b, "asking AWS for %s: %s", e.wanted(), safetext.Sanitize(e.Message))
	case e.bare():
		fmt.Fprintf(&b, "AWS refused %s: %s", e.wanted(), safetext.Sanitize(e.Code))
	default:
		fmt.Fprintf(&b, "AWS refused %s: %s: %s", e.wanted(), safetext.Sanitize(e.Code),
			safetext.Sanitize(e.Message))
	}
	return b.String()
}

// bare reports whether AWS's code is enough. Its message for a refused web identity is "Not
// authorized to perform sts:AssumeRoleWithWebIdentity" whatever the reason.
func (e *Error) bare() bool {
	return e.Message == "" || e.Step == StepWebIdentity && e.Code == "AccessDenied"
}

// wanted describes what was requested, and for whom.
func (e *Error) wanted() string {
	what := DescribeRole(e.Role) + " (from " + e.From + ")"
	if e.Step == StepPassword {
		what = "a password for " + e.Registry.Host
		if e.Role != "" {
			what += " to " + DescribeRole(e.Role) + " (from " + e.From + ")"
		}
	}
	if e.Subject != "" {
		what += fmt.Sprintf(" for %q, aud %q", safetext.Sanitize(e.Subject), safetext.Sanitize(e.Audience))
	}
	return what + ", source " + e.Source
}

// DescribeRole writes a role's ARN as "role NAME in ACCOUNT". CIs mask a whole ARN that is a secret, and
// the reader would be left with "***".
func DescribeRole(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 {
		return "role " + arn
	}
	return "role " + strings.TrimPrefix(parts[5], "role/") + " in " + parts[4]
}

// NoCredentialsError reports that the SDK's chain has no credentials that may be used.
type NoCredentialsError struct {
	Profile string // the profile that was read
	Ambient string // where the chain ends: "instance" or "container"
	Why     string // why that has none; "" when it may not be used
}

func (e *NoCredentialsError) Error() string {
	s := fmt.Sprintf("finding AWS credentials: there are none in the environment or in profile %q", e.Profile)
	if e.Why != "" {
		s += ", and the " + e.Ambient + " gives none: " + safetext.Sanitize(e.Why)
	}
	return s
}

// SignInError reports that a person has to renew a profile's login at AWS.
type SignInError struct {
	Profile string
	Command string // "aws sso login" or "aws login"
	Why     string // why it could not be renewed without one; "" when that is plain
	Err     error  `json:"-"`
}

func (e *SignInError) Error() string {
	s := "finding AWS credentials: the login of profile " + quoted(e.Profile) + " has expired "
	if e.Why != "" {
		return s + "and " + safetext.Sanitize(e.Why)
	}
	return s + "or is not there"
}
func (e *SignInError) Unwrap() error { return e.Err }

// ProfileError reports a profile that the SDK could not read.
type ProfileError struct {
	Profile string
	From    string // the variable or line that named it; "" for the default
	Why     string
	Missing bool // it is not there
	MFA     bool // it needs a code that a person has to type

	LoginProfile, Role string // this role on this profile of "aws login", which only ECR_OIDC_ROLE can assume
}

func (e *ProfileError) Error() string {
	s := "finding AWS credentials: profile " + quoted(e.Profile)
	if e.From != "" {
		s += " (from " + e.From + ")"
	}
	return s + " " + e.Why
}

func quoted(profile string) string { return fmt.Sprintf("%q", safetext.Sanitize(profile)) }

// Code returns AWS's code for an error of Get; "" when AWS did not give one.
func Code(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func (r Request) failed(step Step, role, why string) *Error {
	e := &Error{
		Step: step, Registry: r.Settings.Registry, Role: role, From: r.Roles.From,
		Source: r.Identity.Name, Message: why,
	}
	if r.Identity.OIDC() {
		e.Subject, e.Audience = r.token.Claims.Subject, strings.Join(r.token.Claims.Audience, ", ")
	}
	if n := len(r.Roles.ARNs); role == "" && n > 0 {
		e.Role = r.Roles.ARNs[n-1]
	}
	return e
}

// refused returns the Error for an error of the SDK.
func (r Request) refused(step Step, role string, err error) *Error {
	e := r.failed(step, role, "")
	if api, ok := asAPIError(err); ok {
		e.Code, e.Message = api.ErrorCode(), strings.TrimSpace(api.ErrorMessage())
		standard := retryer(context.Background(), aws.RetryModeStandard, 0)()
		e.Retryable = standard.IsErrorRetryable(err) || strings.HasPrefix(e.Code, "IDPCommunication")
	} else {
		e.Message = reason(err)
		e.Retryable = connectionError(err) != aws.FalseTernary
	}
	// AWS quotes what it refuses: a token in a validation error, a session token in one about a
	// signature.
	secrets := slices.Concat(r.Env.Secrets(), r.secrets, []string{r.token.Raw})
	e.Message = safetext.Sanitize(safetext.Redact(e.Message, secrets...))
	return e
}

// asAPIError returns AWS's own error in err. A response that is not AWS's (a page of a proxy or a
// load balancer) has the code "UnknownError" and is none.
func asAPIError(err error) (smithy.APIError, bool) {
	var api smithy.APIError
	ok := errors.As(err, &api) && api.ErrorCode() != "" && api.ErrorCode() != "UnknownError"
	return api, ok
}

// reason returns in a few words why AWS did not respond.
func reason(err error) string {
	var (
		sent     *url.Error
		response *awshttp.ResponseError
		tooLong  *http.MaxBytesError
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case strings.Contains(err.Error(), "Failed to parse uri"): // each service's endpoints.go quotes the URI
		return "a custom endpoint is not a valid URL (AWS_ENDPOINT_URL..., or endpoint_url of the profile)"
	case errors.As(err, &sent) && sent.Timeout():
		return "no answer in time from " + host(sent.URL)
	case errors.As(err, &sent):
		return host(sent.URL) + ": " + sent.Err.Error()
	case errors.As(err, &tooLong):
		return fmt.Sprintf("the answer is longer than %d bytes", tooLong.Limit)
	case errors.Is(err, errCutOff):
		return "the connection was closed before the answer was complete"
	case errors.As(err, &response) && response.HTTPStatusCode() >= 300:
		return fmt.Sprintf("HTTP %d", response.HTTPStatusCode())
	case errors.As(err, &response):
		return "the answer is not AWS's (is there a proxy in between?)"
	}
	return err.Error()
}

func host(rawURL string) string {
	if u, err := url.Parse(rawURL); err == nil && u.Host != "" {
		return u.Host
	}
	return "AWS"
}
