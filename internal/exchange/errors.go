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

// Step is a request of an exchange.
type Step string

const (
	StepWebIdentity Step = "web identity" // AssumeRoleWithWebIdentity
	StepAssumeRole  Step = "assume role"  // AssumeRole
	StepPassword    Step = "password"     // GetAuthorizationToken
)

// Outcome is the result of a successful step.
type Outcome struct {
	Step     Step
	Role     string        // ARN of the assumed role; "" for the password
	TTL      time.Duration // of the role session, or of the password
	Duration time.Duration // of the request, with its retries
}

// Error reports that AWS refused a request, or that there is no valid response. It contains no
// secret.
type Error struct {
	Step     Step
	Registry registry.Registry
	Role     string // ARN; "" when no role is involved
	From     string // the variable or line that names the role
	Source   string // the value of ECR_OIDC_SOURCE, or the detected one
	Subject  string // of the token; "" for other sources
	Audience string // of the token; "" for other sources
	Code     string // AWS's error code; "" when there is no valid response
	Message  string // AWS's message, or why there is no valid response

	// Retryable means that a later attempt may succeed: after throttling, a server error of AWS, or
	// no response.
	Retryable bool
}

// IdentityRefused reports whether AWS refused the identity. Its cached password must then not be
// used any more.
func (e *Error) IdentityRefused() bool {
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
		fmt.Fprintf(&b, "requesting %s: %s", e.target(), safetext.Sanitize(e.Message))
	case e.codeSuffices():
		fmt.Fprintf(&b, "AWS refused %s: %s", e.target(), safetext.Sanitize(e.Code))
	default:
		fmt.Fprintf(&b, "AWS refused %s: %s: %s", e.target(), safetext.Sanitize(e.Code),
			safetext.Sanitize(e.Message))
	}
	return b.String()
}

// codeSuffices reports whether the error omits AWS's message. The message for a refused web
// identity is always "Not authorized to perform sts:AssumeRoleWithWebIdentity", whatever the
// reason.
func (e *Error) codeSuffices() bool {
	return e.Message == "" || e.Step == StepWebIdentity && e.Code == "AccessDenied"
}

// target describes what was requested, and the identity.
func (e *Error) target() string {
	what := DescribeRole(e.Role) + " (from " + e.From + ")"
	if e.Step == StepPassword {
		what = "a password for " + e.Registry.Host
		if e.Role != "" {
			what += " to " + DescribeRole(e.Role) + " (from " + e.From + ")"
		}
	}
	if e.Subject != "" {
		what += fmt.Sprintf(" for %q, aud %q",
			safetext.Sanitize(e.Subject), safetext.Sanitize(e.Audience))
	}
	return what + ", source " + e.Source
}

// DescribeRole returns a role's ARN as "role NAME in ACCOUNT". CIs mask the ARN when it is a
// secret, and messages would show only "***".
func DescribeRole(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 {
		return "role " + arn
	}
	return "role " + strings.TrimPrefix(parts[5], "role/") + " in " + parts[4]
}

// NoCredentialsError reports that the SDK's default chain has no credentials. Credentials of the
// machine (an instance or a container) count only if the user named the "aws" source.
type NoCredentialsError struct {
	Profile string // the profile that the SDK read
	Ambient string // the machine's source: "instance" or "container"
	Why     string // why that source returned no credentials; "" when the helper did not use it
}

func (e *NoCredentialsError) Error() string {
	s := fmt.Sprintf("finding AWS credentials: there are none in the environment or in profile %q",
		e.Profile)
	if e.Why != "" {
		s += ", and the " + e.Ambient + " provides none: " + safetext.Sanitize(e.Why)
	}
	return s
}

// SignInError reports that the user must sign in to AWS again with a profile.
type SignInError struct {
	Profile string
	Command string // "aws sso login" or "aws login"
	Why     string // why the session cannot be renewed; may be ""
	Err     error  `json:"-"`
}

func (e *SignInError) Error() string {
	s := "finding AWS credentials: the AWS sign-in session of profile " +
		quoteProfile(e.Profile) + " has expired "
	if e.Why != "" {
		return s + "and " + safetext.Sanitize(e.Why)
	}
	return s + "or does not exist"
}
func (e *SignInError) Unwrap() error { return e.Err }

