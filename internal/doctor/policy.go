package doctor

import (
	"slices"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/trust"
)

// evaluate adds the verdict of the policy on the token. If no policy is known, it adds a minimal
// policy that admits the token.
func (d Doctor) evaluate(diagnosis *Diagnosis) {
	request := diagnosis.request()
	if d.Policy == nil {
		diagnosis.addMinimalPolicy(request)
		return
	}
	switch {
	case request.Role == "":
		request.Role = d.Policy.Role
		diagnosis.Role = request.Role
	case d.Policy.Role != "" && d.Policy.Role != request.Role:
		diagnosis.add("policy", Note, "the policy belongs to %s, but the job assumes %s",
			display(d.Policy.Role), display(request.Role))
	}
	verdict, err := trust.Evaluate(*d.Policy, request)
	if err != nil {
		diagnosis.add("policy", Wrong, "%v", err)
		return
	}
	if verdict.Findings == nil {
		verdict.Findings = []trust.Finding{} // an empty list in JSON, not null
	}
	diagnosis.Policy = &Policy{Verdict: &verdict}
}

// addUpcoming adds the check of the immutable subject that GitHub will issue, and sets Upcoming.
func (d Doctor) addUpcoming(diagnosis *Diagnosis) {
	if diagnosis.Token == nil {
		return
	}
	request := diagnosis.request()
	subject := trust.UpcomingSubject(request.Claims)
	if subject == "" {
		return
	}
	const when = "after a rename or a transfer of the repository, or the opt-in to immutable subjects"
	diagnosis.Upcoming = &Upcoming{Subject: subject}
	if result := diagnosis.Policy; result != nil && result.Verdict != nil {
		verdict, err := trust.Evaluate(*d.Policy, request.WithSubject(subject))
		switch {
		case err == nil && verdict.Admits == trust.Yes:
			diagnosis.add("subject", OK, "it becomes %s %s; the policy admits it", display(subject),
				when)
			return
		case result.Verdict.Admits == trust.Yes:
			diagnosis.add("policy", Note, "the policy admits only the present subject: AWS refuses "+
				"the role %s", when)
		}
	}
	diagnosis.Upcoming.Policy, _ = trust.TransitionPolicy(request) // an error if there is no role
	c := diagnosis.add("subject", Note, "it becomes %s %s", display(subject), when)
	c.Advice = "let the trust policy admit both subjects; --verbose prints a policy that does"
}

// request returns the request for the role's credentials.
func (d *Diagnosis) request() trust.Request {
	return trust.Request{
		Role: d.Role, Claims: d.Token.Claims, Now: time.Now(), SessionName: d.SessionName,
	}
}

// addMinimalPolicy adds a minimal policy that admits the request.
func (d *Diagnosis) addMinimalPolicy(request trust.Request) {
	if request.Role == "" {
		d.add("policy", Skipped, "no policy is suggested: the role is not known").
			Advice = "set it with --role, or use the output of doctor --json from the job"
		return
	}
	suggestion, err := trust.MinimalPolicy(request)
	if err != nil {
		d.add("policy", Note, "%v", err)
		return
	}
	d.Policy = &Policy{Minimal: &suggestion}
}

// needsSessionName reports whether the verdict is unknown and the policy refers to the role session
// name.
func needsSessionName(p trust.Policy, result *Policy) bool {
	const key = "sts:rolesessionname"
	return result != nil && result.Verdict != nil && result.Verdict.Admits == trust.Unknown &&
		slices.ContainsFunc(p.Statements, func(s trust.Statement) bool {
			return slices.ContainsFunc(s.Conditions, func(c trust.Condition) bool {
				values := strings.ToLower(strings.Join(c.Values, " "))
				return strings.EqualFold(c.Key, key) || strings.Contains(values, "${"+key)
			})
		})
}
