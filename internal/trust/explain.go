package trust

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// explanation states why a condition fails.
type explanation struct {
	kind Kind
	text string
}

// explainCondition returns why a condition fails, with the values that differ.
func (c requestContext) explainCondition(e evaluatedCondition) []explanation {
	claim := strings.ToLower(e.Key[strings.LastIndex(e.Key, ":")+1:])
	values := fmt.Sprintf("the policy requires %s %s, but the value is %s",
		escape(e.Operator), quoteAll(e.Want), quoteAll(e.Got))
	switch {
	case e.value.neverPresent && c.platform.hasKey(claim):
		return []explanation{{KeyOtherIssuer, fmt.Sprintf("the key %s does not belong "+
			"to the token's issuer; use %s", quote(e.Key), quote(c.issuer+":"+claim))}}
	case e.value.neverPresent:
		return []explanation{{KeyUnknown, fmt.Sprintf("AWS does not support the key "+
			"%s for this issuer, so the condition is never met", quote(e.Key))}}
	case len(e.Got) == 0:
		required := "to be " + quoteAll(e.Want)
		if e.operator.base == "Null" {
			required = "to be present"
		}
		text := fmt.Sprintf("the policy requires %s %s, but the key is missing: %s",
			quote(e.Key), required, e.Why)
		return []explanation{{MissingClaim, strings.TrimSuffix(text, ": ")}}
	case e.operator.negated || !strings.HasPrefix(e.operator.base, "String"):
		return []explanation{{OtherValue, values}}
	}
	explanations := c.explainValues(e, claim)
	first := &explanations[0]
	first.text = strings.TrimPrefix(first.text+": "+values, ": ")
	return explanations
}

// explainValues returns why the token's value does not match the closest value of the policy.
func (c requestContext) explainValues(e evaluatedCondition, claim string) []explanation {
	var best []explanation
	difference := explanation{kind: OtherValue}
	for _, want := range e.Want {
		if p, resolved := c.expand(want); resolved == Yes {
			want = p.text()
		}
		p := pair{want, e.Got[0], e.operator.base}
		found := explainByCorrections(p)
		if best == nil || len(found) > 0 && len(found) < len(best) {
			best = found
		}
		if e := c.explainDifference(p, claim); e.kind != OtherValue {
			difference = e
		}
	}
	if best == nil {
		return []explanation{difference}
	}
	return best
}

// explainDifference describes the difference between two values of a claim that no corrections can
// make equal.
func (c requestContext) explainDifference(p pair, claim string) explanation {
	subject := c.platform.subject
	switch {
	case claim == "aud":
		return explanation{OtherAudience, "the audience differs"}
	case !c.supportsVariables && strings.Contains(p.want, "${"):
		return explanation{OldVersion,
			"the Version of the policy is not 2012-10-17, so variables are plain text"}
	case claim == "job_workflow_ref":
		return otherWorkflow(p.want, p.got)
	case claim != "sub":
		return explanation{kind: OtherValue}
	}
	if parts := subject.differences(p); parts != "" {
		return explanation{OtherPart, parts}
	}
	switch {
	case !subject.isGitHub() || customized(p.want) == customized(p.got):
		return explanation{kind: OtherValue}
	case customized(p.got):
		return explanation{CustomSubject,
			"this job's subject is customized, but the policy expects GitHub's default format"}
	}
	return explanation{CustomSubject,
		"the policy expects a customized subject, but this one has GitHub's default format"}
}

// pair is a value of the policy, a value of the token, and the base operator that compares them.
type pair struct{ want, got, operator string }

