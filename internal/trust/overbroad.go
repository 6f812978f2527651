package trust

import (
	"fmt"
	"slices"
	"strings"
)

// ownerClaims are the claims besides sub that identify the owner of a job. A condition that
// restricts one of them protects a statement with any pattern for sub. A condition on
// job_workflow_ref does not, because any repository can call a public workflow.
var ownerClaims = []string{"repository", "repository_id", "repository_owner_id", "enterprise_id",
	"project_id", "namespace_id", "organization_id", "organization_slug", "pipeline_id",
	"oidc.circleci.com/project-id"}

// restrictions are what the conditions of a statement require of the tokens of one issuer.
type restrictions struct {
	subject  *scope // of the narrowest condition on sub; nil without one
	overrun  bool   // a pattern for sub matches more than it seems to match
	owner    bool   // a condition on another claim identifies the owner
	workflow bool   // a condition requires a workflow
	audience bool   // a condition requires an audience
}

// overbroad adds who else a statement admits, for each issuer that it trusts.
func (c requestContext) overbroad(s evaluated, found *findings) {
	for _, issuer := range c.trustedIssuers(s.Statement, found) {
		p := platformOf(issuer)
		r := p.restrictions(issuer, s.conditions, found)
		who := "any customer's of " + show(issuer)
		if r.workflow {
			who = "any repository's that can call this workflow"
		}
		switch {
		case r.subject == nil && r.owner:
		case r.subject == nil && p.shared:
			found.add(Danger, NoSubject, s.at, "nothing says whose jobs: %s can take this role; "+
				"add a condition on %s:sub", who, show(issuer))
		case r.subject == nil:
			found.add(Note, NoSubject, s.at, "it admits everyone to whom %s gives a token; "+
				"add a condition on %[1]s:sub", show(issuer))
		case r.subject.size == oneJob || r.overrun && r.subject.size == oneProject:
			// There is nothing to report, or the overrun is reported already.
		case r.subject.size <= oneOwner:
			found.add(Note, r.subject.kind, r.subject.at, "%s", r.subject.text)
		case !r.owner:
			found.add(Danger, r.subject.kind, r.subject.at, "%s", r.subject.text)
		}
		if !r.audience {
			found.add(Note, NoAudience, s.at, "nothing says what a token must be for: "+
				"the provider's list of audiences alone decides; add a condition on %s:aud",
				show(issuer))
		}
	}
}

// trustedIssuers returns the issuers whose providers a statement names. A statement for everyone
// trusts the token's issuer, too, and is a danger in itself.
func (c requestContext) trustedIssuers(s Statement, found *findings) (issuers []string) {
	for _, p := range s.Principals {
		_, issuer, ok := strings.Cut(p.Name, ":oidc-provider/")
		issuer = strings.TrimPrefix(issuer, "https://")
		if p.Kind == "*" {
			found.add(Danger, AnyPrincipal, s.at,
				"it trusts everyone whom its conditions do not exclude; name the provider instead")
			issuer, ok = c.issuer, true
		}
		if ok && !slices.Contains(issuers, issuer) {
			issuers = append(issuers, issuer)
		}
	}
	return issuers
}

// restrictions returns what conditions require of the tokens of the platform's issuer. It adds
// conditions that hold for tokens that they seem to exclude.
func (p platform) restrictions(
	issuer string, conditions []evaluatedCondition, found *findings,
) (r restrictions) {
	prefix := strings.ToLower(issuer) + ":"
	for _, c := range conditions {
		claim, ok := strings.CutPrefix(strings.ToLower(c.Key), prefix)
		if !ok || !c.supported || c.operator.base == "Null" || len(c.Want) == 0 {
			continue
		}
		passes := c.operator.passesWithoutKey()
		switch {
		case !p.hasKey(claim) && (passes || c.operator.negated):
			found.add(Danger, KeyUnknown, c.at, "AWS has no key %s for this issuer, "+
				"so that this condition always holds and protects nothing", quote(claim))
			continue
		case !p.hasKey(claim) || c.operator.negated:
			continue
		case passes:
			found.add(Danger, MissingAdmits, c.at,
				"a token without %s passes this; use %s", show(claim), show(c.operator.base))
		}
		switch {
		case claim == "sub":
			r.addSubject(p.subject, c, found)
		case passes:
		case claim == "aud":
			r.audience = true
		case claim == "job_workflow_ref":
			r.workflow = true
		case slices.Contains(ownerClaims, claim):
			r.owner = r.owner || c.fixesOwner()
		}
	}
	return r
}

// fixesOwner reports whether each value of a condition allows one owner only.
func (c evaluatedCondition) fixesOwner() bool {
	if c.operator.base != "NumericEquals" && !strings.HasPrefix(c.operator.base, "String") {
		return false
	}
	return !slices.ContainsFunc(c.Want, func(v string) bool {
		i := strings.IndexAny(v, "*?")
		inOwner := i >= 0 && !strings.Contains(v[:i], "/")
		return strings.Contains(v, "${") || c.operator.base == "StringLike" && inOwner
	})
}

