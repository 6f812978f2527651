package trust

import (
	"fmt"
	"slices"
	"strings"
)

// ownerClaims are the claims besides sub that identify the owner of a job. A condition on one of
// them restricts the owner even if the condition on sub does not. job_workflow_ref is not in the
// list, because any repository can call a public workflow.
var ownerClaims = []string{"repository", "repository_id", "repository_owner_id", "enterprise_id",
	"project_id", "namespace_id", "organization_id", "organization_slug", "pipeline_id",
	"oidc.circleci.com/project-id"}

// restrictions describes how the conditions of a statement restrict the tokens of an issuer.
type restrictions struct {
	subject  *scope // of the narrowest condition on sub; nil without such a condition
	overrun  bool   // a "*" in a pattern for sub can match several parts
	owner    bool   // a condition on another claim restricts the owner
	workflow bool   // a condition restricts the workflow
	audience bool   // a condition restricts the audience
}

// addOverbroad adds findings about the other jobs that a statement admits, for each issuer that it
// trusts.
func (c requestContext) addOverbroad(s evaluatedStatement, found *findingList) {
	for _, issuer := range c.trustedIssuers(s.Statement, found) {
		p := platformOf(issuer)
		r := p.findRestrictions(issuer, s.conditions, found)
		admitted := "any customer of " + escape(issuer)
		if r.workflow {
			admitted = "any repository that can call this workflow"
		}
		switch {
		case r.subject == nil && r.owner:
		case r.subject == nil && p.shared:
			found.add(Danger, NoSubject, s.path, "no condition restricts the subject: %s "+
				"can assume this role; add a condition on %s:sub", admitted, escape(issuer))
		case r.subject == nil:
			found.add(Note, NoSubject, s.path, "no condition restricts the subject: any token "+
				"of %s is admitted; add a condition on %[1]s:sub", escape(issuer))
		case r.subject.size == oneJob || r.overrun && r.subject.size == oneProject:
			// There is nothing to report, or findRestrictions has reported the overrun.
		case r.subject.size <= oneOwner:
			found.add(Note, r.subject.kind, r.subject.path, "%s", r.subject.text)
		case !r.owner:
			found.add(Danger, r.subject.kind, r.subject.path, "%s", r.subject.text)
		}
		if !r.audience {
			found.add(Note, NoAudience, s.path, "no condition restricts the audience: any audience "+
				"of the provider is admitted; add a condition on %s:aud", escape(issuer))
		}
	}
}

// trustedIssuers returns the issuers whose providers a statement names. The Principal "*" trusts
// the token's issuer, and trustedIssuers adds a Danger for it.
func (c requestContext) trustedIssuers(s Statement, found *findingList) (issuers []string) {
	for _, p := range s.Principals {
		_, issuer, ok := strings.Cut(p.Name, ":oidc-provider/")
		issuer = strings.TrimPrefix(issuer, "https://")
		if p.Kind == "*" {
			found.add(Danger, AnyPrincipal, s.path, "the Principal * trusts any identity that meets "+
				"the conditions; name the provider instead")
			issuer, ok = c.issuer, true
		}
		if ok && !slices.Contains(issuers, issuer) {
			issuers = append(issuers, issuer)
		}
	}
	return issuers
}

// findRestrictions returns how the conditions restrict the tokens of the platform's issuer. It adds
// a Danger for each condition that also admits tokens that it seems to exclude.
func (p platform) findRestrictions(
	issuer string, conditions []evaluatedCondition, found *findingList,
) (r restrictions) {
	prefix := strings.ToLower(issuer) + ":"
	for _, c := range conditions {
		claim, ok := strings.CutPrefix(strings.ToLower(c.Key), prefix)
		if !ok || !c.supported || c.operator.base == "Null" || len(c.Want) == 0 {
			continue
		}
		acceptsMissing := c.operator.acceptsMissingKey()
		switch {
		case !p.hasKey(claim) && (acceptsMissing || c.operator.negated):
			found.add(Danger, KeyUnknown, c.path, "AWS does not support the key %s for this issuer, "+
				"so the condition is always met and restricts nothing", quote(claim))
			continue
		case !p.hasKey(claim) || c.operator.negated:
			continue
		case acceptsMissing:
			found.add(Danger, MissingKeyAdmits, c.path,
				"a token without %s also meets this condition; use %s",
				escape(claim), escape(c.operator.base))
		}
		switch {
		case claim == "sub":
			r.addSubject(p.subject, c, found)
		case acceptsMissing:
		case claim == "aud":
			r.audience = true
		case claim == "job_workflow_ref":
			r.workflow = true
		case slices.Contains(ownerClaims, claim):
			r.owner = r.owner || c.restrictsOwner()
		}
	}
	return r
}

// restrictsOwner reports whether each value of a condition matches only one owner.
func (c evaluatedCondition) restrictsOwner() bool {
	if c.operator.base != "NumericEquals" && !strings.HasPrefix(c.operator.base, "String") {
		return false
	}
	return !slices.ContainsFunc(c.Want, func(v string) bool {
		i := strings.IndexAny(v, "*?")
		inOwner := i >= 0 && !strings.Contains(v[:i], "/")
		return strings.Contains(v, "${") || c.operator.base == "StringLike" && inOwner
	})
}

