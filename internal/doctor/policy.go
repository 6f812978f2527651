package doctor

import (
	"slices"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/trust"
)

// evaluate evaluates the policy against the token. Without a policy it finds the one that would
// admit it.
func (d Doctor) evaluate(found *Diagnosis) {
	request := trust.Request{
		Role: found.Role, Claims: found.Token.Claims, Now: time.Now(), SessionName: found.Session,
	}
	if d.Policy == nil {
		found.suggest(request)
		return
	}
	switch {
	case request.Role == "":
		request.Role = d.Policy.Role
		found.Role = request.Role
	case d.Policy.Role != "" && d.Policy.Role != request.Role:
		found.add("policy", Note, "it is that of %s, and the job assumes %s",
			shown(d.Policy.Role), shown(request.Role))
	}
	verdict, err := trust.Evaluate(*d.Policy, request)
	if err != nil {
		found.add("policy", Wrong, "%v", err)
		return
	}
	if verdict.Findings == nil { // a list in JSON
		verdict.Findings = []trust.Finding{}
	}
	found.Policy = &Policy{Verdict: &verdict}
}

// suggest adds the policy that would admit the request.
func (d *Diagnosis) suggest(request trust.Request) {
	if request.Role == "" {
		d.add("policy", Skipped, "none can be suggested: these claims do not say for which role").
			Next = "name it with --role, or take what doctor --json prints in the job"
		return
	}
	suggestion, err := trust.MinimalPolicy(request)
	if err != nil {
		d.add("policy", Note, "%v", err)
		return
	}
	d.Policy = &Policy{Smallest: &suggestion}
}

// undecidedSession reports whether the answer is open and the policy refers to the role session's
// name.
func undecidedSession(p trust.Policy, found *Policy) bool {
	const key = "sts:rolesessionname"
	return found != nil && found.Verdict != nil && found.Verdict.Admits == trust.Unknown &&
		slices.ContainsFunc(p.Statements, func(s trust.Statement) bool {
			return slices.ContainsFunc(s.Conditions, func(c trust.Condition) bool {
				return strings.EqualFold(c.Key, key) ||
					strings.Contains(strings.ToLower(strings.Join(c.Values, " ")), "${"+key)
			})
		})
}