// addSubject adds a condition on sub. The condition admits what the widest of its values admits.
func (r *restrictions) addSubject(f subjectFormat, c evaluatedCondition, found *findings) {
	var widest scope
	for _, v := range c.Want {
		if text := f.overrun(v); text != "" && c.operator.base == "StringLike" {
			r.overrun = true
			found.add(Danger, BranchHides, c.at, "%s", text)
		}
		if s := f.scope(c.operator.base, v); s.size > widest.size {
			widest = s
			widest.at, widest.text = c.at, quote(v)+" admits "+s.text
		}
	}
	if r.subject == nil || widest.size < r.subject.size {
		r.subject = &widest
	}
}

// scope is the set of jobs that a condition on sub admits.
type scope struct {
	size size
	kind Kind
	at   string
	text string
}

// size is the size of a scope.
type size int

const (
	oneJob size = iota
	oneProject
	oneOwner
	ownersByPrefix
	anyone
)

// scope returns the jobs that a value for sub admits under a base operator.
func (f subjectFormat) scope(operator, v string) scope {
	prefix, exact := fixedPrefix(operator, v)
	key, owner, separated := strings.Cut(prefix, f.separator)
	named := separated && slices.Contains(f.owners, key)
	_, project, hasProject := strings.Cut(owner, f.project)
	switch {
	case f.owners == nil && prefix != "" || exact && (named || !f.isGitHub()):
		return scope{}
	case exact && (strings.Contains(key, "/") || !separated && prefix != "pull_request"):
		return scope{} // no subject of GitHub has this form, not even a customized one
	case !named || owner == "":
		text := "strangers: it does not say whose jobs"
		if strings.Contains(v, "job_workflow_ref:") {
			text = "any repository that can call this workflow: it does not say whose jobs"
		}
		return scope{size: anyone, kind: AnySubject, text: text}
	case !strings.ContainsAny(owner, f.ownerEnd):
		return scope{size: ownersByPrefix, kind: OwnerPrefix, text: "every owner whose name " +
			"begins with " + quote(owner) + ", and strangers can choose such a name"}
	case !hasProject || !strings.ContainsAny(project, f.projectEnd):
		return scope{size: oneOwner, kind: OwnerWide, text: "more than one project of that owner"}
	}
	return scope{size: oneProject, kind: RepositoryWide,
		text: "more of that project than one branch, tag, environment or pull request"}
}

// fixedPrefix returns the text of a value before its first wildcard or variable. It also reports
// whether that is the whole value.
func fixedPrefix(operator, v string) (prefix string, exact bool) {
	if strings.HasPrefix(v, "repo:") {
		// repo:acme@*/app@* has complete names, with any ids.
		v = strings.NewReplacer("@*/", "/", "@*:", ":").Replace(v)
	}
	if rest, ok := strings.CutPrefix(v, "job_workflow_ref:"); ok && strings.Contains(rest, ":") {
		_, v, _ = strings.Cut(rest, ":") // the claims after the workflow can name an owner
	}
	end := strings.Index(v, "${")
	if operator == "StringLike" {
		end = strings.IndexAny(v, "*?$")
	}
	if end < 0 {
		return v, true
	}
	return v[:end], false
}

// overrun returns who else a pattern admits if one of its "*" can match more than one part. The
// text after that "*" can then be in the value of the last part: CircleCI's branches can contain
// the "/" between the parts of a subject, and Buildkite's step keys can contain the ":"
// (https://buildkite.com/docs/pipelines/configure/step-types/command-step). In Git, the name of a
// branch cannot contain a ":".
func (f subjectFormat) overrun(v string) string {
	if f.parts == nil {
		return ""
	}
	last := len(f.parts) - 1
	for i, r := range v {
		if r != '*' {
			continue
		}
		before, rest := v[:i], v[i+1:]
		fixed := strings.ReplaceAll(rest, "*", "")
		for _, mark := range f.parts {
			fixed = strings.ReplaceAll(fixed, mark, "")
		}
		if fixed == "" || strings.Contains(before, f.parts[last]) ||
			strings.ContainsAny(rest, f.excluded) {
			continue
		}
		name, hint := f.partName(last), ""
		if strings.HasSuffix(name, "ref") {
			name = "branch"
		}
		switch {
		case strings.HasSuffix(before, "/user/") && rest[0] == '/':
			hint = "; for a user write 36 characters, ????????-????-????-????-????????????"
		case strings.HasSuffix(before, ":commit:") && rest[0] == ':':
			hint = "; for a commit write 40 times ?"
		}
		return fmt.Sprintf("%s also admits every %s that has %s in its own name, "+
			"since the * before that stands for all the rest%s", quote(v), name, quote(rest), hint)
	}
	return ""
}
