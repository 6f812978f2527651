package trust

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Request is who asks for the role.
type Request struct {
	Role    string         // the role's ARN; empty when it is not known, and then no provider's account is compared
	Claims  map[string]any // the token's claims, as encoding/json decodes them; "iss" is the issuer
	Now     time.Time      // for conditions on the time; the zero time leaves them unknown
	Session string         // the role session's name; empty leaves conditions on it unknown
}

// What STS asks the trust policy. Tags and a source identity come from the token's claims, and each needs its action too.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_permissions-required
const (
	assume         = "sts:AssumeRoleWithWebIdentity"
	tagSession     = "sts:TagSession"
	sourceIdentity = "sts:SetSourceIdentity"
)

// asking is a request with all that its evaluation reads out of it.
type asking struct {
	Request
	issuer    string // without https://, as providers and condition keys are named
	provider  string // what the Principal must name
	partition string // of the role; empty when that is not known
	account   string
	actions   []string
	keys      []string // the claims that a policy can test
	tagNames  value    // of the session tags
	tags      map[string]value
	variables bool // policy variables are replaced
}

// maxToken is the greatest length in characters of a token that STS accepts (AssumeRoleWithWebIdentity, API reference).
const maxToken = 20000

// CheckSize returns an error if the claims are longer than those of any token that STS accepts.
func CheckSize(claims map[string]any) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(claims); err != nil {
		return err
	}
	if text.Len() > maxToken {
		const format = "they have %d bytes as JSON, more than the %d characters of the longest token that STS accepts"
		return fmt.Errorf(format, text.Len(), maxToken)
	}
	return nil
}

func (r Request) ask() (asking, error) {
	a := asking{Request: r, actions: []string{assume}}
	if err := CheckSize(r.Claims); err != nil {
		return a, fmt.Errorf("evaluating the claims: %w", err)
	}
	issuer, _ := r.Claims["iss"].(string)
	a.issuer = strings.TrimPrefix(issuer, "https://")
	switch {
	case a.issuer == "":
		return a, errors.New("evaluating the trust policy: the claims name no issuer (\"iss\")")
	case !decoded(a.issuer):
		return a, errors.New("evaluating the trust policy: the issuer (\"iss\") has a character that cannot be decoded")
	}
	if r.Role != "" {
		part := strings.SplitN(r.Role, ":", 6)
		if len(part) != 6 || part[0] != "arn" || part[2] != "iam" || part[4] == "" ||
			!decoded(r.Role) || !strings.HasPrefix(part[5], "role/") {
			return a, fmt.Errorf("evaluating the trust policy: %s is not a role's ARN", quote(r.Role))
		}
		a.partition, a.account = part[1], part[4]
	}
	a.provider = providerARN(a.partition, a.account, a.issuer)
	if slices.Contains(builtIn, a.issuer) {
		a.provider = a.issuer
	}
	a.keys = keysOf(a.issuer)
	a.tagNames, a.tags = sessionTags(r.Claims)
	if len(a.tagNames.all) > 0 {
		a.actions = append(a.actions, tagSession)
	}
	if r.Claims[sourceIdentityClaim] != nil {
		a.actions = append(a.actions, sourceIdentity)
	}
	return a, nil
}

func providerARN(partition, account, issuer string) string {
	return "arn:" + partition + ":iam::" + account + ":oidc-provider/" + issuer
}

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
