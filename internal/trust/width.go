package trust

import (
	"fmt"
	"slices"
	"strings"
)

// shape is how a platform's subjects are made of parts, and how the first of them names an owner. Until the owner has
// ended, a pattern can be filled by strangers, who only need a name that begins the same.
type shape struct {
	issuer   string // a pattern
	shared   bool   // every customer's tokens come from this issuer
	keys     []string
	sep      string   // between the first key and the owner
	ownerEnd string   // one of these characters
	project  string   // what stands before the project's name
	end      string   // and after it: one of these characters
	parts    []string // what stands before each part, where they are always the same
	never    string   // what the last part's value, which a developer chooses, cannot have in it
}

// bitbucket's subjects are {repository}:{step}, or with a deployment {repository}:{environment}:{step}, of UUIDs.
const bitbucket = "api.bitbucket.org/2.0/workspaces/*/pipelines-config/identity/oidc"

var (
	// githubKeys begin a subject that names its owner; a customised one can begin with others, which every repository has
	// or, as the workflow that it calls, can have.
	// https://docs.github.com/en/actions/reference/security/oidc#customizing-the-subject-claims-for-an-organization-or-repository
	githubKeys = []string{"repo", "repository", "repository_id", "repository_owner", "repository_owner_id",
		"workflow_ref", "enterprise", "enterprise_id"}
	circleParts = []string{"org/", "/project/", "/user/", "/vcs-origin/", "/vcs-ref/"}
)

// Shared issuers are those of https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_oidc_secure-by-default.html
var shapes = []shape{
	{"token.actions.githubusercontent.com", true, githubKeys, ":", "/@:", "/", "@:", nil, ""},
	{"token.actions.*", false, githubKeys, ":", "/@:", "/", "@:", nil, ""},
	{"*/_services/token", false, githubKeys, ":", "/@:", "/", "@:", nil, ""},
	{"gitlab.com", true, []string{"project_path"}, ":", "/", "/", ":", []string{"project_path:", ":ref_type:", ":ref:"}, ":"},
	{"agent.buildkite.com", true, []string{"organization"}, ":", ":", ":pipeline:", ":",
		[]string{"organization:", ":pipeline:", ":ref:", ":commit:", ":step:"}, "/"},
	{"app.terraform.io", true, []string{"organization"}, ":", ":", ":workspace:", ":",
		[]string{"organization:", ":project:", ":workspace:", ":run_phase:"}, ":"},
	{"oidc.circleci.com", true, []string{"org"}, "/", "/", "/project/", "/", circleParts, ":"},
	{"oidc.circleci.com/org/*", false, []string{"org"}, "/", "/", "/project/", "/", circleParts, ":"},
	{issuer: bitbucket},
}

// shapeOf returns the zero shape for an issuer whose subjects are not known.
func shapeOf(issuer string) shape {
	i := slices.IndexFunc(shapes, func(s shape) bool { return like(runes(s.issuer), issuer) })
	if i < 0 {
		return shape{}
	}
	return shapes[i]
}

// github reports whether every customer can make subjects of any claims.
func (s shape) github() bool { return slices.Contains(s.keys, "repo") }

// split cuts a subject into its parts, as many as it has: those of CircleCI's first token end with the user.
func (s shape) split(sub string) (values []string) {
	for i, mark := range s.parts {
		before, after, ok := strings.Cut(sub, mark)
		if !ok || i == 0 && before != "" {
			break
		}
		if i > 0 {
			values[i-1] = before
		}
		values, sub = append(values, after), after
	}
	return values
}

// part is the name of a part.
func (s shape) part(i int) string { return strings.Trim(s.parts[i], ":/") }

// differ names the parts in which two subjects differ.
func (s shape) differ(p pair) string {
	want, got := s.split(p.want), s.split(p.got)
	if len(want) != len(got) {
		return ""
	}
	var names []string
	for i := range want {
		if part := (pair{want[i], got[i], p.wild, p.fold}); !part.match() {
			names = append(names, fmt.Sprintf("%s is %s and not %s", s.part(i), quote(got[i]), quote(want[i])))
		}
	}
	return strings.Join(names, "; ")
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
