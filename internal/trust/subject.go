package trust

import (
	"fmt"
	"slices"
	"strings"
)

var (
	github = []string{"actor", "actor_id", "enterprise_id", "environment", "job_workflow_ref", "ref", "repository", "repository_id",
		"repository_owner_id", "workflow"}
	gitlab = []string{"namespace_id", "pipeline_source", "project_id", "ref_protected", "runner_environment", "user_access_level",
		"user_email", "user_id", "user_login"}
	buildkite = []string{"build_branch", "cluster_id", "cluster_name", "organization_id", "organization_slug", "pipeline_id", "pipeline_slug"}
)

// claimKeys are the claims that a policy can test besides sub, aud, amr and email, by issuer. AWS hands over no others,
// whatever a token holds. Read in October 2026:
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_sts.html
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif
var claimKeys = []struct {
	issuer string
	claims []string
}{
	{"token.actions.githubusercontent.com", github},
	{"token.actions.githubusercontent.com/*", github},
	{"token.actions.*.ghe.com", github},
	{"github.com/enterprises/*", github},
	{"gitlab.com", gitlab},
	{"agent.buildkite.com", buildkite},
	{"agent.*.buildkite.dev", buildkite},
	{"agent.*.buildkite.site", buildkite},
	{"oidc.circleci.com/org/*", []string{"oidc.circleci.com/project-id"}},
	{"accounts.google.com", []string{"google/organization_number", "oaud"}},
	{"idcs-*.identity.oraclecloud.com", []string{"rpst_id"}},
}

// keysOf lists the claims of an issuer that a policy can test.
func keysOf(issuer string) []string {
	keys := []string{"sub", "aud", "amr", "email"}
	for _, k := range claimKeys {
		if like(runes(k.issuer), issuer) {
			keys = append(keys, k.claims...)
		}
	}
	return keys
}

// builtIn are the issuers that a policy names without a provider in the account.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-federated-web-identity
var builtIn = []string{"accounts.google.com", "cognito-identity.amazonaws.com", "graph.facebook.com", "www.amazon.com"}

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
