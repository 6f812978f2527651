package trust

import (
	"fmt"
	"slices"
	"strings"
)

// platform describes the tokens of a platform. Its zero value is for an issuer that is not in
// platforms.
type platform struct {
	issuer  string   // without https://; a pattern if the platform has several issuers
	shared  bool     // all customers of the platform have this issuer
	builtIn bool     // IAM supports the issuer without an OIDC provider in the account
	claims  []string // that a policy can use as condition keys, besides commonClaims
	subject subjectFormat
}

// subjectFormat describes the subjects of a platform. A subject consists of parts. Its first part
// names an owner. A pattern that ends within the name of the owner also matches other owners,
// because anyone can choose a name that begins with the same characters.
type subjectFormat struct {
	ownerKeys        []string // the keys before the name of an owner, at the start of a subject
	separator        string   // between such a key and the owner
	ownerEnd         string   // the characters that can follow the owner
	project          string   // the text before the name of the project
	projectEnd       string   // the characters that can follow the project
	partPrefixes     []string // the text before each part; nil if the parts vary
	lastPartExcludes string   // characters that never occur in the last part
}

// commonClaims are the claims that a policy can use as condition keys for every issuer.
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
	// A customized subject can also begin with other keys. They do not identify an owner: every
	// repository can have the same value.
	// https://docs.github.com/en/actions/reference/security/oidc#customizing-the-subject-claims-for-an-organization-or-repository
	githubSubject = subjectFormat{
		ownerKeys: []string{"repo", "repository", "repository_id", "repository_owner",
			"repository_owner_id", "workflow_ref", "enterprise", "enterprise_id"},
		separator: ":", ownerEnd: "/@:", project: "/", projectEnd: "@:",
	}
	gitlabSubject = subjectFormat{
		ownerKeys: []string{"project_path"},
		separator: ":", ownerEnd: "/", project: "/", projectEnd: ":",
		partPrefixes:     []string{"project_path:", ":ref_type:", ":ref:"},
		lastPartExcludes: ":",
	}
	buildkiteSubject = subjectFormat{
		ownerKeys: []string{"organization"},
		separator: ":", ownerEnd: ":", project: ":pipeline:", projectEnd: ":",
		partPrefixes:     []string{"organization:", ":pipeline:", ":ref:", ":commit:", ":step:"},
		lastPartExcludes: "/",
	}
	terraformSubject = subjectFormat{
		ownerKeys: []string{"organization"},
		separator: ":", ownerEnd: ":", project: ":workspace:", projectEnd: ":",
		partPrefixes:     []string{"organization:", ":project:", ":workspace:", ":run_phase:"},
		lastPartExcludes: ":",
	}
	circleSubject = subjectFormat{
		ownerKeys: []string{"org"},
		separator: "/", ownerEnd: "/", project: "/project/", projectEnd: "/",
		partPrefixes:     []string{"org/", "/project/", "/user/", "/vcs-origin/", "/vcs-ref/"},
		lastPartExcludes: ":",
	}
)

// bitbucket is the pattern for the issuers of Bitbucket. Its subjects are {REPOSITORY}:{STEP}, or
// {REPOSITORY}:{ENVIRONMENT}:{STEP} in a deployment. All parts are UUIDs.
const bitbucket = "api.bitbucket.org/2.0/workspaces/*/pipelines-config/identity/oidc"

// platforms are the platforms with special rules. The first platform that matches an issuer
// applies.
//
// AWS supports only these claims as condition keys. As of October 2026:
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

// platformOf returns the platform of an issuer without https://.
func platformOf(issuer string) platform {
	for _, p := range platforms {
		if parsePattern(p.issuer).match(issuer) {
			return p
		}
	}
	return platform{}
}

// hasKey reports whether AWS supports a claim as a condition key for the platform's issuer.
func (p platform) hasKey(claim string) bool {
	return slices.Contains(commonClaims, claim) || slices.Contains(p.claims, claim)
}

// isGitHub reports whether this is GitHub's format, which customers can customize.
func (f subjectFormat) isGitHub() bool { return slices.Contains(f.ownerKeys, "repo") }

// split returns the values of a subject's parts, without the prefixes. The last parts can be
// missing: the subject of CIRCLE_OIDC_TOKEN ends with the user.
func (f subjectFormat) split(sub string) (values []string) {
	for i, prefix := range f.partPrefixes {
		before, after, ok := strings.Cut(sub, prefix)
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
func (f subjectFormat) partName(i int) string { return strings.Trim(f.partPrefixes[i], ":/") }

// differences describes the parts in which two subjects differ. It returns "" if the subjects have
// different numbers of parts.
func (f subjectFormat) differences(p pair) string {
	want, got := f.split(p.want), f.split(p.got)
	if len(want) != len(got) {
		return ""
	}
	var names []string
	for i := range want {
		if part := (pair{want[i], got[i], p.operator}); !part.match() {
			names = append(names,
				fmt.Sprintf("%s is %s, not %s", f.partName(i), quote(got[i]), quote(want[i])))
		}
	}
	return strings.Join(names, "; ")
}

// cutRepo splits a subject of GitHub into the repository and the context after it.
func cutRepo(sub string) (repo, context string, ok bool) {
	rest, ok := strings.CutPrefix(sub, "repo:")
	repo, context, _ = strings.Cut(rest, ":")
	return repo, context, ok
}

// customized reports whether a subject of GitHub does not have the default format, which is the
// repository and one other claim.
func customized(sub string) bool {
	_, context, ok := cutRepo(sub)
	context, _, _ = strings.Cut(context, "${")
	return !ok || strings.Count(strings.TrimPrefix(context, "pull_request"), ":") > 1
}

// describeContext returns a description of the context of a subject of GitHub.
func describeContext(context string) string {
	for _, kind := range []struct{ prefix, name string }{
		{"ref:refs/heads/", "branch "},
		{"ref:refs/tags/", "tag "},
		{"environment:", "environment "},
	} {
		if rest, ok := strings.CutPrefix(context, kind.prefix); ok {
			return kind.name + quote(rest)
		}
	}
	switch context {
	case "pull_request":
		return "a pull request"
	case "":
		return "a repository without a branch or environment"
	}
	return quote(context)
}
