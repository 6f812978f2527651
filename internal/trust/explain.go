package trust

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// reason is why a condition fails.
type reason struct {
	kind Kind
	text string
}

// explainCondition returns why a condition fails, and the values that differ.
func (c requestContext) explainCondition(e evaluatedCondition) []reason {
	claim := strings.ToLower(e.Key[strings.LastIndex(e.Key, ":")+1:])
	values := fmt.Sprintf("the policy wants %s %s, and the token has %s",
		show(e.Operator), quoteAll(e.Want), quoteAll(e.Got))
	switch {
	case e.seen.foreign && c.platform.hasKey(claim):
		return []reason{{KeyPrefix, fmt.Sprintf("the key %s is not one of this token's issuer; "+
			"its own is %s", quote(e.Key), quote(c.issuer+":"+claim))}}
	case e.seen.foreign:
		return []reason{{KeyUnknown, fmt.Sprintf("AWS has no key %s for this issuer, "+
			"so that this condition never holds", quote(e.Key))}}
	case len(e.Got) == 0:
		wants := "to be " + quoteAll(e.Want)
		if e.operator.base == "Null" {
			wants = "to be there, whatever it is"
		}
		text := fmt.Sprintf("the policy wants %s %s, and nothing is there: %s",
			quote(e.Key), wants, e.Why)
		return []reason{{MissingClaim, strings.TrimSuffix(text, ": ")}}
	case e.operator.negated || !strings.HasPrefix(e.operator.base, "String"):
		return []reason{{OtherValue, values}}
	}
	reasons := c.explainValues(e, claim)
	reasons[0].text = strings.TrimPrefix(reasons[0].text+": "+values, ": ")
	return reasons
}

// explainValues returns why the token's value does not match, for the value of the policy that
// comes closest.
func (c requestContext) explainValues(e evaluatedCondition, claim string) []reason {
	var best []reason
	other := reason{kind: OtherValue}
	for _, want := range e.Want {
		if resolved, known := c.expand(want); known == Yes {
			want = resolved.text()
		}
		p := pair{want, e.Got[0], e.operator.base}
		if found := explain(p); best == nil || len(found) > 0 && len(found) < len(best) {
			best = found
		}
		if r := c.explainDifference(p, claim); r.kind != OtherValue {
			other = r
		}
	}
	if best == nil {
		return []reason{other}
	}
	return best
}

// explainDifference returns how the values of a claim differ, for values without a near match.
func (c requestContext) explainDifference(p pair, claim string) reason {
	subject := c.platform.subject
	switch {
	case claim == "aud":
		return reason{OtherAudience, "the token is for another audience"}
	case !c.variables && strings.Contains(p.want, "${"):
		return reason{OldVersion,
			"in a policy whose Version is not 2012-10-17, variables are plain text"}
	case claim == "job_workflow_ref":
		return otherWorkflow(p.want, p.got)
	case claim != "sub":
		return reason{kind: OtherValue}
	}
	if parts := subject.differences(p); parts != "" {
		return reason{OtherPart, parts}
	}
	switch {
	case !subject.isGitHub() || customized(p.want) == customized(p.got):
		return reason{kind: OtherValue}
	case customized(p.got):
		return reason{CustomSubject,
			"this job's subject is customised, and the policy is for GitHub's default form"}
	}
	return reason{CustomSubject,
		"the policy is for a customised subject, and this one has GitHub's default form"}
}

// pair is a value of the policy and a value of the token, with the base operator that compares
// them.
type pair struct{ want, got, operator string }

func (p pair) match() bool {
	switch p.operator {
	case "StringLike":
		return like(runes(p.want), p.got)
	case "StringEqualsIgnoreCase":
		return strings.EqualFold(p.want, p.got)
	}
	return p.want == p.got
}

// each returns the pair with f applied to both values.
func (p pair) each(f func(string) string) pair {
	p.want, p.got = f(p.want), f(p.got)
	return p
}

// explain returns the smallest number of corrections that make a pair match, or nil.
func explain(p pair) []reason {
	if len(p.want)+len(p.got) > 1000 { // the search is not linear, and no real value is that long
		return nil
	}
	for n := 1; n <= 3; n++ {
		if found := correct(p, corrections, n); found != nil {
			return found
		}
	}
	return nil
}

// correct tries n corrections from a list. A subject with another repository and another context is
// a different subject, not a near match.
func correct(p pair, list []correction, n int) []reason {
	for i, apply := range list {
		fixed, why := apply(p)
		switch {
		case fixed == p:
		case n == 1 && fixed.match():
			return []reason{why}
		case n > 1:
			rest := correct(fixed, list[i+1:], n-1)
			otherRepo := func(r reason) bool { return r.kind == OtherRepository }
			if rest != nil && !(why.kind == OtherContext && slices.ContainsFunc(rest, otherRepo)) {
				return append([]reason{why}, rest...)
			}
		}
	}
	return nil
}

// A correction removes one difference from a pair, and describes it. It returns the pair unchanged
// if there is no such difference.
type correction func(p pair) (pair, reason)

var corrections = []correction{
	wildcard, whiteSpace, otherCapitals, encoding, shortRef, repoPrefix, workflow, withoutIDs,
	otherContext, otherRepository, circleVersion,
}

func wildcard(p pair) (pair, reason) {
	if strings.ContainsAny(p.want, "*?") {
		p.operator = "StringLike"
	}
	return p, reason{Wildcard, "this operator takes * and ? literally; StringLike does not"}
}

func whiteSpace(p pair) (pair, reason) {
	return p.each(strings.TrimSpace), reason{WhiteSpace, "there is white space at an end"}
}

