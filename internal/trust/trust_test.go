package trust

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	role      = "arn:aws:iam::123456789012:role/ci"
	gitHub    = "token.actions.githubusercontent.com"
	gitHubARN = "arn:aws:iam::123456789012:oidc-provider/" + gitHub
	org       = "11111111-2222-3333-4444-555555555555"
	project   = "66666666-7777-8888-9999-000000000000"
	user      = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
	circle    = "oidc.circleci.com/org/" + org
	circleV1  = "org/" + org + "/project/" + project + "/user/" + user
	circleV2  = circleV1 + "/vcs-origin/github.com/acme/app/vcs-ref/refs/heads/main"
	mainSub   = "repo:acme/app:ref:refs/heads/main"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// tokenOf returns the claims of a token. Other claims have the form key=value.
func tokenOf(issuer, aud, sub string, more ...string) map[string]any {
	claims := map[string]any{"iss": "https://" + issuer, "aud": aud, "sub": sub}
	for _, m := range more {
		k, v, _ := strings.Cut(m, "=")
		claims[k] = v
	}
	return claims
}

func gh(sub string, more ...string) map[string]any {
	return tokenOf(gitHub, "sts.amazonaws.com", sub, more...)
}

// trusting returns a policy with one statement for an issuer's provider. In the condition, "@" stands for
// the issuer.
func trusting(issuer, condition string) string {
	return fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/%s"},
		"Action": "sts:AssumeRoleWithWebIdentity", "Condition": %s}]}`, issuer, strings.NewReplacer(`"@:`, `"`+issuer+`:`, `${@:`, `${`+issuer+`:`).Replace(condition))
}

func onGitHub(condition string) string { return trusting(gitHub, condition) }

// exactly returns the usual condition on sub and aud.
func exactly(aud, sub string) string {
	return fmt.Sprintf(`{"StringEquals": {"@:aud": %q, "@:sub": %q}}`, aud, sub)
}

func sts(sub string) string { return onGitHub(exactly("sts.amazonaws.com", sub)) }

// statement returns a policy with one statement for GitHub, which has the usual condition.
func statement(parts string) string {
	return `{"Version": "2012-10-17", "Statement": {` + parts + `, "Condition": {"StringEquals": {"` + gitHub + `:sub": "` + mainSub + `", "` + gitHub + `:aud": "sts.amazonaws.com"}}}}`
}

const (
	configure = "https://github.com/aws-actions/configure-aws-credentials/"
	oidcDoc   = "https://docs.github.com/en/actions/reference/security/oidc"
	iamDoc    = "https://docs.aws.amazon.com/IAM/latest/UserGuide/"
	operators = iamDoc + "reference_policies_elements_condition_operators.html"
	stsKeys   = "https://docs.aws.amazon.com/service-authorization/latest/reference/list_sts.html"
)

// cases are policies and tokens from real projects. Names, accounts and IDs are replaced.
var cases = []struct {
	name, source string
	policy       string
	claims       map[string]any
	want         Result
	kinds        string // of the findings, in order
}{
	// GitHub, admitted.
	{"branch", "https://docs.github.com/en/actions/how-tos/secure-your-work/security-harden-deployments/oidc-in-aws", sts(mainSub), gh(mainSub), Yes, ""},
	{"any of a repository", "https://github.com/github/docs/pull/28291",
		onGitHub(`{"StringLike": {"@:sub": "repo:octo-org/octo-repo:*"}, "StringEquals": {"@:aud": "sts.amazonaws.com"}}`),
		gh("repo:octo-org/octo-repo:environment:prod"), Yes, "repository-wide"},
	{"environment", oidcDoc, sts("repo:octo-org/octo-repo:environment:Production"), gh("repo:octo-org/octo-repo:environment:Production"), Yes, ""},
	{"pull request", oidcDoc, sts("repo:octo-org/octo-repo:pull_request"), gh("repo:octo-org/octo-repo:pull_request"), Yes, ""},
	{"tag", oidcDoc, sts("repo:octo-org/octo-repo:ref:refs/tags/demo-tag"), gh("repo:octo-org/octo-repo:ref:refs/tags/demo-tag"), Yes, ""},
	{"two subjects", "https://zeyad-abulaban.gitbook.io/notes/devops/github-actions",
		onGitHub(`{"StringEquals": {"@:sub": ["repo:acme/app:ref:refs/heads/main", "repo:acme/app:pull_request"], "@:aud": "sts.amazonaws.com"}}`),
		gh("repo:acme/app:pull_request"), Yes, ""},
	{"immutable", oidcDoc + "#immutable-subject-claims", sts("repo:octo-org@123456/octo-repo@456789:ref:refs/heads/main"),
		gh("repo:octo-org@123456/octo-repo@456789:ref:refs/heads/main"), Yes, ""},
	{"both forms, any ids", "https://github.com/RoboFinSystems/robosystems/pull/1371",
		onGitHub(`{"StringLike": {"@:sub": ["repo:acme/app:ref:refs/heads/main", "repo:acme@*/app@*:ref:refs/heads/main"]}, "StringEquals": {"@:aud": "sts.amazonaws.com"}}`),
		gh("repo:acme@1/app@2:ref:refs/heads/main"), Yes, ""},
	{"ids default to any", configure + "pull/1890", onGitHub(`{"StringLike": {"@:sub": "repo:acme@*/app@*:ref:refs/heads/*", "@:aud": "sts.amazonaws.com"}}`),
		gh("repo:acme@84790634/app@1304267049:ref:refs/heads/main"), Yes, "repository-wide"},
	{"environment with a colon", oidcDoc + "#filtering-for-metadata-containing-", sts("repo:octo-org/octo-repo:environment:Production%3AV1"),
		gh("repo:octo-org/octo-repo:environment:Production%3AV1"), Yes, ""},
	{"owner and visibility", oidcDoc + "#example-allowing-repository-based-on-visibility-and-owner", sts("repository_owner:monalisa:repository_visibility:private"),
		gh("repository_owner:monalisa:repository_visibility:private"), Yes, ""},
	{"reusable workflow", oidcDoc + "#example-requiring-a-reusable-workflow", sts("job_workflow_ref:octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main"),
		gh("job_workflow_ref:octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main"), Yes, "any-subject"},
	{"customized, version of 2008", configure + "issues/454",
		strings.Replace(onGitHub(`{"StringLike": {"@:sub": "repo:acme/*:job_workflow_ref:acme/ci/.github/workflows/build.yaml@*", "@:aud": "sts.amazonaws.com"}}`), "2012", "2008", 1),
		gh("repo:acme/app:pull_request:workflow:CI:job_workflow_ref:acme/ci/.github/workflows/build.yaml@refs/pull/7/merge:repository_visibility:private"), Yes, "owner-wide"},
	{"keys of 2026", "https://cageyv.dev/posts/aws-sts-oidc-claim-validation",
		onGitHub(`{"StringEquals": {"@:aud": "sts.amazonaws.com", "@:repository_id": "74", "@:ref": "refs/heads/main"}}`),
		gh(mainSub, "repository_id=74", "ref=refs/heads/main"), Yes, ""},
	{"any subject of one repository's id", "https://dev.classmethod.jp/en/articles/aws-sts-oidc-github-google-circleci-oci",
		onGitHub(`{"StringEquals": {"@:aud": "sts.amazonaws.com", "@:repository_id": "74"}, "StringLike": {"@:sub": "repo:*"}}`),
		gh(mainSub, "repository_id=74"), Yes, ""},
	{"owner's id", stsKeys, onGitHub(`{"StringEquals": {"@:aud": "sts.amazonaws.com", "@:repository_owner_id": "65"}}`), gh(mainSub, "repository_owner_id=65"), Yes, ""},
	{"actor", configure + "issues/306", onGitHub(`{"StringEquals": {"@:actor": "tve", "@:aud": "sts.amazonaws.com"}}`), gh(mainSub, "actor=tve"), Yes, "no-subject"},
	{"capitals of a key", iamDoc + "reference_policies_elements_condition.html", onGitHub(`{"StringEquals": {"Token.Actions.GithubUserContent.com:SUB": "repo:acme/app:ref:refs/heads/main", "@:Aud": "sts.amazonaws.com"}}`),
		gh(mainSub), Yes, ""},
	{"enterprise's issuer", oidcDoc + "#customizing-the-issuer-value-for-an-enterprise", trusting(gitHub+"/octocat-inc", exactly("sts.amazonaws.com", "repo:octocat-inc/private-server:ref:refs/heads/main")),
		tokenOf(gitHub+"/octocat-inc", "sts.amazonaws.com", "repo:octocat-inc/private-server:ref:refs/heads/main"), Yes, ""},
	{"data residency, its keys", stsKeys, trusting("token.actions.octocorp.ghe.com", `{"StringEquals": {"@:aud": "sts.amazonaws.com", "@:repository_id": "74"}}`),
		tokenOf("token.actions.octocorp.ghe.com", "sts.amazonaws.com", mainSub, "repository_id=74"), Yes, ""},
	{"server", oidcDoc, trusting("github.example.com/_services/token", exactly("sts.amazonaws.com", mainSub)), tokenOf("github.example.com/_services/token", "sts.amazonaws.com", mainSub), Yes, ""},

	// GitHub, admitted with other jobs.
	{"audience only", "https://securitylabs.datadoghq.com/cloud-security-atlas/vulnerabilities/iam-role-can-be-assumed-by-any-github-action/",
		onGitHub(`{"StringEquals": {"@:aud": "sts.amazonaws.com"}}`), gh(mainSub), Yes, "no-subject"},
	{"no condition", "https://securitylabs.datadoghq.com/articles/exploring-github-to-aws-keyless-authentication-flaws/", onGitHub(`{}`), gh(mainSub), Yes, "no-subject no-audience"},
	{"repo:*", "https://github.com/dvdmelamed/aws-infra/blob/main/modules/github-oidc/assume_role.tpl", onGitHub(`{"StringLike": {"@:sub": "repo:*"}}`), gh(mainSub), Yes, "any-subject no-audience"},
	{"owner without a slash", "https://cloudupload.tech/blog/hardening-github-actions-oidc", onGitHub(`{"StringLike": {"@:sub": "repo:acme*", "@:aud": "sts.amazonaws.com"}}`),
		gh("repo:acme-evil/app:ref:refs/heads/main"), Yes, "owner-prefix"},
	{"every repository of an owner", "https://www.trackr.live/2026/05/28/github-oidc-aws-trust-policy-detection/", onGitHub(`{"StringLike": {"@:sub": "repo:myorg/*", "@:aud": "sts.amazonaws.com"}}`),
		gh("repo:myorg/other:pull_request"), Yes, "owner-wide"},
	{"a repository's name without an end", "https://cloudupload.tech/blog/hardening-github-actions-oidc", onGitHub(`{"StringLike": {"@:sub": "repo:acme/app*", "@:aud": "sts.amazonaws.com"}}`),
		gh("repo:acme/app-fork:pull_request"), Yes, "owner-wide"},
	{"ForAllValues", "https://github.com/github/docs/pull/17463", onGitHub(`{"ForAllValues:StringEquals": {"@:aud": "sts.amazonaws.com", "@:sub": "repo:octo-org/octo-repo:ref:refs/heads/octo-branch"}}`),
		gh("repo:octo-org/octo-repo:ref:refs/heads/octo-branch"), Yes, "missing-key-admits missing-key-admits no-audience"},
	{"ForAllValues on iss", configure + "issues/690",
		onGitHub(`{"StringLike": {"@:sub": "repo:acme/app:*"}, "ForAllValues:StringEquals": {"@:aud": "sts.amazonaws.com", "@:iss": "https://token.actions.githubusercontent.com"}}`),
		gh(mainSub), Yes, "missing-key-admits key-unknown repository-wide no-audience"},
	{"ForAllValues on sub", configure + "issues/318", onGitHub(`{"ForAllValues:StringLike": {"@:sub": "repo:My-ORG/*"}}`), gh("repo:My-ORG/app:pull_request"), Yes,
		"missing-key-admits owner-wide no-audience"},
	{"IfExists", operators + "#Conditions_IfExists", onGitHub(`{"StringEqualsIfExists": {"@:sub": "repo:acme/app:ref:refs/heads/main"}, "StringEquals": {"@:aud": "sts.amazonaws.com"}}`),
		gh(mainSub), Yes, "missing-key-admits"},
	{"only what is not", operators, onGitHub(`{"StringNotEquals": {"@:sub": "repo:acme/app:pull_request"}, "StringEquals": {"@:aud": "sts.amazonaws.com"}}`), gh(mainSub), Yes, "no-subject"},
	{"an environment of anybody", oidcDoc + "#customizing-the-subject-claims-for-an-organization-or-repository", sts("environment:prod"), gh("environment:prod"), Yes, "any-subject"},
	{"everyone, conditions apart", iamDoc + "reference_policies_elements_principal.html", statement(`"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRoleWithWebIdentity"`), gh(mainSub), Yes, "any-principal"},
	{"wildcards of actions", iamDoc + "reference_policies_elements_action.html", statement(`"Effect": "Allow", "Principal": {"Federated": ["x", "` + gitHubARN + `"]}, "Action": ["sts:TagSession", "STS:assumerolewith*"]`), gh(mainSub), Yes, ""},
	{"all actions", iamDoc + "reference_policies_elements_action.html", statement(`"Effect": "Allow", "Principal": {"Federated": "` + gitHubARN + `"}, "Action": "*"`), gh(mainSub), Yes, ""},
	{"all actions but", iamDoc + "reference_policies_elements_notaction.html", statement(`"Effect": "Allow", "Principal": {"Federated": "` + gitHubARN + `"}, "NotAction": "sts:AssumeRole"`), gh(mainSub), Yes, ""},

	// GitHub, not admitted.
	{"audience of an owner", configure + "issues/318", onGitHub(`{"StringEquals": {"@:aud": "https://github.com/my-org"}}`), gh("repo:my-org/app:ref:refs/heads/main"), No, "other-audience no-subject"},
	{"GitHub's own audience in the token", configure + "issues/271", sts("repo:my-org/app:pull_request"), tokenOf(gitHub, "https://github.com/my-org", "repo:my-org/app:pull_request"), No, "other-audience"},
	{"audience of China", configure + "blob/main/README.md", onGitHub(exactly("sts.amazonaws.com.cn", mainSub)), gh(mainSub), No, "other-audience"},
	{"environment where a branch is trusted", configure + "issues/511", sts("repo:MYORG/operations:ref:refs/heads/main"), gh("repo:MYORG/operations:environment:production"), No, "other-context"},
	{"environment, under ForAllValues", configure + "issues/452",
		onGitHub(`{"ForAllValues:StringEquals": {"@:aud": "sts.amazonaws.com"}, "ForAllValues:StringLike": {"@:sub": "repo:myorganization/*:ref:refs/heads/*"}}`),
		gh("repo:myorganization/app:environment:test"), No, "other-context missing-key-admits missing-key-admits owner-wide no-audience"},
	{"environment develop, branch test", configure + "issues/1024", sts("repo:acme/app:ref:refs/heads/test"), gh("repo:acme/app:environment:develop"), No, "other-context"},
	{"environment production", "https://github.com/cleancloud-io/cleancloud/blob/main/docs/aws.md", sts("repo:acme/app:ref:refs/heads/main"), gh("repo:acme/app:environment:production"), No, "other-context"},
	{"pull request where a branch is trusted", "https://agentbeck.bot/report/4298", sts("repo:my-org/my-repo:ref:refs/heads/main"), gh("repo:my-org/my-repo:pull_request"), No, "other-context"},
	{"tag where a branch is trusted", oidcDoc, sts(mainSub), gh("repo:acme/app:ref:refs/tags/v1"), No, "other-context"},
	{"a branch that no pattern has", "https://fizz.today/cloudtrail-gha-oidc-debugging",
		onGitHub(`{"StringLike": {"@:sub": ["repo:ramparts/infra:ref:refs/heads/main", "repo:ramparts/infra:ref:refs/heads/feat/*", "repo:ramparts/infra:ref:refs/heads/fix/*"]}, "StringEquals": {"@:aud": "sts.amazonaws.com"}}`),
		gh("repo:ramparts/infra:ref:refs/heads/na-421-waf-body-size-limit"), No, "other-context repository-wide"},
	{"a repository and nothing more", "https://github.com/ministryofjustice/modernisation-platform/issues/3909",
		onGitHub(`{"StringLike": {"@:sub": "repo:ministryofjustice/modernisation-platform-configuration-management"}, "StringEquals": {"@:aud": "sts.amazonaws.com"}}`),
		gh("repo:ministryofjustice/modernisation-platform-configuration-management:pull_request"), No, "other-context"},
	{"iss, which AWS does not have", configure + "issues/672",
		onGitHub(`{"StringEquals": {"@:sub": "repo:sample-org/sample-repo:environment:dev", "@:iss": "https://token.actions.githubusercontent.com", "@:aud": "sts.amazonaws.com"}}`),
		gh("repo:sample-org/sample-repo:environment:dev"), No, "key-unknown"},
	{"job_workflow_sha, which AWS does not have", configure + "issues/701", onGitHub(`{"StringEquals": {"@:sub": "repo:acme/app:ref:refs/heads/main", "@:job_workflow_sha": "abc", "@:aud": "sts.amazonaws.com"}}`),
		gh(mainSub, "job_workflow_sha=abc"), No, "key-unknown"},
	{"capitals of an owner", configure + "issues/686", onGitHub(`{"StringLike": {"@:sub": "repo:adisoncavani/*"}, "StringEquals": {"@:aud": "sts.amazonaws.com"}}`), gh("repo:AdisonCavani/app:ref:refs/heads/main"), No, "other-capitals owner-wide"},
	{"capitals of an owner, exact", configure + "issues/1100", sts("repo:jarvisprestidge/repo-name:ref:refs/heads/main"), gh("repo:JarvisPrestidge/repo-name:ref:refs/heads/main"), No, "other-capitals"},
	{"capitals of a repository", "https://sdk.villadocs.com/aws-setup/TROUBLESHOOTING.html", onGitHub(`{"StringEquals": {"@:aud": "sts.amazonaws.com"}, "StringLike": {"@:sub": "repo:acme/villaecommercesdk:*"}}`),
		gh("repo:acme/VillaEcommerceSdk:ref:refs/heads/main"), No, "other-capitals repository-wide"},
	{"a wildcard under StringEquals", configure + "issues/1137", sts("repo:acme/*"), gh("repo:acme/app:ref:refs/heads/main"), No, "wildcard-under-equals"},
	{"a wildcard under StringEquals, and capitals", configure + "issues/1137", sts("repo:Acme/*"), gh("repo:acme/app:ref:refs/heads/main"), No, "wildcard-under-equals other-capitals"},
	{"renamed owner, new form", "https://github.com/aprin-labs/archimedes/issues/1736", sts("repo:a-apin/archimedes:ref:refs/heads/main"),
		gh("repo:aprin-labs@284008417/archimedes@1236816811:ref:refs/heads/main"), No, "immutable-subject other-repository"},
	{"new form", "https://github.com/aprin-labs/archimedes/pull/1759", sts("repo:aprin-labs/archimedes:ref:refs/heads/main"),
		gh("repo:aprin-labs@284008417/archimedes@1236816811:ref:refs/heads/main"), No, "immutable-subject"},
	{"new form, environment", "https://github.com/vm0-ai/vm0/issues/35094", sts("repo:okou-ai/okou:environment:production"), gh("repo:okou-ai@242540347/okou@1096175506:environment:production"), No, "immutable-subject"},
	{"new form, any of a repository", "https://github.com/marinnk/PenAndPalette/issues/56", onGitHub(`{"StringLike": {"@:sub": "repo:marinnk/PenAndPalette:*"}, "StringEquals": {"@:aud": "sts.amazonaws.com"}}`),
		gh("repo:marinnk@99700676/PenAndPalette@1341790095:ref:refs/heads/main"), No, "immutable-subject repository-wide"},
	{"transferred", "https://github.com/anthonysgro/geospoof/pull/89", onGitHub(`{"StringLike": {"@:sub": ["repo:anthonysgro/geospoof-gps:*", "repo:GeoSpoof/geospoof-gps:*"]}, "StringEquals": {"@:aud": "sts.amazonaws.com"}}`),
		gh("repo:GeoSpoof@320249603/geospoof-gps@1291874641:ref:refs/heads/main"), No, "immutable-subject repository-wide"},
	{"new form in the policy too early", "https://github.com/femiwiki/femiwiki/issues/546", sts("repo:femiwiki@21275875/lambda@1:ref:refs/heads/main"), gh("repo:femiwiki/lambda:ref:refs/heads/main"), No, "immutable-policy"},
	{"made again", oidcDoc + "#immutable-subject-claims", sts("repo:octo-org@123456/octo-repo@456789:ref:refs/heads/main"), gh("repo:octo-org@123456/octo-repo@999999:ref:refs/heads/main"), No, "other-ids"},
	{"new form and an environment", configure + "issues/1888", sts(mainSub), gh("repo:acme@1/app@2:environment:prod"), No, "immutable-subject other-context"},
	{"another repository", "https://github.com/terraform-aws-modules/terraform-aws-iam/issues/659", sts("repo:octocat/my-repo:ref:refs/heads/main"), gh("repo:octocat/your-repo:ref:refs/heads/main"), No, "other-repository"},
	{"nothing alike", oidcDoc, sts("repo:octocat/my-repo:ref:refs/heads/main"), gh("repo:acme/app:pull_request"), No, "other-value"},
	{"no repo:", "https://github.com/terraform-aws-modules/terraform-aws-iam/pull/308", sts("acme/app:ref:refs/heads/main"), gh(mainSub), No, "repo-prefix"},
	{"a short ref", oidcDoc, sts("repo:acme/app:ref:main"), gh(mainSub), No, "short-ref"},
	{"a short ref under its key", oidcDoc, onGitHub(`{"StringEquals": {"@:aud": "sts.amazonaws.com", "@:repository": "acme/app", "@:ref": "main"}}`), gh(mainSub, "repository=acme/app", "ref=refs/heads/main"), No, "short-ref"},
	{"a colon written as such", oidcDoc + "#filtering-for-metadata-containing-", sts("repo:octo-org/octo-repo:environment:Production:V1"), gh("repo:octo-org/octo-repo:environment:Production%3AV1"), No, "encoding"},
	{"a space at the end", oidcDoc, sts(mainSub + " "), gh(mainSub), No, "white-space"},
	{"another workflow file", oidcDoc + "#example-requiring-a-reusable-workflow", sts("job_workflow_ref:octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main"),
		gh("job_workflow_ref:octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/dev"), No, "other-workflow any-subject"},
	{"customized, policy is not", oidcDoc + "#example-requiring-a-reusable-workflow-and-other-claims", sts("repo:octo-org/octo-repo:environment:prod"),
		gh("repo:octo-org/octo-repo:environment:prod:job_workflow_ref:octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main"), No, "custom-subject"},
	{"policy is customized, token is not", oidcDoc + "#example-allowing-access-to-all-repositories-with-a-specific-owner", sts("repository_owner:monalisa"), gh("repo:monalisa/app:pull_request"), No, "custom-subject"},
	{"the workflow's key", configure + "issues/912", onGitHub(`{"StringEquals": {"@:aud": "sts.amazonaws.com", "@:job_workflow_ref": "acme/ci/.github/workflows/a.yml@refs/heads/main"}}`),
		gh(mainSub, "job_workflow_ref=acme/ci/.github/workflows/b.yml@refs/heads/main"), No, "other-workflow no-subject"},
	{"no environment", "https://sjramblings.io/aws-sts-identity-provider-claims-validation", onGitHub(`{"StringEquals": {"@:aud": "sts.amazonaws.com", "@:repository_id": "74", "@:environment": "prod"}}`), gh(mainSub, "repository_id=74"), No, "missing-claim"},
	{"the preview's issuer in a key", "https://awsteele.com/blog/2021/09/15/aws-federation-comes-to-github-actions.html", onGitHub(`{"StringLike": {"vstoken.actions.githubusercontent.com:sub": "repo:acme/app:*"}}`), gh(mainSub), No, "key-prefix no-subject no-audience"},
	{"a URL in a key", iamDoc + "reference_policies_iam-condition-keys.html", onGitHub(`{"StringEquals": {"https://token.actions.githubusercontent.com:sub": "repo:acme/app:pull_request", "@:aud": "sts.amazonaws.com"}}`), gh("repo:acme/app:pull_request"), No, "key-prefix no-subject"},
	{"a key without its issuer", iamDoc + "reference_policies_iam-condition-keys.html", onGitHub(`{"StringEquals": {"sub": "repo:acme/app:pull_request", "@:aud": "sts.amazonaws.com"}}`), gh("repo:acme/app:pull_request"), No, "key-prefix no-subject"},
	{"an external id", iamDoc + "reference_policies_iam-condition-keys.html#ck_externalid", onGitHub(`{"StringEquals": {"@:sub": "repo:acme/app:ref:refs/heads/main", "@:aud": "sts.amazonaws.com", "sts:ExternalId": "x"}}`), gh(mainSub), No, "missing-claim"},
	{"action for keys", "https://sdk.villadocs.com/aws-setup/TROUBLESHOOTING.html", statement(`"Effect": "Allow", "Principal": {"Federated": "` + gitHubARN + `"}, "Action": "sts:AssumeRole"`), gh(mainSub), No, "wrong-action"},
	{"an account trusted", iamDoc + "id_roles_create_for-user.html", `{"Statement": {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "sts:AssumeRole"}}`, gh(mainSub), No, "wrong-principal wrong-action"},
	{"a service trusted", iamDoc + "id_roles_create_for-service.html", `{"Statement": {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}}`, gh(mainSub), No, "wrong-principal wrong-action"},
	{"SAML", iamDoc + "id_roles_create_for-idp_saml.html", statement(`"Effect": "Allow", "Principal": {"Federated": "arn:aws:iam::123456789012:saml-provider/x"}, "Action": "sts:AssumeRoleWithSAML"`), gh(mainSub), No, "wrong-principal wrong-action"},
	{"a provider's URL", "https://github.com/terraform-aws-modules/terraform-aws-iam/issues/202", statement(`"Effect": "Allow", "Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/https://` + gitHub + `"}, "Action": "sts:AssumeRoleWithWebIdentity"`), gh(mainSub), No, "provider-url"},
	{"another account's provider", "https://github.com/crossplane-contrib/provider-aws/pull/1331", statement(`"Effect": "Allow", "Principal": {"Federated": "arn:aws:iam::210987654321:oidc-provider/` + gitHub + `"}, "Action": "sts:AssumeRoleWithWebIdentity"`), gh(mainSub), No, "other-account"},
	{"another partition's provider", "https://github.com/department-of-veterans-affairs/va.gov-team/issues/136742", statement(`"Effect": "Allow", "Principal": {"Federated": "arn:aws-us-gov:iam::123456789012:oidc-provider/` + gitHub + `"}, "Action": "sts:AssumeRoleWithWebIdentity"`), gh(mainSub), No, "other-partition"},
	{"data residency", "https://github.com/department-of-veterans-affairs/va.gov-team/issues/136742", sts("repo:software/vets-api:ref:refs/heads/main"), tokenOf("token.actions.va.ghe.com", "sts.amazonaws.com", "repo:software/vets-api:ref:refs/heads/main"), No, "other-issuer key-prefix key-prefix"},
	{"a server", configure + "issues/727", sts(mainSub), tokenOf("github.myorg.net/_services/token", "sts.amazonaws.com", mainSub), No, "other-issuer key-prefix key-prefix"},
	{"an enterprise's issuer, policy for all", oidcDoc + "#customizing-the-issuer-value-for-an-enterprise", sts(mainSub), tokenOf(gitHub+"/octocat-inc", "sts.amazonaws.com", mainSub), No, "issuer-path key-prefix key-prefix"},
	{"an enterprise's issuer in the policy only", oidcDoc + "#customizing-the-issuer-value-for-an-enterprise", trusting(gitHub+"/octocat-inc", exactly("sts.amazonaws.com", mainSub)), gh(mainSub), No, "issuer-path key-prefix key-prefix"},
	{"capitals of a provider", iamDoc + "id_roles_providers_create_oidc.html", statement(`"Effect": "Allow", "Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/Token.actions.githubusercontent.com"}, "Action": "sts:AssumeRoleWithWebIdentity"`), gh(mainSub), No, "other-capitals"},
	{"denied", iamDoc + "reference_policies_evaluation-logic.html", `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Federated": "` + gitHubARN + `"}, "Action": "sts:AssumeRoleWithWebIdentity",
		"Condition": {"StringLike": {"` + gitHub + `:sub": "repo:acme/app:*", "` + gitHub + `:aud": "sts.amazonaws.com"}}},
		{"Effect": "Deny", "Principal": "*", "Action": "sts:*", "Condition": {"StringLike": {"` + gitHub + `:sub": "*:pull_request"}}}]}`, gh("repo:acme/app:pull_request"), No, "denied repository-wide"},
	{"only the statement that is meant", "https://github.com/department-of-veterans-affairs/va.gov-team/issues/136742", `{"Version": "2012-10-17", "Statement": [
		{"Effect": "Allow", "Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/gitlab.com"}, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": {"StringEquals": {"gitlab.com:sub": "project_path:acme/app:ref_type:branch:ref:main", "gitlab.com:aud": "x"}}},
		{"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"},
		{"Effect": "Allow", "Principal": {"Federated": "` + gitHubARN + `"}, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": {"StringEquals": {"` + gitHub + `:sub": "repo:acme/app:pull_request", "` + gitHub + `:aud": "sts.amazonaws.com"}}}]}`,
		gh(mainSub), No, "other-context"},

	{"denied to an account, perhaps", iamDoc + "reference_policies_elements_principal.html#principal-accounts", `{"Version": "2012-10-17", "Statement": [` + strings.TrimSuffix(strings.SplitN(sts(mainSub), "[", 2)[1], "]}") + `, {"Effect": "Deny", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "*"}]}`, gh(mainSub), Unknown, "not-evaluated"},
	{"denied to another account", iamDoc + "reference_policies_elements_principal.html#principal-accounts", `{"Version": "2012-10-17", "Statement": [` + strings.TrimSuffix(strings.SplitN(sts(mainSub), "[", 2)[1], "]}") + `, {"Effect": "Deny", "Principal": {"AWS": "210987654321"}, "Action": "*"}]}`, gh(mainSub), Yes, ""},
	{"the nearer of two", configure + "issues/511", onGitHub(`{"StringEquals": {"@:sub": ["repo:acme/app:ref:refs/heads/main", "repo:x/y:pull_request"], "@:aud": "sts.amazonaws.com"}}`), gh("repo:acme/app:pull_request"), No, "other-context"},
	{"two conditions on the subject", "https://github.com/aws-actions/configure-aws-credentials/issues/454", onGitHub(`{"StringEquals": {"@:sub": "repo:acme/app:ref:refs/heads/main", "@:aud": "sts.amazonaws.com"}, "StringLike": {"@:sub": "repo:*"}}`), gh(mainSub), Yes, ""},
	{"a source identity", iamDoc + "id_credentials_temp_control-access_monitor.html", sts(mainSub), gh(mainSub, "https://aws.amazon.com/source_identity=octocat"), No, "tag-session"},

	{"denied, whatever the address", iamDoc + "reference_policies_evaluation-logic.html", `{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "*"}, {"Effect": "Allow", "Principal": {"Federated": "` + gitHubARN + `"}, "Action": "sts:AssumeRoleWithWebIdentity",
		"Condition": {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}, "StringEquals": {"` + gitHub + `:sub": "` + mainSub + `", "` + gitHub + `:aud": "sts.amazonaws.com"}}}]}`, gh(mainSub), No, "denied"},
	{"a workflow of anyone's job", "https://docs.github.com/en/actions/how-tos/secure-your-work/security-harden-deployments/oidc-with-reusable-workflows",
		onGitHub(`{"StringLike": {"@:sub": "*:job_workflow_ref:acme/ci/.github/workflows/x.yml@refs/heads/main", "@:aud": "sts.amazonaws.com"}}`),
		gh("repo:acme/app:pull_request:job_workflow_ref:acme/ci/.github/workflows/x.yml@refs/heads/main"), Yes, "any-subject"},
	{"a variable, and capitals", iamDoc + "reference_policies_variables.html", onGitHub(`{"StringLike": {"@:sub": "repo:${@:repository}:ref:refs/heads/Main", "@:aud": "sts.amazonaws.com"}, "StringEquals": {"@:repository": "acme/app"}}`), gh(mainSub, "repository=acme/app"), No, "other-capitals"},

	// CircleCI.
	{"CircleCI, a branch of any project", "https://github.com/circleci/circleci-docs/pull/7801", trusting(circle, `{"StringLike": {"@:sub": "org/`+org+`/project/*/user/*/vcs-origin/github.com/acme/*/vcs-ref/refs/heads/main"}}`),
		tokenOf(circle, org, circleV2), Yes, "branch-hides owner-wide no-audience"},
	{"CircleCI, a project", "https://circleci.com/docs/guides/permissions-authentication/openid-connect-tokens/", trusting(circle, `{"StringLike": {"@:sub": "org/`+org+`/project/`+project+`/user/*"}, "StringEquals": {"@:aud": "`+org+`"}}`),
		tokenOf(circle, org, circleV2), Yes, "repository-wide"},
	{"CircleCI, a project's key", "https://github.com/circleci/circleci-docs/pull/10376", trusting(circle, `{"StringEquals": {"@:aud": "`+org+`", "@:oidc.circleci.com/project-id": "`+project+`"}}`),
		tokenOf(circle, org, circleV1, "oidc.circleci.com/project-id="+project), Yes, ""},
	{"CircleCI, anything of the organisation", "https://github.com/AwesomeCICD/ceratf-module-eks/blob/main/templates/oidc_assume_role.json.tpl", trusting(circle, `{"StringEquals": {"@:aud": "`+org+`"}}`), tokenOf(circle, org, circleV1), Yes, "no-subject"},
	{"CircleCI, GitHub's audience", "https://github.com/circleci/circleci-docs/pull/10653", trusting(circle, `{"StringEquals": {"@:aud": "sts.amazonaws.com"}, "StringLike": {"@:sub": "org/`+org+`/project/`+project+`/user/*"}}`),
		tokenOf(circle, org, circleV1), No, "other-audience repository-wide"},
	{"CircleCI, V1 for a policy of V2", "https://circleci.com/docs/guides/permissions-authentication/openid-connect-tokens/", trusting(circle, `{"StringLike": {"@:sub": "org/`+org+`/project/`+project+`/user/*/vcs-origin/github.com/acme/app/vcs-ref/refs/heads/main", "@:aud": "`+org+`"}}`),
		tokenOf(circle, org, circleV1), No, "circleci-token-version branch-hides"},
	{"CircleCI, V2 for a policy of V1", "https://circleci.com/docs/guides/permissions-authentication/openid-connect-tokens/", trusting(circle, exactly(org, circleV1)), tokenOf(circle, org, circleV2), No, "circleci-token-version"},
	{"CircleCI, another branch", "https://github.com/circleci/circleci-docs/pull/7801", trusting(circle, exactly(org, circleV2)), tokenOf(circle, org, strings.Replace(circleV2, "heads/main", "heads/dev", 1)), No, "other-part"},
	{"CircleCI, another person", "https://circleci.com/docs/guides/permissions-authentication/openid-connect-tokens/", trusting(circle, exactly(org, circleV2)), tokenOf(circle, org, strings.Replace(circleV2, user, project, 1)), No, "other-part"},
	{"CircleCI, no organisation in the provider", "https://github.com/CircleCI-Archived/Config.Tips/issues/70", trusting("oidc.circleci.com", exactly(org, circleV1)), tokenOf(circle, org, circleV1), No, "issuer-path key-prefix key-prefix"},
	{"CircleCI, root issuer", "https://circleci.com/docs/guides/permissions-authentication/oidc-tokens-with-custom-claims/", trusting("oidc.circleci.com", `{"StringEquals": {"@:aud": "sts.amazonaws.com"}}`), tokenOf("oidc.circleci.com", "sts.amazonaws.com", circleV1), Yes, "no-subject"},
	{"CircleCI, vcs-ref, which AWS does not have", stsKeys, trusting(circle, `{"StringEquals": {"@:aud": "`+org+`", "@:oidc.circleci.com/vcs-ref": "refs/heads/main"}}`), tokenOf(circle, org, circleV2, "oidc.circleci.com/vcs-ref=refs/heads/main"), No, "key-unknown no-subject"},

	// Others.
	{"GitLab", "https://gist.github.com/NYARAS/c3fffe3420ad17862c439345b36f0e81", trusting("gitlab.com", `{"StringEquals": {"@:sub": "project_path:g/s/p:ref_type:branch:ref:main"}}`), tokenOf("gitlab.com", "x", "project_path:g/s/p:ref_type:branch:ref:main"), Yes, "no-audience"},
	{"GitLab, any project of a group", "https://pwnedlabs.io/labs/abuse-openid-connect-and-gitlab-for-aws-access", trusting("gitlab.com", `{"StringLike": {"@:sub": "project_path:my-org/*", "@:aud": "https://gitlab.com"}}`), tokenOf("gitlab.com", "https://gitlab.com", "project_path:my-org/p:ref_type:branch:ref:x"), Yes, "owner-wide"},
	{"GitLab, another branch", "https://gist.github.com/NYARAS/c3fffe3420ad17862c439345b36f0e81", trusting("gitlab.com", exactly("x", "project_path:g/s/p:ref_type:branch:ref:main")), tokenOf("gitlab.com", "x", "project_path:g/s/p:ref_type:branch:ref:dev"), No, "other-part"},
	{"GitLab, its keys", stsKeys, trusting("gitlab.com", `{"StringEquals": {"@:project_id": "7", "@:ref_protected": "true", "@:aud": "x"}}`), tokenOf("gitlab.com", "x", "s", "project_id=7", "ref_protected=true"), Yes, ""},
	{"Buildkite", "https://buildkite.com/docs/pipelines/security/oidc/aws", trusting("agent.buildkite.com", `{"StringEquals": {"@:aud": "sts.amazonaws.com"}, "StringLike": {"@:sub": "organization:acme:pipeline:app:ref:refs/heads/main:commit:*:step:*"}}`),
		tokenOf("agent.buildkite.com", "sts.amazonaws.com", "organization:acme:pipeline:app:ref:refs/heads/main:commit:abc:step:build"), Yes, "repository-wide"},
	{"Buildkite, any pipeline of namesakes", "https://buildkite.com/docs/pipelines/security/oidc/aws", trusting("agent.buildkite.com", `{"StringLike": {"@:sub": "organization:acme*", "@:aud": "sts.amazonaws.com"}}`),
		tokenOf("agent.buildkite.com", "sts.amazonaws.com", "organization:acme-evil:pipeline:app:ref:refs/heads/main:commit:abc:step:build"), Yes, "owner-prefix"},
	{"Buildkite, session tags", "https://github.com/buildkite-plugins/aws-assumeAction-role-with-web-identity-buildkite-plugin/pull/18", trusting("agent.buildkite.com", `{"StringEquals": {"@:aud": "sts.amazonaws.com", "aws:RequestTag/organization_slug": "acme", "@:organization_slug": "acme"}}`),
		tagged(tokenOf("agent.buildkite.com", "sts.amazonaws.com", "s", "organization_slug=acme")), No, "tag-session"},
	{"Buildkite, session tags allowed", "https://buildkite.com/docs/pipelines/security/oidc/aws", strings.Replace(trusting("agent.buildkite.com", `{"StringEquals": {"@:aud": "sts.amazonaws.com", "aws:RequestTag/organization_slug": "acme", "@:organization_slug": "acme"}}`), `"sts:AssumeRoleWithWebIdentity"`, `["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]`, 1),
		tagged(tokenOf("agent.buildkite.com", "sts.amazonaws.com", "s", "organization_slug=acme")), Yes, ""},
	{"Terraform", "https://developer.hashicorp.com/terraform/cloud-docs/workspaces/dynamic-provider-credentials/aws-configuration", trusting("app.terraform.io", `{"StringEquals": {"@:aud": "aws.workload.identity"}, "StringLike": {"@:sub": "organization:acme:project:p:workspace:w:run_phase:*"}}`),
		tokenOf("app.terraform.io", "aws.workload.identity", "organization:acme:project:p:workspace:w:run_phase:apply"), Yes, "repository-wide"},
	{"Bitbucket", "https://support.atlassian.com/bitbucket-cloud/docs/deploy-on-aws-using-bitbucket-pipelines-openid-connect/", trusting("api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc", `{"StringEquals": {"@:aud": "ari:cloud:bitbucket::workspace/1"}}`),
		tokenOf("api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc", "ari:cloud:bitbucket::workspace/1", "{r}:{s}"), Yes, "no-subject"},
	{"Kubernetes, a provider's name mistyped", "https://github.com/aws/amazon-eks-pod-identity-webhook/issues/30", trusting("oidc.eu-west-1.eks.amazonaws.com/id/X", `{"StringEquals": {"oidc.eks.eu-west-1.amazonaws.com/id/X:sub": "system:serviceaccount:n:s", "oidc.eks.eu-west-1.amazonaws.com/id/X:aud": "sts.amazonaws.com"}}`),
		tokenOf("oidc.eks.eu-west-1.amazonaws.com/id/X", "sts.amazonaws.com", "system:serviceaccount:n:s"), No, "other-issuer no-subject no-audience"},
	{"Kubernetes, an ARN in a key", "https://github.com/aws/karpenter-provider-aws/issues/1666", trusting("oidc.eks.eu-west-1.amazonaws.com/id/X", `{"StringLike": {"arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/X:sub": "system:serviceaccount:karpenter:karpenter"}}`),
		tokenOf("oidc.eks.eu-west-1.amazonaws.com/id/X", "sts.amazonaws.com", "system:serviceaccount:karpenter:karpenter"), No, "key-prefix no-subject no-audience"},
	{"Kubernetes, a wildcard under StringEquals", "https://github.com/crossplane/crossplane/issues/5578", trusting("oidc.eks.sa-east-1.amazonaws.com/id/X", exactly("sts.amazonaws.com", "system:serviceaccount:crossplane-system:provider-aws-*")),
		tokenOf("oidc.eks.sa-east-1.amazonaws.com/id/X", "sts.amazonaws.com", "system:serviceaccount:crossplane-system:provider-aws-s3"), No, "wildcard-under-equals"},
	{"Kubernetes, no subject", "https://github.com/rh-mobb/documentation/pull/209", trusting("rh-oidc.s3.us-east-1.amazonaws.com/X", `{"StringEquals": {"@:aud": "sts.amazonaws.com"}}`), tokenOf("rh-oidc.s3.us-east-1.amazonaws.com/X", "sts.amazonaws.com", "system:serviceaccount:n:s"), Yes, "no-subject"},
	{"an issuer with a slash", "https://gist.github.com/gene1wood/54611c45a3298504f8e33d95e317ae5c", trusting("auth-dev.mozilla.auth0.com/", exactly("x", "ad|gene")), tokenOf("auth-dev.mozilla.auth0.com/", "x", "ad|gene"), Yes, ""},
	{"an issuer with a slash, policy without", "https://github.com/getprobo/probo/pull/1770", trusting("auth-dev.mozilla.auth0.com", exactly("x", "ad|gene")), tokenOf("auth-dev.mozilla.auth0.com/", "x", "ad|gene"), No, "provider-slash key-prefix key-prefix"},
	{"oaud of an issuer that is not Google", "https://github.com/pulumi/pulumi-aws/issues/4629", trusting("idp.example.com", `{"StringEquals": {"@:aud": "x"}, "ForAnyValue:StringEquals": {"@:oaud": ["y"]}}`), tokenOf("idp.example.com", "x", "s"), No, "key-unknown no-subject"},
	{"Google, azp", iamDoc + "reference_policies_iam-condition-keys.html#ck_aud", google(`{"StringEquals": {"accounts.google.com:aud": "azp", "accounts.google.com:oaud": "aud", "accounts.google.com:sub": "s"}}`), tokenOf("accounts.google.com", "aud", "s", "azp=azp"), Yes, ""},
	{"Google, no azp", iamDoc + "reference_policies_iam-condition-keys.html#ck_aud", google(`{"StringEquals": {"accounts.google.com:aud": "aud", "accounts.google.com:oaud": "aud", "accounts.google.com:sub": "s"}}`), tokenOf("accounts.google.com", "aud", "s"), Yes, ""},
	{"Google, aud where azp counts", iamDoc + "reference_policies_iam-condition-keys.html#ck_aud", google(`{"StringEquals": {"accounts.google.com:aud": "aud"}}`), tokenOf("accounts.google.com", "aud", "s", "azp=azp"), No, "other-audience"},
	{"azp of another", "https://github.com/aws/aws-sdk-net/issues/3071", trusting("sts.windows.net/t/", exactly("app2", "s")), tokenOf("sts.windows.net/t/", "app2", "s", "azp=app1"), Unknown, "not-evaluated"},
	{"the role is in the token", "https://awsteele.com/blog/2026/07/13/oidc-tokens-can-restrict-which-aws-roles-they-assumeAction.html", trusting("idp.example.com", `{"StringEquals": {"@:aud": "a", "@:sub": "s"}, "Bool": {"sts:RoleAuthorizedByIdp": "true"}}`),
		tokenOf("idp.example.com", "a", "s", "https://aws.amazon.com/roles="+role), Yes, ""},
	{"another role is in the token", "https://awsteele.com/blog/2026/07/13/oidc-tokens-can-restrict-which-aws-roles-they-assumeAction.html", trusting("idp.example.com", exactly("a", "s")),
		tokenOf("idp.example.com", "a", "s", "https://aws.amazon.com/roles="+role+"X"), No, "role-not-in-token"},
	{"no role is in the token", "https://awsteele.com/blog/2026/07/13/oidc-tokens-can-restrict-which-aws-roles-they-assumeAction.html", trusting("idp.example.com", `{"StringEquals": {"@:aud": "a", "@:sub": "s"}, "Bool": {"sts:RoleAuthorizedByIdp": "true"}}`),
		tokenOf("idp.example.com", "a", "s"), No, "other-value"},

	// Other admitted jobs, and near matches.
	{"a workflow's key and no subject", "https://docs.github.com/en/actions/how-tos/secure-your-work/security-harden-deployments/oidc-with-reusable-workflows",
		onGitHub(`{"StringEquals": {"@:aud": "sts.amazonaws.com", "@:job_workflow_ref": "acme/ci/.github/workflows/a.yml@refs/heads/main"}}`), gh("repo:evil/x:pull_request", "job_workflow_ref=acme/ci/.github/workflows/a.yml@refs/heads/main"), Yes, "no-subject"},
	{"a workflow's key and any subject", "https://docs.github.com/en/actions/how-tos/secure-your-work/security-harden-deployments/oidc-with-reusable-workflows",
		onGitHub(`{"StringEquals": {"@:aud": "sts.amazonaws.com", "@:job_workflow_ref": "acme/ci/.github/workflows/a.yml@refs/heads/main"}, "StringLike": {"@:sub": "repo:*"}}`), gh("repo:evil/x:pull_request", "job_workflow_ref=acme/ci/.github/workflows/a.yml@refs/heads/main"), Yes, "any-subject"},
	{"a workflow's key and an owner", "https://docs.github.com/en/actions/how-tos/secure-your-work/security-harden-deployments/oidc-with-reusable-workflows",
		onGitHub(`{"StringEquals": {"@:aud": "sts.amazonaws.com", "@:job_workflow_ref": "acme/ci/.github/workflows/a.yml@refs/heads/main"}, "StringLike": {"@:sub": "repo:acme/*:*"}}`), gh("repo:acme/x:pull_request", "job_workflow_ref=acme/ci/.github/workflows/a.yml@refs/heads/main"), Yes, "owner-wide"},
	{"a workflow, then a repository", oidcDoc + "#example-requiring-a-reusable-workflow-and-other-claims", sts("job_workflow_ref:acme/ci/.github/workflows/a.yml@refs/heads/main:repo:acme/app"),
		gh("job_workflow_ref:acme/ci/.github/workflows/a.yml@refs/heads/main:repo:acme/app"), Yes, ""},
	{"a workflow, then a pull request", oidcDoc + "#example-requiring-a-reusable-workflow-and-other-claims", sts("job_workflow_ref:acme/ci/.github/workflows/a.yml@refs/heads/main:pull_request"),
		gh("job_workflow_ref:acme/ci/.github/workflows/a.yml@refs/heads/main:pull_request"), Yes, "any-subject"},
	{"any id of an owner, and all that follows", oidcDoc + "#immutable-subject-claims", onGitHub(`{"StringLike": {"@:sub": "repo:acme@*", "@:aud": "sts.amazonaws.com"}}`), gh("repo:acme@1/x@2:pull_request"), Yes, "owner-wide"},
	{"any id of a repository, and all that follows", oidcDoc + "#immutable-subject-claims", onGitHub(`{"StringLike": {"@:sub": "repo:acme@*/app@*", "@:aud": "sts.amazonaws.com"}}`), gh("repo:acme@1/app@2:pull_request"), Yes, "repository-wide"},
	{"a branch where the tag of its name is trusted", oidcDoc, onGitHub(`{"StringEquals": {"@:aud": "sts.amazonaws.com", "@:repository_id": "74", "@:ref": "refs/tags/v1"}}`), gh(mainSub, "repository_id=74", "ref=refs/heads/v1"), No, "other-value"},
	{"an id of the owner alone", oidcDoc + "#immutable-subject-claims", sts("repo:acme@1/app:pull_request"), gh("repo:acme@1/app@2:pull_request"), No, "immutable-subject"},
	{"a variable's default without the blank", iamDoc + "reference_policies_variables.html#policy-vars-default-value", onGitHub(`{"StringEquals": {"@:sub": "repo:acme/app:environment:${@:environment,'none'}", "@:aud": "sts.amazonaws.com"}}`), gh("repo:acme/app:environment:none"), Unknown, "not-evaluated repository-wide"},
	{"a variable's default in other quotes", iamDoc + "reference_policies_variables.html#policy-vars-default-value", onGitHub(`{"StringEquals": {"@:sub": "repo:acme/app:environment:${@:environment, \"none\"}", "@:aud": "sts.amazonaws.com"}}`), gh("repo:acme/app:environment:none"), Unknown, "not-evaluated repository-wide"},
	{"flat transitive tags", iamDoc + "id_session-tags.html#id_session-tags_adding-assumeAction-role-idp", strings.Replace(onGitHub(`{"StringEquals": {"@:sub": "repo:acme/app:ref:refs/heads/main", "@:aud": "sts.amazonaws.com"}, "Null": {"sts:TransitiveTagKeys": "true"}}`), `"sts:AssumeRoleWithWebIdentity"`, `"sts:*"`, 1),
		func() map[string]any {
			c := gh(mainSub, "https://aws.amazon.com/tags/principal_tags/team=a")
			c["https://aws.amazon.com/tags/transitive_tag_keys"] = []any{"team"}
			return c
		}(), No, "other-value"},
	{"tags allowed elsewhere", iamDoc + "id_session-tags.html#id_session-tags_permissions-required", `{"Version": "2012-10-17", "Statement": [` + strings.TrimSuffix(strings.SplitN(sts(mainSub), "[", 2)[1], "]}") + `, {"Effect": "Allow", "Principal": {"Federated": "` + gitHubARN + `"}, "Action": "sts:TagSession"}]}`,
		tagged(gh("repo:acme/app:pull_request")), No, "other-context"},
	{"tags allowed and nothing else", iamDoc + "id_session-tags.html#id_session-tags_permissions-required", statement(`"Effect": "Allow", "Principal": {"Federated": "` + gitHubARN + `"}, "Action": "sts:TagSession"`), tagged(gh(mainSub)), No, "wrong-action"},
	{"tags allowed together, another subject", iamDoc + "id_session-tags.html#id_session-tags_permissions-required", statement(`"Effect": "Allow", "Principal": {"Federated": "` + gitHubARN + `"}, "Action": "sts:*"`), tagged(gh("repo:acme/app:pull_request")), No, "other-context"},
	{"tags allowed, perhaps", iamDoc + "id_session-tags.html#id_session-tags_permissions-required", `{"Version": "2012-10-17", "Statement": [` + strings.TrimSuffix(strings.SplitN(sts(mainSub), "[", 2)[1], "]}") + `, {"Effect": "Allow", "Principal": {"Federated": "` + gitHubARN + `"}, "Action": "sts:TagSession", "Condition": {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}}]}`, tagged(gh(mainSub)), Unknown, "not-evaluated"},
	{"tags not allowed, and another branch's statement", iamDoc + "id_session-tags.html#id_session-tags_permissions-required", `{"Version": "2012-10-17", "Statement": [` + strings.TrimSuffix(strings.SplitN(sts(mainSub), "[", 2)[1], "]}") + `, ` + strings.TrimSuffix(strings.SplitN(sts("repo:acme/app:pull_request"), "[", 2)[1], "]}") + `]}`, tagged(gh(mainSub)), No, "tag-session"},
	{"tags denied", iamDoc + "id_session-tags.html#id_session-tags_permissions-required", `{"Version": "2012-10-17", "Statement": [` + strings.Replace(strings.TrimSuffix(strings.SplitN(sts(mainSub), "[", 2)[1], "]}"), `"sts:AssumeRoleWithWebIdentity"`, `"sts:*"`, 1) + `, {"Effect": "Deny", "Principal": "*", "Action": "sts:TagSession"}]}`, tagged(gh(mainSub)), No, "denied tag-session"},
	{"Google's provider by ARN", iamDoc + "reference_policies_elements_principal.html#principal-federated-web-identity", trusting("accounts.google.com", exactly("a", "s")), tokenOf("accounts.google.com", "a", "s"), No, "wrong-principal"},
	{"an environment, which must be there", operators + "#Conditions_Null", onGitHub(`{"StringEquals": {"@:sub": "repo:acme/app:ref:refs/heads/main", "@:aud": "sts.amazonaws.com"}, "Null": {"@:environment": "false"}}`), gh(mainSub), No, "missing-claim"},
	{"CircleCI, another origin", "https://circleci.com/docs/guides/permissions-authentication/openid-connect-tokens/", circleLike("/user/*/vcs-origin/github.com/acme/app/vcs-ref/*"), tokenOf(circle, org, circleV1+"/vcs-origin/github.com/x/y/vcs-ref/refs/heads/a/vcs-origin/github.com/acme/app/vcs-ref/b"), Yes, "branch-hides"},
	{"CircleCI, another origin's end", "https://circleci.com/docs/guides/permissions-authentication/openid-connect-tokens/", circleLike("/user/*/vcs-origin/github.com/acme/app/*"), tokenOf(circle, org, circleV1+"/vcs-origin/github.com/x/y/vcs-ref/refs/heads/a/vcs-origin/github.com/acme/app/b"), Yes, "branch-hides"},
	{"CircleCI, a branch's end", "https://circleci.com/docs/guides/permissions-authentication/openid-connect-tokens/", circleLike("/*refs/heads/main"), tokenOf(circle, org, strings.Replace(circleV2, "/main", "/x/refs/heads/main", 1)), Yes, "branch-hides"},
	{"CircleCI, branches of a user", "https://circleci.com/docs/guides/permissions-authentication/openid-connect-tokens/", circleLike("/user/" + user + "/vcs-origin/github.com/acme/app/vcs-ref/refs/heads/release-*-x"), tokenOf(circle, org, strings.Replace(circleV2, "/main", "/release-1-x", 1)), Yes, "repository-wide"},
	{"CircleCI, all of all", "https://circleci.com/docs/guides/permissions-authentication/openid-connect-tokens/", circleLike("/user/*/vcs-origin/*/vcs-ref/*"), tokenOf(circle, org, circleV2), Yes, "repository-wide"},
	{"Buildkite, a step", "https://buildkite.com/docs/pipelines/configure/step-types/command-step", trusting("agent.buildkite.com", `{"StringLike": {"@:sub": "organization:acme:pipeline:app:ref:refs/heads/main:commit:*:step:deploy", "@:aud": "x"}}`),
		tokenOf("agent.buildkite.com", "x", "organization:acme:pipeline:app:ref:refs/heads/main:commit:abc:step:lint:step:deploy"), Yes, "branch-hides"},
	{"Buildkite, a branch and every step", "https://buildkite.com/docs/pipelines/configure/step-types/command-step", trusting("agent.buildkite.com", `{"StringLike": {"@:sub": "organization:acme:pipeline:*:ref:refs/heads/main:commit:*", "@:aud": "x"}}`),
		tokenOf("agent.buildkite.com", "x", "organization:acme:pipeline:app:ref:refs/heads/main:commit:abc:step:lint"), Yes, "owner-wide"},
	{"Bitbucket, a repository", "https://support.atlassian.com/bitbucket-cloud/docs/deploy-on-aws-using-bitbucket-pipelines-openid-connect/", trusting("api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc", `{"StringLike": {"@:sub": "{r}:*", "@:aud": "a"}}`),
		tokenOf("api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc", "a", "{r}:{s}"), Yes, ""},

	// Not evaluated.
	{"the address", operators + "#Conditions_IPAddress", onGitHub(`{"StringEquals": {"@:sub": "repo:acme/app:ref:refs/heads/main", "@:aud": "sts.amazonaws.com"}, "IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}`), gh(mainSub), Unknown, "not-evaluated"},
	{"the address, of a job that fails anyway", operators + "#Conditions_IPAddress", onGitHub(`{"StringEquals": {"@:sub": "repo:acme/app:ref:refs/heads/main", "@:aud": "sts.amazonaws.com"}, "IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}`), gh("repo:acme/app:pull_request"), No, "other-context"},
	{"denied by address, perhaps", "https://github.com/aws-samples/resource-control-policy-examples/issues/5", `{"Version": "2012-10-17", "Statement": [` + strings.TrimSuffix(strings.SplitN(sts(mainSub), "[", 2)[1], "]}") + `, {"Effect": "Deny", "Principal": "*", "Action": "sts:*", "Condition": {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}}]}`, gh(mainSub), Unknown, "not-evaluated"},
	{"denied by address, not these", "https://github.com/aws-samples/resource-control-policy-examples/issues/5", `{"Version": "2012-10-17", "Statement": [` + strings.TrimSuffix(strings.SplitN(sts(mainSub), "[", 2)[1], "]}") + `, {"Effect": "Deny", "Principal": "*", "Action": "sts:*", "Condition": {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}, "Null": {"` + gitHub + `:sub": "true"}}}]}`, gh(mainSub), Yes, ""},
	{"the session's name", "https://www.repost.aws/ja/questions/QUTChOoSaUQwOalUw1rv17iA/iam-role-conditional-access-of-openid-provider-with-roles-set-claim-matching-does-not-work", trusting("idp1/", `{"StringEquals": {"@:aud": "aud1", "@:sub": "s"}, "ForAnyValue:StringEquals": {"sts:RoleSessionName": ["role1"]}}`), tokenOf("idp1/", "aud1", "s"), Unknown, "not-evaluated"},
	{"an operator that IAM does not have", operators, onGitHub(`{"StringEquals": {"@:sub": "repo:acme/app:ref:refs/heads/main", "@:aud": "sts.amazonaws.com"}, "StringMatches": {"@:ref": "x"}}`), gh(mainSub), Unknown, "not-evaluated"},
	{"NotPrincipal", iamDoc + "reference_policies_elements_notprincipal.html", statement(`"Effect": "Allow", "NotPrincipal": {"Federated": "x"}, "Action": "sts:AssumeRoleWithWebIdentity"`), gh(mainSub), Unknown, "not-evaluated"},
	{"a wildcard for federated principals", iamDoc + "reference_policies_elements_principal.html", statement(`"Effect": "Allow", "Principal": {"Federated": "*"}, "Action": "sts:AssumeRoleWithWebIdentity"`), gh(mainSub), Unknown, "not-evaluated"},
	{"several audiences", iamDoc + "reference_policies_condition-single-vs-multi-valued-context-keys.html", sts(mainSub), func() map[string]any { c := gh(mainSub); c["aud"] = []any{"sts.amazonaws.com", "x"}; return c }(), Unknown, "not-evaluated"},
	{"a list of one audience", iamDoc + "reference_policies_condition-single-vs-multi-valued-context-keys.html", sts(mainSub), func() map[string]any { c := gh(mainSub); c["aud"] = []any{"sts.amazonaws.com"}; return c }(), Yes, ""},

	// Variables and time.
	{"a variable", iamDoc + "reference_policies_variables.html", onGitHub(`{"StringLike": {"@:sub": "repo:${@:repository}:ref:refs/heads/*", "@:aud": "sts.amazonaws.com"}}`), gh(mainSub, "repository=acme/app"), Yes, "any-subject"},
	{"a variable in the version of 2008", iamDoc + "reference_policies_elements_version.html", strings.Replace(onGitHub(`{"StringLike": {"@:sub": "repo:${@:repository}:ref:refs/heads/*", "@:aud": "sts.amazonaws.com"}}`), "2012", "2008", 1), gh(mainSub, "repository=acme/app"), No, "old-version any-subject"},
	{"a variable's default", iamDoc + "reference_policies_variables.html#policy-vars-default-value", onGitHub(`{"StringEquals": {"@:sub": "repo:acme/app:environment:${@:environment, 'none'}", "@:aud": "sts.amazonaws.com"}}`), gh("repo:acme/app:environment:none"), Yes, "repository-wide"},
	{"a variable without a value", iamDoc + "reference_policies_variables.html#policy-vars-no-value", onGitHub(`{"StringEquals": {"@:sub": "repo:acme/app:environment:${@:environment}", "@:aud": "sts.amazonaws.com"}}`), gh("repo:acme/app:pull_request"), No, "other-context repository-wide"},
	{"until a date", operators + "#Conditions_Date", onGitHub(`{"StringEquals": {"@:sub": "repo:acme/app:ref:refs/heads/main", "@:aud": "sts.amazonaws.com"}, "DateLessThan": {"aws:CurrentTime": "2026-12-31T00:00:00Z"}}`), gh(mainSub), Yes, ""},
	{"until a date that is over", operators + "#Conditions_Date", onGitHub(`{"StringEquals": {"@:sub": "repo:acme/app:ref:refs/heads/main", "@:aud": "sts.amazonaws.com"}, "DateLessThan": {"aws:EpochTime": "1700000000"}}`), gh(mainSub), No, "other-value"},
	{"denied to other providers", "https://github.com/aws-samples/resource-control-policy-examples/issues/5", `{"Version": "2012-10-17", "Statement": [` + strings.TrimSuffix(strings.SplitN(sts(mainSub), "[", 2)[1], "]}") + `, {"Effect": "Deny", "Principal": "*", "Action": "sts:*", "Condition": {"ArnNotLike": {"aws:FederatedProvider": "arn:aws:iam::*:oidc-provider/` + gitHub + `"}}}]}`, gh(mainSub), Yes, ""},
}

// circleLike returns a policy for a project of CircleCI. The pattern is for the rest of the subject.
func circleLike(pattern string) string {
	return trusting(circle, `{"StringLike": {"@:sub": "org/`+org+`/project/`+project+pattern+`", "@:aud": "`+org+`"}}`)
}

func tagged(claims map[string]any) map[string]any {
	claims["https://aws.amazon.com/tags"] = map[string]any{"principal_tags": map[string]any{"organization_slug": []any{"acme"}}}
	return claims
}

func google(condition string) string {
	return `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"Federated": "accounts.google.com"}, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": ` + condition + `}}`
}

func evaluate(t *testing.T, policy string, r Request) Verdict {
	t.Helper()
	p, err := Parse([]byte(policy))
	if err != nil {
		t.Fatalf("%v\n%s", err, policy)
	}
	v, err := Evaluate(p, r)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func kindsOf(v Verdict) string {
	var kinds []string
	for _, f := range v.Findings {
		kinds = append(kinds, string(f.Kind))
	}
	return strings.Join(kinds, " ")
}

func TestCases(t *testing.T) {
	seen := map[string]bool{}
	for _, tt := range cases {
		if tt.source == "" || seen[tt.name] {
			t.Errorf("%s: no source, or a duplicate name", tt.name)
		}
		seen[tt.name] = true
		v := evaluate(t, tt.policy, Request{Role: role, Claims: tt.claims, Now: noon})
		if kinds := kindsOf(v); v.Admits != tt.want || kinds != tt.kinds {
			t.Errorf("%s: admits %v, findings %q; want %v, %q\n%s", tt.name, v.Admits, kinds, tt.want, tt.kinds, v)
		}
	}
	if len(cases) < 80 {
		t.Errorf("%d cases", len(cases))
	}
}

// TestCauses checks that there are causes if and only if the policy does not admit the token.
func TestCauses(t *testing.T) {
	for _, tt := range cases {
		v := evaluate(t, tt.policy, Request{Role: role, Claims: tt.claims, Now: noon})
		caused := slices.ContainsFunc(v.Findings, func(f Finding) bool { return f.Level == Cause })
		if caused != (v.Admits != Yes) {
			t.Errorf("%s: admits %v, has causes: %v", tt.name, v.Admits, caused)
		}
		for _, f := range v.Findings {
			if strings.ContainsAny(f.Text, "\n\r") || f.Text == "" {
				t.Errorf("%s: not one line: %q", tt.name, f.Text)
			}
		}
		if _, err := json.Marshal(v); err != nil {
			t.Error(err)
		}
	}
}

// TestUnknownRole checks that without a role, only the comparison of accounts changes.
func TestUnknownRole(t *testing.T) {
	for _, tt := range cases {
		v := evaluate(t, tt.policy, Request{Claims: tt.claims, Now: noon})
		if want := tt.want; !strings.HasPrefix(tt.name, "another account's") && !strings.HasPrefix(tt.name, "another partition's") && !strings.HasSuffix(tt.name, "role is in the token") &&
			!strings.HasPrefix(tt.name, "denied to") && v.Admits != want && tt.name != "no role is in the token" {
			t.Errorf("%s: admits %v, want %v\n%s", tt.name, v.Admits, want, v)
		}
	}
	v := evaluate(t, `{"Version": "2012-10-17", "Statement": [`+strings.TrimSuffix(strings.SplitN(sts(mainSub), "[", 2)[1], "]}")+`, {"Effect": "Deny", "Principal": {"AWS": "210987654321"}, "Action": "*"}]}`, Request{Claims: gh(mainSub)})
	if v.Admits != Unknown {
		t.Errorf("denied account that can be the role's: %s", v)
	}
	v = evaluate(t, strings.Replace(sts(mainSub), "123456789012", "210987654321", 1), Request{Claims: gh(mainSub)})
	if v.Admits != Yes {
		t.Errorf("%s", v)
	}
	if v = evaluate(t, sts(mainSub), Request{Claims: gh(mainSub, "https://aws.amazon.com/roles="+role)}); v.Admits != Unknown || kindsOf(v) != "role-not-in-token" {
		t.Errorf("%s", v)
	}
}

// TestLongValues checks that findCorrections does not search in values that are longer than real ones.
func TestLongValues(t *testing.T) {
	long := strings.Repeat("a*", 100)
	if got := findCorrections(pair{want: strings.ToUpper(long), got: long}); got == nil {
		t.Error("no correction of the case")
	}
	long = strings.Repeat("a*", 300_000)
	if got := findCorrections(pair{want: strings.ToUpper(long), got: long}); got != nil {
		t.Errorf("%v", got)
	}
}

// TestFindingTexts checks parts of the texts that depend on the policy.
func TestFindingTexts(t *testing.T) {
	for name, want := range map[string]string{
		"a workflow's key and no subject":              "any repository that can call this workflow can assume",
		"reusable workflow":                            "any repository that can call this workflow",
		"CircleCI, V1 for a policy of V2":              "for any user, use ????????-",
		"Buildkite, a step":                            `every step whose name contains ":step:deploy"`,
		"CircleCI, another origin":                     "also admits every branch",
		"Google's provider by ARN":                     `use Federated "accounts.google.com", without an ARN`,
		"made again":                                   "may have taken the name",
		"an environment, which must be there":          "to be present",
		"NotPrincipal":                                 "Principal: a trust policy cannot contain NotPrincipal",
		"CircleCI, a branch's end":                     "because the * before it",
		"tags allowed and nothing else":                "no statement allows sts:AssumeRoleWithWebIdentity",
		"an id of the owner alone":                     "subjects contain IDs",
		"new form in the policy too early":             "this repository's subjects contain none",
		"any id of an owner, and all that follows":     "more than one project of the owner",
		"any id of a repository, and all that follows": "pull request of the project",
	} {
		for _, tt := range cases {
			if text := evaluate(t, tt.policy, Request{Role: role, Claims: tt.claims, Now: noon}).String(); tt.name == name && !strings.Contains(text, want) {
				t.Errorf("%s: %q is missing\n%s", name, want, text)
			} else if name == "CircleCI, a branch's end" && tt.name == name && strings.Contains(text, "for any user") {
				t.Errorf("%s: the * does not stand for a user\n%s", name, text)
			}
		}
	}
}

// EachCase calls f for each case. It is for the tests of package trust_test.
func EachCase(f func(name, policy string, claims map[string]any)) {
	for _, tt := range cases {
		f(tt.name, tt.policy, tt.claims)
	}
}
