package token

import (
	"fmt"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
)

// RequestError reports that a request for a token failed.
type RequestError struct {
	CI        string
	Attempts  int
	Why       string
	Retryable bool // a later attempt may succeed

	// Final means that the CI refused the request, or that its response is invalid. If neither Final
	// nor Retryable is set, the cause is on this machine, such as an untrusted certificate.
	Final bool
}

func (e *RequestError) Error() string {
	return fmt.Sprintf("requesting the job's OIDC token from %s (%s): %s",
		e.CI, attemptCount(e.Attempts), e.Why)
}

// MissingError reports that a role is configured and that the job has no token.
type MissingError struct {
	TokenName string   // the result of Identity.TokenName
	Why       string   // names the variable that is missing or empty
	Advice    string   // what to change
	Ignored   []string // variables of AWS credentials that are set and not used
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("finding %s: %s", e.TokenName, e.Why)
}

// NoRoleError reports that no role is configured and that the identity requires one.
type NoRoleError struct {
	Why     string   // why the token is missing too; "" when the job has a token
	Advice  string   // how to provide the token; "" when the job has one
	Ignored []string // as in MissingError
}

func (e *NoRoleError) Error() string {
	if e.Why != "" {
		return fmt.Sprintf("finding an identity: no role is configured, and there is no token (%s)",
			e.Why)
	}
	return "finding an identity: no role is configured"
}

// AudienceError reports a token with the wrong audience. Such a token is not sent to AWS.
type AudienceError struct {
	TokenName string // the result of Identity.TokenName
	Want      string
	Got       []string
	Why       string // why no token with the audience Want is available; may be ""
	Advice    string // what to change
}

func (e *AudienceError) Error() string {
	got := safetext.Sanitize(strings.Join(e.Got, ", "))
	s := fmt.Sprintf("checking %s: it is for audience %q, not %q", e.TokenName, got, e.Want)
	if e.Why != "" {
		s += " (" + e.Why + ")"
	}
	return s
}
