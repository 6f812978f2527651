package trust

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Claims that STS itself reads.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_adding-assume-role-idp
const (
	tagsClaim           = "https://aws.amazon.com/tags"
	sourceIdentityClaim = "https://aws.amazon.com/source_identity"
	rolesClaim          = "https://aws.amazon.com/roles"
)

// value is what AWS sees of one condition key in a request.
type value struct {
	all     []string // none when the key is not there
	oneOf   string   // AWS takes only one of them, and we do not know which; why that is
	unknown string   // we do not know what AWS sees; why that is
	why     string   // why the key is not there, where there is more to say than that
	alien   bool     // it is never there: AWS has no such key for this issuer
}

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

// lookup finds what AWS sees of a key. Capitals make no difference in a key.
func (a asking) lookup(key string) value {
	key = strings.ToLower(key)
	if claim, ok := strings.CutPrefix(key, strings.ToLower(a.issuer)+":"); ok {
		return a.claim(claim)
	}
	if vendor, _, ok := strings.Cut(key, ":"); !ok || strings.ContainsAny(vendor, "./") || vendor == "arn" || vendor == "https" {
		return value{alien: true, why: "the token's issuer has no such key"}
	}
	switch key {
	case "aws:federatedprovider":
		if a.account == "" {
			break
		}
		return value{all: []string{a.provider}}
	case "aws:securetransport": // STS answers https alone
		return value{all: []string{"true"}}
	case "aws:currenttime", "aws:epochtime":
		if a.Now.IsZero() {
			break
		}
		now := a.Now.UTC().Format(time.RFC3339)
		if key == "aws:epochtime" {
			now = strconv.FormatInt(a.Now.Unix(), 10)
		}
		return value{all: []string{now}}
	case "aws:tagkeys":
		return value{all: a.tagNames}
	case "sts:transitivetagkeys":
		nested, _ := a.Claims[tagsClaim].(map[string]any)
		return value{all: append(texts(nested["transitive_tag_keys"]), texts(a.Claims[tagsClaim+"/transitive_tag_keys"])...)}
	case "sts:rolesessionname":
		if a.Session == "" {
			break
		}
		return value{all: []string{a.Session}}
	case "sts:externalid":
		return value{why: "AssumeRoleWithWebIdentity has no external id"}
	case "sts:sourceidentity":
		return value{all: texts(a.Claims[sourceIdentityClaim])}
	case "sts:roleauthorizedbyidp":
		if a.Role == "" {
			break
		}
		return value{all: []string{strconv.FormatBool(slices.Contains(texts(a.Claims[rolesClaim]), a.Role))}}
	}
	if name, ok := strings.CutPrefix(key, "aws:requesttag/"); ok {
		return a.tags[name]
	}
	if strings.HasPrefix(key, "aws:principaltag/") && len(a.tagNames) == 0 {
		return value{why: "the token has no session tags"}
	}
	return value{unknown: "what AWS sees of this key is not known here"}
}

// claim finds what AWS sees of a key of the token's own issuer.
func (a asking) claim(name string) value {
	if !slices.Contains(a.keys, name) {
		v := value{alien: true, why: "AWS has no such key for this issuer"}
		if _, ok := a.Claims[name]; ok {
			v.why += ", though the token has the claim"
		}
		return v
	}
	aud, azp := texts(a.Claims["aud"]), texts(a.Claims["azp"])
	switch {
	case name == "oaud":
		return value{all: aud}
	case name != "aud":
	case len(azp) == 1 && a.issuer == "accounts.google.com": // the other one is oaud
		return value{all: azp}
	case len(azp) == 1 && !slices.Equal(aud, azp): // https://github.com/aws/aws-sdk-net/issues/3071
		return value{all: append(aud, azp...), oneOf: "the token has an azp as well as an aud, and AWS may compare either"}
	}
	v := value{all: texts(a.Claims[name]), why: "the token has no such claim"}
	if c := a.Claims[name]; c != nil && v.all == nil {
		v.unknown = "the claim is neither text nor a list of texts"
	}
	return v
}

// texts are the values of a claim: one, or those of a list. Of an object there are none.
func texts(claim any) []string { return appendTexts(nil, claim) }

func appendTexts(all []string, claim any) []string {
	switch c := claim.(type) {
	case string:
		return append(all, c)
	case bool, json.Number:
		return append(all, fmt.Sprint(c))
	case float64:
		return append(all, strconv.FormatFloat(c, 'f', -1, 64))
	case []any:
		if all == nil {
			all = []string{}
		}
		for _, one := range c {
			all = appendTexts(all, one)
		}
	}
	return all
}

// sessionTags returns the session tags in the token, nested or flat: their names in order, and their values by name in
// lower case.
func sessionTags(claims map[string]any) (names []string, tags map[string]value) {
	tags = map[string]value{}
	add := func(name string, claim any) {
		names = append(names, name)
		tags[strings.ToLower(name)] = value{all: texts(claim)}
	}
	nested, _ := claims[tagsClaim].(map[string]any)
	principal, _ := nested["principal_tags"].(map[string]any)
	for name, claim := range principal {
		add(name, claim)
	}
	for claim := range claims {
		if name, ok := strings.CutPrefix(claim, tagsClaim+"/principal_tags/"); ok {
			add(name, claims[claim])
		}
	}
	slices.Sort(names)
	return names, tags
}
