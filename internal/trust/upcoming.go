package trust

import (
	"fmt"
	"maps"
	"strings"
)

// UpcomingSubject returns the immutable subject that GitHub issues to this job after its repository
// is renamed or transferred, or opts in. It contains the ids of the owner and the repository, which
// are claims of every token. UpcomingSubject returns "" for a subject that has ids already, for a
// subject that does not begin with the repository, and for other issuers. GitHub Enterprise Server
// has no immutable subjects.
//
// https://docs.github.com/en/actions/reference/security/oidc
func UpcomingSubject(claims map[string]any) string {
	text := func(claim string) string {
		if v := claimValue(claims[claim]); len(v.values) == 1 && v.unknownReason == "" {
			return v.values[0]
		}
		return ""
	}
	p := platformOf(strings.TrimPrefix(text("iss"), "https://"))
	repo, _, ok := cutRepo(text("sub"))
	owner, name, _ := strings.Cut(repo, "/")
	ownerID, repoID := text("repository_owner_id"), text("repository_id")
	if !ok || !p.subject.isGitHub() ||
		p.claims == nil || // the platform of GitHub Enterprise Server lists no claims
		name == "" || ownerID == "" || repoID == "" || strings.Contains(repo, "@") {
		return ""
	}
	return fmt.Sprintf("repo:%s@%s/%s@%s%s", owner, ownerID, name, repoID,
		strings.TrimPrefix(text("sub"), "repo:"+repo))
}

// WithSubject returns the request with another subject.
func (r Request) WithSubject(subject string) Request {
	r.Claims = maps.Clone(r.Claims)
	r.Claims["sub"] = subject
	return r
}

// TransitionPolicy returns a policy that admits the subject of the request, and also its
// UpcomingSubject. Without an upcoming subject it returns the policy of MinimalPolicy.
func TransitionPolicy(r Request) (string, error) {
	c, _, condition, err := suggest(r)
	if err != nil {
		return "", err
	}
	upcoming, key := UpcomingSubject(r.Claims), c.issuer+":sub"
	if present, ok := condition.Equal[key]; ok && upcoming != "" {
		condition.Equal[key] = []any{present, escapeVariables(upcoming)}
	}
	return c.format(condition)
}
