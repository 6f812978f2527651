package trust

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
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
	unknown string   // we do not know what AWS sees, and all is what the token has; why that is
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
		return a.tagNames
	case "sts:transitivetagkeys":
		nested, _ := a.Claims[tagsClaim].(map[string]any)
		v, flat := valueOf(nested["transitive_tag_keys"]), valueOf(a.Claims[tagsClaim+"/transitive_tag_keys"])
		return value{all: append(v.all, flat.all...), unknown: cmp.Or(v.unknown, flat.unknown)}
	case "sts:rolesessionname":
		if a.Session == "" {
			break
		}
		return value{all: []string{a.Session}}
	case "sts:externalid":
		return value{why: "AssumeRoleWithWebIdentity has no external id"}
	case "sts:sourceidentity":
		return valueOf(a.Claims[sourceIdentityClaim])
	case "sts:roleauthorizedbyidp":
		roles := valueOf(a.Claims[rolesClaim])
		if a.Role == "" || roles.unknown != "" {
			break
		}
		return value{all: []string{strconv.FormatBool(slices.Contains(roles.all, a.Role))}}
	}
	if name, ok := strings.CutPrefix(key, "aws:requesttag/"); ok {
		return a.tags[name]
	}
	if strings.HasPrefix(key, "aws:principaltag/") && len(a.tagNames.all) == 0 {
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
	aud, azp := valueOf(a.Claims["aud"]), valueOf(a.Claims["azp"])
	switch {
	case name == "oaud":
		return aud
	case name != "aud":
	case len(azp.all) == 1 && a.issuer == "accounts.google.com": // the other one is oaud
		return azp
	// https://github.com/aws/aws-sdk-net/issues/3071
	case len(azp.all)+len(azp.unknown) > 0 && !slices.Equal(aud.all, azp.all):
		const either = "the token has an azp as well as an aud, and AWS may compare either"
		return value{all: append(aud.all, azp.all...), oneOf: either, unknown: cmp.Or(aud.unknown, azp.unknown)}
	}
	v := valueOf(a.Claims[name])
	v.why = "the token has no such claim"
	return v
}

// valueOf returns what AWS sees of a claim: its value, or those of its list. Its unknown is set where AWS may see
// something else.
func valueOf(claim any) (v value) {
	list, ok := claim.([]any)
	if !ok {
		list = []any{claim}
	}
	if claim == nil {
		list = nil
	}
	for _, one := range list {
		switch c := one.(type) {
		case string:
			if !decoded(c) {
				v.unknown = "a character in it cannot be decoded"
			}
			v.all = append(v.all, c)
		case bool:
			v.all = append(v.all, strconv.FormatBool(c))
		case json.Number, float64:
			text := fmt.Sprint(c)
			if f, ok := c.(float64); ok {
				text = strconv.FormatFloat(f, 'f', -1, 64)
			}
			if _, ok := number(text); !ok || strings.Contains(text, ".") {
				v.unknown = "it is a number other than a plain integer of at most 15 digits"
			}
			v.all = append(v.all, text)
		default:
			v.unknown = "the claim is neither text nor a list of texts"
		}
	}
	return v
}

// decoded reports whether all of a text could be decoded. encoding/json decodes a lone surrogate and a byte that is not
// UTF-8 to U+FFFD, so that texts which differ become equal.
func decoded(text string) bool { return !strings.ContainsRune(text, utf8.RuneError) }

// sessionTags returns the session tags in the token, nested or flat: their names in order, and their values by name in
// lower case.
func sessionTags(claims map[string]any) (names value, tags map[string]value) {
	tags = map[string]value{}
	add := func(name string, claim any) {
		if !decoded(name) {
			names.unknown = "a character in the name of a tag cannot be decoded"
		}
		names.all = append(names.all, name)
		tags[strings.ToLower(name)] = valueOf(claim)
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
	slices.Sort(names.all)
	return names, tags
}
