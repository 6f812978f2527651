package trust

import (
	"fmt"
	"slices"
	"strings"
)

// platform describes the issuer of a platform's tokens: what a trust policy can test in them, and
// how their subjects are built. Its zero value stands for an issuer that is not in platforms.
type platform struct {
	issuer  string // without https://, and a pattern for platforms with many issuers
	shared  bool   // every customer's tokens come from this issuer
	builtIn bool   // a policy names it without a provider in the account
	claims  []string
	subject subjectFormat
}

// subjectFormat describes the subjects of a platform. They consist of parts, and the first part
// names an owner. A pattern that stops before the end of the owner's name also matches other
// owners, because anyone can choose a name with the same beginning.
type subjectFormat struct {
	owners     []string // the keys that name an owner at the beginning of a subject
	separator  string   // between such a key and the owner
	ownerEnd   string   // characters, each of which ends the owner
	project    string   // the text before the project's name
	projectEnd string   // characters, each of which ends the project
	parts      []string // the text before each part, if that text is always the same
	excluded   string   // characters that the last part, which a developer chooses, cannot contain
}

// commonClaims are the claims that a policy can test for every issuer.
var commonClaims = []string{"sub", "aud", "amr", "email"}

var (
	githubClaims = []string{"actor", "actor_id", "enterprise_id", "environment", "job_workflow_ref",
		"ref", "repository", "repository_id", "repository_owner_id", "workflow"}
	gitlabClaims = []string{"namespace_id", "pipeline_source", "project_id", "ref_protected",
		"runner_environment", "user_access_level", "user_email", "user_id", "user_login"}
	buildkiteClaims = []string{"build_branch", "cluster_id", "cluster_name", "organization_id",
		"organization_slug", "pipeline_id", "pipeline_slug"}
	circleClaims = []string{"oidc.circleci.com/project-id"}
	googleClaims = []string{"google/organization_number", "oaud"}
	oracleClaims = []string{"rpst_id"}
)

var (
	// A customized subject can begin with other keys than these owners. Every repository has them
	// or, as with the workflow that it calls, can have them.
	// https://docs.github.com/en/actions/reference/security/oidc#customizing-the-subject-claims-for-an-organization-or-repository
	githubSubject = subjectFormat{
		owners: []string{"repo", "repository", "repository_id", "repository_owner",
			"repository_owner_id", "workflow_ref", "enterprise", "enterprise_id"},
		separator: ":", ownerEnd: "/@:", project: "/", projectEnd: "@:",
	}
	gitlabSubject = subjectFormat{
		owners:    []string{"project_path"},
		separator: ":", ownerEnd: "/", project: "/", projectEnd: ":",
		parts:    []string{"project_path:", ":ref_type:", ":ref:"},
		excluded: ":",
	}
	buildkiteSubject = subjectFormat{
		owners:    []string{"organization"},
		separator: ":", ownerEnd: ":", project: ":pipeline:", projectEnd: ":",
		parts:    []string{"organization:", ":pipeline:", ":ref:", ":commit:", ":step:"},
		excluded: "/",
	}
	terraformSubject = subjectFormat{
		owners:    []string{"organization"},
		separator: ":", ownerEnd: ":", project: ":workspace:", projectEnd: ":",
		parts:    []string{"organization:", ":project:", ":workspace:", ":run_phase:"},
		excluded: ":",
	}
	circleSubject = subjectFormat{
		owners:    []string{"org"},
		separator: "/", ownerEnd: "/", project: "/project/", projectEnd: "/",
		parts:    []string{"org/", "/project/", "/user/", "/vcs-origin/", "/vcs-ref/"},
		excluded: ":",
	}
)

// The subjects of bitbucket are {repository}:{step}, or {repository}:{environment}:{step} with a
// deployment. All of them are UUIDs.
const bitbucket = "api.bitbucket.org/2.0/workspaces/*/pipelines-config/identity/oidc"