func otherCapitals(p pair) (pair, reason) {
	return p.each(strings.ToLower), reason{OtherCapitals, "capitals count"}
}

func encoding(p pair) (pair, reason) {
	decode := strings.NewReplacer("%3A", ":", "%3a", ":").Replace
	return p.each(decode), reason{Encoding, "GitHub writes %3A for a colon within a name"}
}

// shortRef applies only if one of the values has the full ref. A branch would otherwise match the
// tag of the same name.
func shortRef(p pair) (pair, reason) {
	if strings.Contains(p.want, "refs/") != strings.Contains(p.got, "refs/") {
		p = p.each(strings.NewReplacer("refs/heads/", "", "refs/tags/", "").Replace)
	}
	return p, reason{ShortRef, "a ref is written out, as refs/heads/main or refs/tags/v1"}
}

func repoPrefix(p pair) (pair, reason) {
	if strings.HasPrefix(p.got, "repo:") && !strings.Contains(p.want, "repo:") &&
		strings.Contains(p.want, "/") {
		p.want = "repo:" + p.want
	}
	return p, reason{RepoPrefix, `GitHub's subject begins with "repo:"`}
}

func workflow(p pair) (pair, reason) {
	want, wantWorkflow, ok1 := strings.Cut(p.want, "job_workflow_ref:")
	got, gotWorkflow, ok2 := strings.Cut(p.got, "job_workflow_ref:")
	if ok1 && ok2 {
		p.want, p.got = want, got
	}
	return p, otherWorkflow(wantWorkflow, gotWorkflow)
}

// otherWorkflow returns how the workflow of a job differs from the trusted one.
func otherWorkflow(want, got string) reason {
	wantFile, wantRef, _ := strings.Cut(want, "@")
	gotFile, gotRef, _ := strings.Cut(got, "@")
	format := "the policy trusts the workflow %s, and this job runs %s"
	if wantFile == gotFile {
		format = "the policy trusts this workflow at %s, and this job runs it at %s"
		want, got = wantRef, gotRef
	}
	return reason{OtherWorkflow, fmt.Sprintf(format, quote(want), quote(got))}
}

// withoutIDs turns immutable subjects, repo:OWNER@ID/REPOSITORY@ID:..., into the older form.
// https://docs.github.com/en/actions/reference/security/oidc#immutable-subject-claims
func withoutIDs(p pair) (pair, reason) {
	ids := func(sub string) int {
		repo, _, _ := cutRepo(sub)
		return strings.Count(repo, "@")
	}
	names := func(sub string) string {
		repo, context, ok := cutRepo(sub)
		if !ok || !strings.Contains(repo, "@") {
			return sub
		}
		parts := strings.Split(repo, "/")
		for i, part := range parts {
			parts[i], _, _ = strings.Cut(part, "@")
		}
		return strings.TrimSuffix("repo:"+strings.Join(parts, "/")+":"+context, ":")
	}
	switch fixed := p.each(names); cmp.Compare(ids(p.want), ids(p.got)) {
	case -1:
		return fixed, reason{ImmutableToken, "this repository's subjects carry ids, " +
			"as all do that were made, renamed or transferred after 15 July 2026"}
	case 1:
		return fixed, reason{ImmutablePolicy,
			"the policy has ids that this repository's subjects do not carry"}
	default:
		return fixed, reason{OtherIDs, "the names are the same, but not the ids: " +
			"another repository or owner may have taken the name"}
	}
}

func otherContext(p pair) (pair, reason) {
	wantRepo, want, ok1 := cutRepo(p.want)
	gotRepo, got, ok2 := cutRepo(p.got)
	if !ok1 || !ok2 || want == got || customized(p.want) != customized(p.got) {
		return p, reason{}
	}
	text := fmt.Sprintf("the policy trusts %s, and this job's subject names %s",
		describeContext(want), describeContext(got))
	if strings.HasPrefix(got, "environment:") && strings.HasPrefix(want, "ref:") {
		text += ", which stands in the place of the branch"
	}
	p.want, p.got = wantRepo, gotRepo
	return p, reason{OtherContext, text}
}

// otherRepository does not apply if only one of the repositories has ids. That is the difference
// that withoutIDs removes.
func otherRepository(p pair) (pair, reason) {
	wantRepo, want, ok1 := cutRepo(p.want)
	gotRepo, got, ok2 := cutRepo(p.got)
	if !ok1 || !ok2 || wantRepo == gotRepo ||
		strings.Contains(wantRepo, "@") != strings.Contains(gotRepo, "@") {
		return p, reason{}
	}
	p.want, p.got = want, got
	return p, reason{OtherRepository, fmt.Sprintf("the policy trusts %s, and this job is of %s",
		quote(wantRepo), quote(gotRepo))}
}

// circleVersion compares the subjects of CircleCI's two tokens in the form of the first one.
func circleVersion(p pair) (pair, reason) {
	first := func(sub string) string { sub, _, _ = strings.Cut(sub, "/vcs-origin/"); return sub }
	switch fixed := p.each(first); {
	case fixed.want == p.want:
		return fixed, reason{CircleVersion, "the policy is written for CIRCLE_OIDC_TOKEN; " +
			"the subject of CIRCLE_OIDC_TOKEN_V2 goes on with /vcs-origin/"}
	case fixed.got == p.got:
		return fixed, reason{CircleVersion, "the policy is written for CIRCLE_OIDC_TOKEN_V2; " +
			"the subject of CIRCLE_OIDC_TOKEN ends before /vcs-origin/"}
	}
	return p, reason{}
}
