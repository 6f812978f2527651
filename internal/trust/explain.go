package trust

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// pair is a value of the policy and the token's, and how the operator compares them.
type pair struct {
	want, got  string
	wild, fold bool
}

func (p pair) match() bool {
	switch {
	case p.wild:
		return like(runes(p.want), p.got)
	case p.fold:
		return strings.EqualFold(p.want, p.got)
	}
	return p.want == p.got
}

// each is the pair with both values changed alike.
func (p pair) each(f func(string) string) pair {
	p.want, p.got = f(p.want), f(p.got)
	return p
}

type reason struct {
	kind Kind
	text string
}

// A correction takes one difference out of a pair, and says what it was; a pair that comes back as it was has no such
// difference. They are tried alone and then together, and the fewest that make the values match are why they do not.
type correction func(p pair) (pair, reason)

var corrections = []correction{
	func(p pair) (pair, reason) {
		p.wild = p.wild || strings.ContainsAny(p.want, "*?")
		return p, reason{Wildcard, "this operator takes * and ? literally; StringLike does not"}
	},
	func(p pair) (pair, reason) {
		return p.each(strings.TrimSpace), reason{WhiteSpace, "there is white space at an end"}
	},
	func(p pair) (pair, reason) {
		return p.each(strings.ToLower), reason{OtherCapitals, "capitals count"}
	},
	func(p pair) (pair, reason) {
		return p.each(strings.NewReplacer("%3A", ":", "%3a", ":").Replace), reason{Encoding, "GitHub writes %3A for a colon within a name"}
	},
	func(p pair) (pair, reason) {
		if strings.Contains(p.want, "refs/") != strings.Contains(p.got, "refs/") { // else a branch would be the tag of its name
			p = p.each(strings.NewReplacer("refs/heads/", "", "refs/tags/", "").Replace)
		}
		return p, reason{ShortRef, "a ref is written out, as refs/heads/main or refs/tags/v1"}
	},
	func(p pair) (pair, reason) {
		if strings.HasPrefix(p.got, "repo:") && !strings.Contains(p.want, "repo:") && strings.Contains(p.want, "/") {
			p.want = "repo:" + p.want
		}
		return p, reason{RepoPrefix, `GitHub's subject begins with "repo:"`}
	},
	func(p pair) (pair, reason) {
		want, wanted, ok1 := strings.Cut(p.want, "job_workflow_ref:")
		got, runs, ok2 := strings.Cut(p.got, "job_workflow_ref:")
		if ok1 && ok2 {
			p.want, p.got = want, got
		}
		return p, otherWorkflow(wanted, runs)
	},
	withoutIDs,
	otherContext,
	otherRepository,
	func(p pair) (pair, reason) {
		v1 := func(sub string) string { s, _, _ := strings.Cut(sub, "/vcs-origin/"); return s }
		switch fixed := p.each(v1); {
		case fixed.want == p.want:
			return fixed, reason{CircleVersion, "the policy is written for CIRCLE_OIDC_TOKEN; the subject of CIRCLE_OIDC_TOKEN_V2 goes on with /vcs-origin/"}
		case fixed.got == p.got:
			return fixed, reason{CircleVersion, "the policy is written for CIRCLE_OIDC_TOKEN_V2; the subject of CIRCLE_OIDC_TOKEN ends before /vcs-origin/"}
		}
		return p, reason{}
	},
}

// otherWorkflow says how the workflow that a job runs is not the one that is trusted.
func otherWorkflow(want, got string) reason {
	wantFile, wantRef, _ := strings.Cut(want, "@")
	gotFile, gotRef, _ := strings.Cut(got, "@")
	if wantFile == gotFile {
		return reason{OtherWorkflow, fmt.Sprintf("the policy trusts this workflow at %s, and this job runs it at %s", quote(wantRef), quote(gotRef))}
	}
	return reason{OtherWorkflow, fmt.Sprintf("the policy trusts the workflow %s, and this job runs %s", quote(want), quote(got))}
}

// cutRepo splits GitHub's subject after the repository.
func cutRepo(sub string) (repo, context string, ok bool) {
	rest, ok := strings.CutPrefix(sub, "repo:")
	repo, context, _ = strings.Cut(rest, ":")
	return repo, context, ok
}

// withoutIDs turns immutable subjects, repo:OWNER@ID/REPOSITORY@ID:..., into the older ones.
// https://docs.github.com/en/actions/reference/security/oidc#immutable-subject-claims
func withoutIDs(p pair) (pair, reason) {
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
	ids := func(sub string) int {
		repo, _, _ := cutRepo(sub)
		return strings.Count(repo, "@")
	}
	switch fixed := p.each(names); cmp.Compare(ids(p.want), ids(p.got)) {
	case -1:
		return fixed, reason{ImmutableToken, "this repository's subjects carry ids, as all do that were made, renamed or transferred after 15 July 2026"}
	case 1:
		return fixed, reason{ImmutablePolicy, "the policy has ids that this repository's subjects do not carry"}
	default:
		return fixed, reason{OtherIDs, "the names are the same, but not the ids: another repository or owner may have taken the name"}
	}
}

func otherContext(p pair) (pair, reason) {
	wantRepo, want, ok1 := cutRepo(p.want)
	gotRepo, got, ok2 := cutRepo(p.got)
	if !ok1 || !ok2 || want == got || customised(p.want) != customised(p.got) {
		return p, reason{}
	}
	text := fmt.Sprintf("the policy trusts %s, and this job's subject names %s", context(want), context(got))
	if strings.HasPrefix(got, "environment:") && strings.HasPrefix(want, "ref:") {
		text += ", which stands in the place of the branch"
	}
	p.want, p.got = wantRepo, gotRepo
	return p, reason{OtherContext, text}
}

