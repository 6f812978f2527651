package token

import (
	"fmt"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/oneline"
)

// RequestError says that a CI would not give a token when it was asked.
type RequestError struct {
	Who      string
	Tries    int
	Why      string
	Passing  bool // a later try may succeed
	Answered bool // it said so itself; else it was not reached
}

func (e *RequestError) Error() string {
	return fmt.Sprintf("asking %s for the job's OIDC token (%s): %s", e.Who, times(e.Tries), e.Why)
}

// MissingError says that the place has a role but no token for this job.
type MissingError struct {
	Place  Place
	Why    string   // the variable that is missing or empty
	Others []string // variables of identities that were not used
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("finding %s: %s", e.Place.token(), e.Why)
}

// NoRoleError says that no role is configured where one is needed.
type NoRoleError struct {
	Place  Place
	Why    string // why there is no token either; "" when there is one
	Others []string
}

func (e *NoRoleError) Error() string {
	if e.Why != "" {
		return fmt.Sprintf("finding an identity: no role is configured, and there is no token (%s)", e.Why)
	}
	return "finding an identity: no role is configured"
}

// AudienceError says that a token is for someone else. Such a token is not sent to AWS.
type AudienceError struct {
	Place Place
	Want  string
	Got   []string
	Why   string // why another one could not be had
}

func (e *AudienceError) Error() string {
	s := fmt.Sprintf("checking %s: it is for audience %q, not %q", e.Place.token(), oneline.Clean(strings.Join(e.Got, ", ")), e.Want)
	if e.Why != "" {
		s += " (" + e.Why + ")"
	}
	return s
}

// token names the place's token as its users call it.
func (p Place) token() string {
	switch p.Name {
	case "github":
		return "the GitHub job's OIDC token"
	case "circleci":
		return "the CircleCI job's OIDC token"
	case "gitlab":
		return "the GitLab job's OIDC token"
	case "buildkite":
		return "the Buildkite job's OIDC token"
	}
	return "the OIDC token"
}