func (p pair) match() bool {
	switch p.operator {
	case "StringLike":
		return parsePattern(p.want).match(p.got)
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

// explainByCorrections returns the explanations of the fewest corrections that make a pair match.
// It returns nil if more than three are necessary.
func explainByCorrections(p pair) []explanation {
	if len(p.want)+len(p.got) > 1000 { // longer than real values, and the search is not linear
		return nil
	}
	for n := 1; n <= 3; n++ {
		if found := tryCorrections(p, corrections, n); found != nil {
			return found
		}
	}
	return nil
}

// tryCorrections returns the explanations of n corrections from a list that make a pair match, or
// nil. A subject with another repository and another context is a different subject, and not a
// mistake.
func tryCorrections(p pair, list []correction, n int) []explanation {
	for i, correct := range list {
		fixed, why := correct(p)
		switch {
		case fixed == p:
		case n == 1 && fixed.match():
			return []explanation{why}
		case n > 1:
			rest := tryCorrections(fixed, list[i+1:], n-1)
			otherRepo := func(r explanation) bool { return r.kind == OtherRepository }
			if rest != nil && !(why.kind == OtherContext && slices.ContainsFunc(rest, otherRepo)) {
				return append([]explanation{why}, rest...)
			}
		}
	}
	return nil
}

// A correction removes one difference from a pair, and describes the difference. It returns the
// pair unchanged if the difference does not exist.
type correction func(p pair) (pair, explanation)

var corrections = []correction{
	allowWildcards, trimSpace, ignoreCase, decodeColons, shortenRefs, addRepoPrefix,
	ignoreWorkflow, removeIDs, ignoreContext, ignoreRepository, truncateCircleSubject,
}

func allowWildcards(p pair) (pair, explanation) {
	if strings.ContainsAny(p.want, "*?") {
		p.operator = "StringLike"
	}
	return p, explanation{Wildcard, "this operator compares * and ? literally; use StringLike"}
}

func trimSpace(p pair) (pair, explanation) {
	return p.each(strings.TrimSpace),
		explanation{WhiteSpace, "a value begins or ends with white space"}
}

func ignoreCase(p pair) (pair, explanation) {
	return p.each(strings.ToLower), explanation{OtherCase, "the comparison is case-sensitive"}
}

func decodeColons(p pair) (pair, explanation) {
	decode := strings.NewReplacer("%3A", ":", "%3a", ":").Replace
	return p.each(decode), explanation{Encoding, "GitHub encodes a colon in a name as %3A"}
}

// shortenRefs applies only if exactly one of the values has a full ref. A branch would otherwise
// match the tag of the same name.
func shortenRefs(p pair) (pair, explanation) {
	if strings.Contains(p.want, "refs/") != strings.Contains(p.got, "refs/") {
		p = p.each(strings.NewReplacer("refs/heads/", "", "refs/tags/", "").Replace)
	}
	return p, explanation{ShortRef,
		"a ref has the full form, such as refs/heads/main or refs/tags/v1"}
}

func addRepoPrefix(p pair) (pair, explanation) {
	if strings.HasPrefix(p.got, "repo:") && !strings.Contains(p.want, "repo:") &&
		strings.Contains(p.want, "/") {
		p.want = "repo:" + p.want
	}
	return p, explanation{RepoPrefix, `GitHub's subjects begin with "repo:"`}
}

func ignoreWorkflow(p pair) (pair, explanation) {
	want, wantWorkflow, ok1 := strings.Cut(p.want, "job_workflow_ref:")
	got, gotWorkflow, ok2 := strings.Cut(p.got, "job_workflow_ref:")
	if ok1 && ok2 {
		p.want, p.got = want, got
	}
	return p, otherWorkflow(wantWorkflow, gotWorkflow)
}

// otherWorkflow describes how the workflow of a job differs from the trusted workflow.
func otherWorkflow(want, got string) explanation {
	wantFile, wantRef, _ := strings.Cut(want, "@")
	gotFile, gotRef, _ := strings.Cut(got, "@")
	format := "the policy trusts the workflow %s, but this job runs %s"
	if wantFile == gotFile {
		format = "the policy trusts this workflow at %s, but this job runs it at %s"
		want, got = wantRef, gotRef
	}
	return explanation{OtherWorkflow, fmt.Sprintf(format, quote(want), quote(got))}
}

// removeIDs converts immutable subjects, repo:OWNER@ID/REPOSITORY@ID:..., to the older format.
// https://docs.github.com/en/actions/reference/security/oidc#immutable-subject-claims
func removeIDs(p pair) (pair, explanation) {
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
		return fixed, explanation{ImmutableToken, "this repository's subjects contain IDs, as in all " +
			"repositories that were created, renamed or transferred after 15 July 2026"}
	case 1:
		return fixed, explanation{ImmutablePolicy,
			"the policy requires IDs, but this repository's subjects contain none"}
	default:
		return fixed, explanation{OtherIDs, "the names match, but the IDs differ: " +
			"another owner or repository may have taken the name"}
	}
}

func ignoreContext(p pair) (pair, explanation) {
	wantRepo, want, ok1 := cutRepo(p.want)
	gotRepo, got, ok2 := cutRepo(p.got)
	if !ok1 || !ok2 || want == got || customized(p.want) != customized(p.got) {
		return p, explanation{}
	}
	text := fmt.Sprintf("the policy trusts %s, but this job's subject is for %s",
		describeContext(want), describeContext(got))
	if strings.HasPrefix(got, "environment:") && strings.HasPrefix(want, "ref:") {
		text += "; the subject of a job with an environment contains no branch or tag"
	}
	p.want, p.got = wantRepo, gotRepo
	return p, explanation{OtherContext, text}
}

// ignoreRepository does not apply if only one of the repositories has IDs. removeIDs removes that
// difference.
func ignoreRepository(p pair) (pair, explanation) {
	wantRepo, want, ok1 := cutRepo(p.want)
	gotRepo, got, ok2 := cutRepo(p.got)
	if !ok1 || !ok2 || wantRepo == gotRepo ||
		strings.Contains(wantRepo, "@") != strings.Contains(gotRepo, "@") {
		return p, explanation{}
	}
	p.want, p.got = want, got
	text := fmt.Sprintf("the policy trusts %s, but this job belongs to %s",
		quote(wantRepo), quote(gotRepo))
	return p, explanation{OtherRepository, text}
}

// truncateCircleSubject converts the subjects of CIRCLE_OIDC_TOKEN_V2 to those of
// CIRCLE_OIDC_TOKEN.
func truncateCircleSubject(p pair) (pair, explanation) {
	truncate := func(sub string) string { sub, _, _ = strings.Cut(sub, "/vcs-origin/"); return sub }
	switch fixed := p.each(truncate); {
	case fixed.want == p.want:
		return fixed, explanation{CircleVersion, "the policy is for CIRCLE_OIDC_TOKEN; " +
			"the subject of CIRCLE_OIDC_TOKEN_V2 continues with /vcs-origin/"}
	case fixed.got == p.got:
		return fixed, explanation{CircleVersion, "the policy is for CIRCLE_OIDC_TOKEN_V2; " +
			"the subject of CIRCLE_OIDC_TOKEN ends before /vcs-origin/"}
	}
	return p, explanation{}
}
