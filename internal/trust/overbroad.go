package trust

import (
	"fmt"
	"slices"
	"strings"
)

// ownerKeys are the claims besides sub that say whose job it is. A condition that pins one of them makes up for any
// pattern for sub. One that pins job_workflow_ref does not: a public workflow can be called from any repository.
var ownerKeys = []string{"repository", "repository_id", "repository_owner_id", "enterprise_id", "project_id", "namespace_id",
	"organization_id", "organization_slug", "pipeline_id", "oidc.circleci.com/project-id"}

// pins reports whether each of a condition's values leaves the owner no choice.
func pins(o operator, values []string) bool {
	return !slices.ContainsFunc(values, func(v string) bool {
		i := strings.IndexAny(v, "*?")
		return strings.Contains(v, "${") || o.base == "StringLike" && i >= 0 && !strings.Contains(v[:i], "/")
	}) && (strings.HasPrefix(o.base, "String") || o.base == "NumericEquals")
}

// dangers says who else a statement admits, for each issuer whose provider it names.
func (a asking) dangers(s Statement, add adder) {
	var done []string // the issuers
	for _, p := range s.Principals {
		_, issuer, ok := strings.Cut(p.Name, ":oidc-provider/")
		if p.Kind == "*" {
			add(Danger, AnyPrincipal, s.at, "it trusts everyone whom its conditions do not exclude; name the provider instead")
			issuer, ok = a.issuer, true
		}
		if !ok {
			continue
		}
		issuer = strings.TrimPrefix(issuer, "https://")
		if slices.Contains(done, issuer) {
			continue
		}
		done = append(done, issuer)
		keys, shape := keysOf(issuer), shapeOf(issuer)
		owned, audience, hides := false, false, false
		who := "any customer's of " + show(issuer)
		var subject *opening // what the narrowest condition on sub leaves open
		for _, c := range s.Conditions {
			o, ok := parseOperator(c.Operator)
			claim, ours := strings.CutPrefix(strings.ToLower(c.Key), strings.ToLower(issuer)+":")
			passes := o.ifExists || o.set == "ForAllValues" // when the key is not there
			switch known := slices.Contains(keys, claim); {
			case !ok || !ours || o.base == "Null" || len(c.Values) == 0:
				continue
			case !known && (passes || o.negated):
				add(Danger, KeyUnknown, c.at, "AWS has no key %s for this issuer, so that this condition always holds and protects nothing", quote(claim))
				continue
			case !known || o.negated:
				continue
			case passes:
				add(Danger, MissingAdmits, c.at, "a token without %s passes this; use %s", show(claim), show(o.base))
			}
			switch {
			case claim == "sub":
				for _, v := range c.Values {
					if text := shape.swallows(v); text != "" && o.base == "StringLike" {
						hides = true
						add(Danger, BranchHides, c.at, "%s", text)
					}
				}
				if open := shape.widest(o.base == "StringLike", c); subject == nil || open.width < subject.width {
					subject = &open
				}
			case passes:
			case claim == "aud":
				audience = true
			case claim == "job_workflow_ref":
				who = "any repository's that can call this workflow"
			case slices.Contains(ownerKeys, claim):
				owned = owned || pins(o, c.Values)
			}
		}
		switch {
		case subject == nil && !owned && shape.shared:
			add(Danger, NoSubject, s.at, "nothing says whose jobs: %s can take this role; add a condition on %s:sub", who, show(issuer))
		case subject == nil && !owned:
			add(Note, NoSubject, s.at, "it admits everyone to whom %s gives a token; add a condition on %[1]s:sub", show(issuer))
		case subject == nil || subject.width == exact || hides && subject.width == projectsJobs: // that was said already
		case subject.width <= ownersProjects:
			add(Note, subject.kind, subject.at, "%s", subject.text)
		case !owned:
			add(Danger, subject.kind, subject.at, "%s", subject.text)
		}
		if !audience {
			add(Note, NoAudience, s.at, "nothing says what a token must be for: the provider's list of audiences alone decides; "+
				"add a condition on %s:aud", show(issuer))
		}
	}
}