// platforms are all platforms that this package knows. The first one that matches an issuer counts.
//
// AWS makes no other claims available to policies, whatever a token contains. Read in October 2026:
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_sts.html
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif
//
// Shared issuers:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_oidc_secure-by-default.html
//
// Built-in issuers:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-federated-web-identity
var platforms = []platform{
	{issuer: "token.actions.githubusercontent.com", shared: true,
		claims: githubClaims, subject: githubSubject},
	{issuer: "token.actions.githubusercontent.com/*", claims: githubClaims, subject: githubSubject},
	{issuer: "token.actions.*.ghe.com", claims: githubClaims, subject: githubSubject},
	{issuer: "token.actions.*", subject: githubSubject},
	{issuer: "*/_services/token", subject: githubSubject},
	{issuer: "github.com/enterprises/*", claims: githubClaims},
	{issuer: "gitlab.com", shared: true, claims: gitlabClaims, subject: gitlabSubject},
	{issuer: "agent.buildkite.com", shared: true,
		claims: buildkiteClaims, subject: buildkiteSubject},
	{issuer: "agent.*.buildkite.dev", claims: buildkiteClaims},
	{issuer: "agent.*.buildkite.site", claims: buildkiteClaims},
	{issuer: "app.terraform.io", shared: true, subject: terraformSubject},
	{issuer: "oidc.circleci.com", shared: true, subject: circleSubject},
	{issuer: "oidc.circleci.com/org/*", claims: circleClaims, subject: circleSubject},
	{issuer: bitbucket},
	{issuer: "idcs-*.identity.oraclecloud.com", claims: oracleClaims},
	{issuer: "accounts.google.com", builtIn: true, claims: googleClaims},
	{issuer: "cognito-identity.amazonaws.com", builtIn: true},
	{issuer: "graph.facebook.com", builtIn: true},
	{issuer: "www.amazon.com", builtIn: true},
}

// platformOf returns the platform of an issuer, which is given without https://.
func platformOf(issuer string) platform {
	for _, p := range platforms {
		if like(runes(p.issuer), issuer) {
			return p
		}
	}
	return platform{}
}

// hasKey reports whether a policy can test a claim of the platform's tokens.
func (p platform) hasKey(claim string) bool {
	return slices.Contains(commonClaims, claim) || slices.Contains(p.claims, claim)
}

// isGitHub reports whether customers can build their subjects of any claims.
func (f subjectFormat) isGitHub() bool { return slices.Contains(f.owners, "repo") }

// split returns the parts of a subject, as many as it has. The subject of CircleCI's first token
// ends with the user.
func (f subjectFormat) split(sub string) (values []string) {
	for i, mark := range f.parts {
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

// partName returns the name of a part.
func (f subjectFormat) partName(i int) string { return strings.Trim(f.parts[i], ":/") }

// differences names the parts in which two subjects differ. It returns "" if the subjects do not
// have the same number of parts.
func (f subjectFormat) differences(p pair) string {
	want, got := f.split(p.want), f.split(p.got)
	if len(want) != len(got) {
		return ""
	}
	var names []string
	for i := range want {
		if part := (pair{want[i], got[i], p.operator}); !part.match() {
			names = append(names,
				fmt.Sprintf("%s is %s and not %s", f.partName(i), quote(got[i]), quote(want[i])))
		}
	}
	return strings.Join(names, "; ")
}

// cutRepo splits a subject of GitHub after the repository. The rest is its context.
func cutRepo(sub string) (repo, context string, ok bool) {
	rest, ok := strings.CutPrefix(sub, "repo:")
	repo, context, _ = strings.Cut(rest, ":")
	return repo, context, ok
}

// customized reports whether a subject of GitHub does not have the default form, which is the
// repository and one more claim.
func customized(sub string) bool {
	_, context, ok := cutRepo(sub)
	context, _, _ = strings.Cut(context, "${")
	return !ok || strings.Count(strings.TrimPrefix(context, "pull_request"), ":") > 1
}

// describeContext returns a description of the context of a subject of GitHub.
func describeContext(context string) string {
	for _, known := range []struct{ prefix, name string }{
		{"ref:refs/heads/", "branch "},
		{"ref:refs/tags/", "tag "},
		{"environment:", "environment "},
	} {
		if rest, ok := strings.CutPrefix(context, known.prefix); ok {
			return known.name + quote(rest)
		}
	}
	switch context {
	case "pull_request":
		return "a pull request"
	case "":
		return "nothing after the repository"
	}
	return quote(context)
}