// context says what follows the repository in GitHub's subject.
func context(s string) string {
	for _, c := range [][2]string{{"ref:refs/heads/", "branch "}, {"ref:refs/tags/", "tag "}, {"environment:", "environment "}} {
		if rest, ok := strings.CutPrefix(s, c[0]); ok {
			return c[1] + quote(rest)
		}
	}
	switch s {
	case "pull_request":
		return "a pull request"
	case "":
		return "nothing after the repository"
	}
	return quote(s)
}

func otherRepository(p pair) (pair, reason) {
	wantRepo, want, ok1 := cutRepo(p.want)
	gotRepo, got, ok2 := cutRepo(p.got)
	if !ok1 || !ok2 || wantRepo == gotRepo || strings.Contains(wantRepo, "@") != strings.Contains(gotRepo, "@") {
		return p, reason{} // ids on one side alone are for withoutIDs
	}
	p.want, p.got = want, got
	return p, reason{OtherRepository, fmt.Sprintf("the policy trusts %s, and this job is of %s", quote(wantRepo), quote(gotRepo))}
}

// explain says why a value of the policy does not match the token's.
func explain(p pair) []reason {
	if len(p.want)+len(p.got) > 1000 { // no real value is that long, and the search is not linear
		return nil
	}
	for n := 1; n <= 3; n++ {
		if found := correct(p, 0, n); found != nil {
			return found
		}
	}
	return nil
}

// correct tries n of the corrections from the i-th on. Another repository in another context is just another subject.
func correct(p pair, i, n int) []reason {
	for ; i < len(corrections); i++ {
		fixed, why := corrections[i](p)
		switch {
		case fixed == p:
		case n == 1 && fixed.match():
			return []reason{why}
		case n > 1:
			rest := correct(fixed, i+1, n-1)
			other := slices.ContainsFunc(rest, func(r reason) bool { return r.kind == OtherRepository })
			if rest != nil && !(why.kind == OtherContext && other) {
				return append([]reason{why}, rest...)
			}
		}
	}
	return nil
}

// customised reports whether a subject of GitHub is not of the default form: the repository and one thing more.
func customised(sub string) bool {
	_, context, ok := cutRepo(sub)
	context, _, _ = strings.Cut(context, "${")
	return !ok || strings.Count(strings.TrimPrefix(context, "pull_request"), ":") > 1
}

// nearMiss says why a condition fails.
func (a asking) nearMiss(c Condition, check Check, add adder) {
	seen, shape := a.lookup(c.Key), shapeOf(a.issuer)
	o, _ := parseOperator(c.Operator)
	claim := strings.ToLower(c.Key[strings.LastIndex(c.Key, ":")+1:])
	values := fmt.Sprintf("the policy wants %s %s, and the token has %s", show(c.Operator), quoteAll(c.Values), quoteAll(seen.all))
	switch {
	case seen.alien && slices.Contains(a.keys, claim):
		add(Cause, KeyPrefix, c.at, "the key %s is not one of this token's issuer; its own is %s", quote(c.Key), quote(a.issuer+":"+claim))
		return
	case seen.alien:
		add(Cause, KeyUnknown, c.at, "AWS has no key %s for this issuer, so that this condition never holds", quote(c.Key))
		return
	case len(seen.all) == 0:
		wants := "to be " + quoteAll(c.Values)
		if o.base == "Null" {
			wants = "to be there, whatever it is"
		}
		add(Cause, MissingClaim, c.at, "%s", strings.TrimSuffix(fmt.Sprintf("the policy wants %s %s, and nothing is there: %s", quote(c.Key), wants, check.Why), ": "))
		return
	case o.negated || !strings.HasPrefix(o.base, "String"):
		add(Cause, OtherValue, c.at, "%s", values)
		return
	}
	var best []reason
	other := reason{kind: OtherValue}
	for _, want := range c.Values {
		if resolved, known := a.expand(want); known == Yes {
			want = resolved.text()
		}
		p := pair{want, seen.all[0], o.base == "StringLike", o.base == "StringEqualsIgnoreCase"}
		if claim == "job_workflow_ref" {
			other = otherWorkflow(p.want, p.got)
		}
		if found := explain(p); best == nil || len(found) > 0 && len(found) < len(best) {
			best = found
		}
		if !a.variables && strings.Contains(want, "${") {
			other = reason{OldVersion, "in a policy whose Version is not 2012-10-17, variables are plain text"}
		} else if differ := shape.differ(p); claim == "sub" && differ != "" {
			other = reason{OtherPart, differ}
		} else if claim == "sub" && shape.github() && customised(p.want) != customised(p.got) {
			other = reason{CustomSubject, "the policy is for a customised subject, and this one has GitHub's default form"}
			if customised(p.got) {
				other.text = "this job's subject is customised, and the policy is for GitHub's default form"
			}
		}
	}
	switch {
	case best != nil:
	case claim == "aud":
		best = []reason{{OtherAudience, "the token is for another audience"}}
	default:
		best = []reason{other}
	}
	for i, r := range best {
		if i == 0 {
			r.text = strings.TrimPrefix(r.text+": "+values, ": ")
		}
		add(Cause, r.kind, c.at, "%s", r.text)
	}
}