// opening is what a condition on sub leaves open.
type opening struct {
	width int
	kind  Kind
	at    string
	text  string
}

// How wide an opening is.
const (
	exact = iota
	projectsJobs
	ownersProjects
	namesakes
	everyone
)

// widest is the widest opening among a condition's values, any of which may match.
func (s shape) widest(wild bool, c Condition) (found opening) {
	for _, v := range c.Values {
		if open := s.width(wild, v); open.width > found.width {
			found = open
			found.at, found.text = c.at, quote(v)+" admits "+open.text
		}
	}
	return found
}

// swallows says who gets in where a "*" in a pattern stands for more than its part, and what follows it can be in the
// last part's own value: CircleCI's branches may have the "/" of its subjects in their names, and Buildkite's step keys
// the ":" (https://buildkite.com/docs/pipelines/configure/step-types/command-step). Git allows no ":" in a name.
func (s shape) swallows(v string) string {
	for i, r := range v {
		if r != '*' || s.parts == nil {
			continue
		}
		before, rest, last := v[:i], v[i+1:], s.parts[len(s.parts)-1]
		fixed := strings.ReplaceAll(rest, "*", "")
		for _, mark := range s.parts {
			fixed = strings.ReplaceAll(fixed, mark, "")
		}
		if strings.Contains(before, last) || fixed == "" || strings.ContainsAny(rest, s.never) {
			continue
		}
		name, hint := s.part(len(s.parts)-1), ""
		if strings.HasSuffix(name, "ref") {
			name = "branch"
		}
		switch {
		case strings.HasSuffix(before, "/user/") && rest[0] == '/':
			hint = "; for a user write 36 characters, ????????-????-????-????-????????????"
		case strings.HasSuffix(before, ":commit:") && rest[0] == ':':
			hint = "; for a commit write 40 times ?"
		}
		return fmt.Sprintf("%s also admits every %s that has %s in its own name, since the * before that stands for all the rest%s", quote(v), name, quote(rest), hint)
	}
	return ""
}

func (s shape) width(wild bool, v string) opening {
	fixed := v
	if strings.HasPrefix(v, "repo:") {
		fixed = strings.NewReplacer("@*/", "/", "@*:", ":").Replace(v) // repo:acme@*/app@*: whatever their ids, the names are whole
	}
	who := "strangers: it does not say whose jobs"
	if strings.Contains(v, "job_workflow_ref:") {
		who = "any repository that can call this workflow: it does not say whose jobs"
	}
	if rest, ok := strings.CutPrefix(fixed, "job_workflow_ref:"); ok && strings.Contains(rest, ":") {
		_, fixed, _ = strings.Cut(rest, ":") // what follows may say it
	}
	stop := strings.Index(fixed, "${")
	if wild {
		stop = strings.IndexAny(fixed, "*?$")
	}
	if stop >= 0 {
		fixed = fixed[:stop]
	}
	key, owner, cut := strings.Cut(fixed, s.sep)
	keyed := cut && slices.Contains(s.keys, key)
	_, project, begun := strings.Cut(owner, s.project)
	switch {
	case s.keys == nil && fixed != "" || stop < 0 && (keyed || !s.github()):
		return opening{}
	case stop < 0 && (strings.Contains(key, "/") || !cut && fixed != "pull_request"):
		return opening{} // which no subject of GitHub can be, however customised
	case !keyed || owner == "":
		return opening{width: everyone, kind: AnySubject, text: who}
	case !strings.ContainsAny(owner, s.ownerEnd):
		text := "every owner whose name begins with " + quote(owner) + ", and strangers can choose such a name"
		return opening{width: namesakes, kind: OwnerPrefix, text: text}
	case !begun || !strings.ContainsAny(project, s.end):
		return opening{width: ownersProjects, kind: OwnerWide, text: "more than one project of that owner"}
	}
	return opening{width: projectsJobs, kind: RepositoryWide, text: "more of that project than one branch, tag, environment or pull request"}
}
