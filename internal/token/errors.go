package token

import (
	"fmt"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
)

// RequestError reports that a CI did not issue a token when it was requested.
type RequestError struct {
	CI        string
	Attempts  int
	Why       string
	Retryable bool // a later try may succeed
	Responded bool // the CI responded; otherwise it was not reached
}

func (e *RequestError) Error() string {
	return fmt.Sprintf("asking %s for the job's OIDC token (%s): %s", e.CI, times(e.Attempts), e.Why)
}

// MissingError reports that there is a role and no token for this job.
type MissingError struct {
	Token   string   // describes the token
	Why     string   // the variable that is missing or empty
	Advice  string   // what to change
	Ignored []string // variables of other identities, which were not used
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("finding %s: %s", e.Token, e.Why)
}

// NoRoleError reports that no role is configured where one is needed.
type NoRoleError struct {
	Why     string // why there is no token either; "" when there is one
	Advice  string // what to change so that there is one
	Ignored []string
}

func (e *NoRoleError) Error() string {
	if e.Why != "" {
		return fmt.Sprintf("finding an identity: no role is configured, and there is no token (%s)", e.Why)
	}
	return "finding an identity: no role is configured"
}

// AudienceError reports that a token is for another audience. Such a token is not sent to AWS.
type AudienceError struct {
	Token  string // describes the token
	Want   string
	Got    []string
	Why    string // why a token for that audience could not be had
	Advice string // what to change
}

func (e *AudienceError) Error() string {
	got := safetext.Sanitize(strings.Join(e.Got, ", "))
	s := fmt.Sprintf("checking %s: it is for audience %q, not %q", e.Token, got, e.Want)
	if e.Why != "" {
		s += " (" + e.Why + ")"
	}
	return s
}