// addSubject adds a condition on sub. The scope of the condition is that of its widest value.
func (r *restrictions) addSubject(f subjectFormat, c evaluatedCondition, found *findingList) {
	var widest scope
	for _, v := range c.Want {
		if text := f.describeOverrun(v); text != "" && c.operator.base == "StringLike" {
			r.overrun = true
			found.add(Danger, WildcardOverrun, c.path, "%s", text)
		}
		if s := f.scope(c.operator.base, v); s.size > widest.size {
			widest = s
			widest.path, widest.text = c.path, quote(v)+" admits "+s.text
		}
	}
	if r.subject == nil || widest.size < r.subject.size {
		r.subject = &widest
	}
}

// scope describes the jobs that a condition on sub admits.
type scope struct {
	size scopeSize
	kind Kind
	path string // of the condition
	text string // describes the jobs, for a message
}

// scopeSize orders scopes from narrow to wide.
type scopeSize int

const (
	oneJob scopeSize = iota
	oneProject
	oneOwner
	ownersByPrefix
	anyone
)

// scope returns the jobs that a value for sub admits under a base operator.
func (f subjectFormat) scope(operator, v string) scope {
	prefix, exact := fixedPrefix(operator, v)
	key, rest, separated := strings.Cut(prefix, f.separator)
	named := separated && slices.Contains(f.ownerKeys, key)
	_, project, hasProject := strings.Cut(rest, f.project)
	switch {
	// An exact value. For an unknown platform, every value with a fixed prefix counts as one.
	case f.ownerKeys == nil && prefix != "" || exact && (named || !f.isGitHub()):
		return scope{size: oneJob}
	// No subject of GitHub has this format, not even a customized one.
	case exact && (strings.Contains(key, "/") || !separated && prefix != "pull_request"):
		return scope{size: oneJob}
	case !named || rest == "":
		text := "jobs of any owner"
		if strings.Contains(v, "job_workflow_ref:") {
			text = "jobs of any repository that can call this workflow"
		}
		return scope{size: anyone, kind: AnySubject, text: text}
	case !strings.ContainsAny(rest, f.ownerEnd):
		return scope{size: ownersByPrefix, kind: OwnerPrefix, text: "every owner whose name begins " +
			"with " + quote(rest) + ", and anyone can choose such a name"}
	case !hasProject || !strings.ContainsAny(project, f.projectEnd):
		return scope{size: oneOwner, kind: OwnerWide, text: "more than one project of the owner"}
	}
	return scope{size: oneProject, kind: RepositoryWide,
		text: "more than one branch, tag, environment or pull request of the project"}
}

// fixedPrefix returns the text of a value before its first wildcard or variable, and reports
// whether the value has neither.
func fixedPrefix(operator, v string) (prefix string, exact bool) {
	if strings.HasPrefix(v, "repo:") {
		// The names in repo:acme@*/app@* are complete. The wildcards stand for IDs.
		v = strings.NewReplacer("@*/", "/", "@*:", ":").Replace(v)
	}
	if rest, ok := strings.CutPrefix(v, "job_workflow_ref:"); ok && strings.Contains(rest, ":") {
		_, v, _ = strings.Cut(rest, ":") // a claim after the workflow can name an owner
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

// describeOverrun describes the other jobs that a pattern admits because a "*" can match several
// parts of a subject. It returns "" if there are none.
//
// The other jobs have the text after the "*" in a name that a developer chooses. Branch names of
// CircleCI can contain "/", which separates the parts of its subjects. Step keys of Buildkite can
// contain ":". Branch names in Git cannot contain ":".
// https://buildkite.com/docs/pipelines/configure/step-types/command-step
func (f subjectFormat) describeOverrun(v string) string {
	if f.partPrefixes == nil {
		return ""
	}
	last := len(f.partPrefixes) - 1
	for i, r := range v {
		if r != '*' {
			continue
		}
		before, rest := v[:i], v[i+1:]
		fixed := strings.ReplaceAll(rest, "*", "")
		for _, prefix := range f.partPrefixes {
			fixed = strings.ReplaceAll(fixed, prefix, "")
		}
		if fixed == "" || strings.Contains(before, f.partPrefixes[last]) ||
			strings.ContainsAny(rest, f.lastPartExcludes) {
			continue
		}
		name, hint := f.partName(last), ""
		if strings.HasSuffix(name, "ref") {
			name = "branch"
		}
		switch {
		case strings.HasSuffix(before, "/user/") && rest[0] == '/':
			hint = "; for any user, use ????????-????-????-????-????????????"
		case strings.HasSuffix(before, ":commit:") && rest[0] == ':':
			hint = "; for any commit, use 40 question marks"
		}
		return fmt.Sprintf("%s also admits every %s whose name contains %s, because the * "+
			"before it can match several parts of the subject%s",
			quote(v), name, quote(rest), hint)
	}
	return ""
}