// ProfileError reports a profile that the SDK could not read.
type ProfileError struct {
	Profile string
	From    string // the variable or line that names it; "" for the default
	Why     string
	Missing bool // the profile does not exist
	MFA     bool // the profile requires an MFA code

	// Role is the role of a profile whose source_profile is ConsoleProfile, a profile of "aws
	// login". The SDK does not support that. ECR_OIDC_ROLE can assume the role. Both are "" for
	// other errors.
	ConsoleProfile, Role string
}

func (e *ProfileError) Error() string {
	s := "finding AWS credentials: profile " + quoteProfile(e.Profile)
	if e.From != "" {
		s += " (from " + e.From + ")"
	}
	return s + " " + e.Why
}

// quoteProfile returns a profile's name in quotes, sanitized for output.
func quoteProfile(profile string) string { return fmt.Sprintf("%q", safetext.Sanitize(profile)) }

// errorCode returns AWS's code for an error of Login; "" when AWS did not return one.
func errorCode(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// newError returns the Error of a step. For the password, role is "", and the Error names the last
// role of the chain.
func (in LoginInput) newError(step Step, role, why string) *Error {
	e := &Error{
		Step: step, Registry: in.Settings.Registry, Role: role, From: in.Roles.From,
		Source: in.Identity.Name, Message: why,
	}
	if in.Identity.OIDC() {
		e.Subject = in.token.Claims.Subject
		e.Audience = strings.Join(in.token.Claims.Audience, ", ")
	}
	if n := len(in.Roles.ARNs); role == "" && n > 0 {
		e.Role = in.Roles.ARNs[n-1]
	}
	return e
}

// requestError returns the Error for an error of the SDK.
func (in LoginInput) requestError(step Step, role string, err error) *Error {
	e := in.newError(step, role, "")
	if api, ok := asAPIError(err); ok {
		e.Code, e.Message = api.ErrorCode(), strings.TrimSpace(api.ErrorMessage())
		standard := retryer(context.Background(), aws.RetryModeStandard, 0)()
		e.Retryable = standard.IsErrorRetryable(err) || strings.HasPrefix(e.Code, "IDPCommunication")
	} else {
		e.Message = describeSDKError(err)
		e.Retryable = retryConnection(err) != aws.FalseTernary
	}
	// AWS quotes a token in a validation error, and a session token in a signature error.
	secrets := slices.Concat(in.Env.Secrets(), in.secrets, []string{in.token.Raw})
	e.Message = safetext.Sanitize(safetext.Redact(e.Message, secrets...))
	return e
}

// asAPIError returns the error of AWS in err. A response that is not from AWS, such as a page of a
// proxy or a load balancer, has the code "UnknownError" and does not count.
func asAPIError(err error) (smithy.APIError, bool) {
	var api smithy.APIError
	ok := errors.As(err, &api) && api.ErrorCode() != "" && api.ErrorCode() != "UnknownError"
	return api, ok
}

// describeSDKError returns why there is no valid response from AWS.
func describeSDKError(err error) string {
	var (
		sent     *url.Error
		response *awshttp.ResponseError
		tooLong  *http.MaxBytesError
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no response in time"
	// The SDK's error quotes the URI (endpoints.go of each service).
	case strings.Contains(err.Error(), "Failed to parse uri"):
		return "a custom endpoint is not a valid URL " +
			"(AWS_ENDPOINT_URL..., or endpoint_url of the profile)"
	case errors.As(err, &sent) && sent.Timeout():
		return "no response in time from " + hostOf(sent.URL)
	case errors.As(err, &sent):
		return hostOf(sent.URL) + ": " + sent.Err.Error()
	case errors.As(err, &tooLong):
		return fmt.Sprintf("the response is longer than %d bytes", tooLong.Limit)
	case errors.Is(err, errTruncated):
		return "the connection was closed before the response was complete"
	case errors.As(err, &response) && response.HTTPStatusCode() >= 300:
		return fmt.Sprintf("HTTP %d", response.HTTPStatusCode())
	case errors.As(err, &response):
		return "the response is not from AWS (is there a proxy in between?)"
	}
	return err.Error()
}

// hostOf returns the host of a URL, or "AWS" when the URL is invalid.
func hostOf(rawURL string) string {
	if u, err := url.Parse(rawURL); err == nil && u.Host != "" {
		return u.Host
	}
	return "AWS"
}
