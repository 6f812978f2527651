package trust

import (
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

// Request is a request for the credentials of a role.
type Request struct {
	Role        string         // ARN of the role; if empty, the account of a provider is not compared
	Claims      map[string]any // of the token, as encoding/json decodes them; "iss" is the issuer
	Now         time.Time      // for conditions on the time; the zero time leaves them unknown
	SessionName string         // name of the role session; empty leaves conditions on it unknown
}

// The actions that the trust policy must allow. Tags and a source identity come from the claims of
// the token, and each needs its own action.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_permissions-required
const (
	assume         = "sts:AssumeRoleWithWebIdentity"
	tagSession     = "sts:TagSession"
	sourceIdentity = "sts:SetSourceIdentity"
)

// The claims that STS itself reads.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_adding-assume-role-idp
const (
	tagsClaim           = "https://aws.amazon.com/tags"
	sourceIdentityClaim = "https://aws.amazon.com/source_identity"
	rolesClaim          = "https://aws.amazon.com/roles"
)

// requestContext is a request with the values that AWS derives from it.
type requestContext struct {
	Request
	platform  platform
	issuer    string // without https://, as in the names of providers and condition keys
	provider  string // what the Principal must name
	partition string // of the role; empty if the role is not known
	account   string
	actions   []string         // the policy must allow all of them; the first one is assume
	keys      map[string]value // condition keys in lower case, those of the issuer excepted
	tagged    bool             // the token has session tags
	variables bool             // the policy's version has policy variables
}

// value is what AWS sees of one condition key in a request.
type value struct {
	all     []string // empty if the key is absent
	oneOf   string   // if set, AWS sees only one of them, and this is why
	unknown string   // if set, AWS may see something else than all, and this is why
	why     string   // why the key is absent, if there is a reason to report
	foreign bool     // the key can never be present, because the token's issuer does not have it
}

// maxToken is the maximum length in characters of a token that STS accepts, according to the API
// reference of AssumeRoleWithWebIdentity.
const maxToken = 20000

// CheckSize returns an error if the claims are longer than those of any token that STS accepts.
func CheckSize(claims map[string]any) error {
	text, err := marshal(claims, "")
	if err != nil {
		return err
	}
	if len(text) > maxToken {
		return fmt.Errorf("they have %d bytes as JSON, more than the %d characters of the "+
			"longest token that STS accepts", len(text), maxToken)
	}
	return nil
}

// newContext returns an error if a request cannot be evaluated against any policy.
func newContext(r Request) (requestContext, error) {
	c := requestContext{Request: r, actions: []string{assume}}
	if err := CheckSize(r.Claims); err != nil {
		return c, fmt.Errorf("evaluating the claims: %w", err)
	}
	issuer, _ := r.Claims["iss"].(string)
	c.issuer = strings.TrimPrefix(issuer, "https://")
	switch {
	case c.issuer == "":
		return c, errors.New("evaluating the trust policy: the claims name no issuer (\"iss\")")
	case !decoded(c.issuer):
		return c, errors.New("evaluating the trust policy: " +
			"the issuer (\"iss\") has a character that cannot be decoded")
	}
	if r.Role != "" {
		part := strings.SplitN(r.Role, ":", 6)
		if len(part) != 6 || part[0] != "arn" || part[2] != "iam" || part[4] == "" ||
			!decoded(r.Role) || !strings.HasPrefix(part[5], "role/") {
			return c, fmt.Errorf("evaluating the trust policy: %s is not a role's ARN",
				quote(r.Role))
		}
		c.partition, c.account = part[1], part[4]
	}
	c.platform = platformOf(c.issuer)
	c.provider = providerARN(c.partition, c.account, c.issuer)
	if c.platform.builtIn {
		c.provider = c.issuer
	}
	c.addKeys()
	return c, nil
}

func providerARN(partition, account, issuer string) string {
	return "arn:" + partition + ":iam::" + account + ":oidc-provider/" + issuer
}

// addKeys sets the condition keys that do not belong to the issuer, and the actions that the
// claims behind them need.
func (c *requestContext) addKeys() {
	nested, _ := c.Claims[tagsClaim].(map[string]any)
	transitive := valueOf(nested["transitive_tag_keys"])
	flat := valueOf(c.Claims[tagsClaim+"/transitive_tag_keys"])
	c.keys = map[string]value{
		"aws:securetransport": {all: []string{"true"}}, // STS accepts HTTPS only
		"sts:externalid":      {why: "AssumeRoleWithWebIdentity has no external id"},
		"sts:sourceidentity":  valueOf(c.Claims[sourceIdentityClaim]),
		"sts:transitivetagkeys": {
			all:     append(transitive.all, flat.all...),
			unknown: cmp.Or(transitive.unknown, flat.unknown),
		},
	}
	c.addTags(nested)
	if c.Claims[sourceIdentityClaim] != nil {
		c.actions = append(c.actions, sourceIdentity)
	}
	if c.account != "" {
		c.keys["aws:federatedprovider"] = value{all: []string{c.provider}}
	}
	if !c.Now.IsZero() {
		c.keys["aws:currenttime"] = value{all: []string{c.Now.UTC().Format(time.RFC3339)}}
		c.keys["aws:epochtime"] = value{all: []string{strconv.FormatInt(c.Now.Unix(), 10)}}
	}
	if c.SessionName != "" {
		c.keys["sts:rolesessionname"] = value{all: []string{c.SessionName}}
	}
	if roles := valueOf(c.Claims[rolesClaim]); c.Role != "" && roles.unknown == "" {
		authorized := strconv.FormatBool(slices.Contains(roles.all, c.Role))
		c.keys["sts:roleauthorizedbyidp"] = value{all: []string{authorized}}
	}
}

// addTags sets the condition keys of the session tags. The claims of a token contain them either
// nested or flat.
func (c *requestContext) addTags(nested map[string]any) {
	var names value
	add := func(name string, claim any) {
		if !decoded(name) {
			names.unknown = "a character in the name of a tag cannot be decoded"
		}
		names.all = append(names.all, name)
		c.keys["aws:requesttag/"+strings.ToLower(name)] = valueOf(claim)
	}
	principal, _ := nested["principal_tags"].(map[string]any)
	for name, claim := range principal {
		add(name, claim)
	}
	for key, claim := range c.Claims {
		if name, ok := strings.CutPrefix(key, tagsClaim+"/principal_tags/"); ok {
			add(name, claim)
		}
	}
	slices.Sort(names.all)
	c.keys["aws:tagkeys"] = names
	if c.tagged = len(names.all) > 0; c.tagged {
		c.actions = append(c.actions, tagSession)
	}
}

// lookup returns what AWS sees of a condition key. Keys ignore capitals.
func (c requestContext) lookup(key string) value {
	key = strings.ToLower(key)
	if claim, ok := strings.CutPrefix(key, strings.ToLower(c.issuer)+":"); ok {
		return c.claim(claim)
	}
	if v, ok := c.keys[key]; ok {
		return v
	}
	vendor, name, ok := strings.Cut(key, ":")
	switch {
	case !ok || strings.ContainsAny(vendor, "./") || vendor == "arn" || vendor == "https":
		return value{foreign: true, why: "the token's issuer has no such key"}
	case vendor == "aws" && strings.HasPrefix(name, "requesttag/"):
		return value{}
	case vendor == "aws" && strings.HasPrefix(name, "principaltag/") && !c.tagged:
		return value{why: "the token has no session tags"}
	}
	return value{unknown: "what AWS sees of this key is not known here"}
}

// claim returns what AWS sees of a key of the token's own issuer.
func (c requestContext) claim(name string) value {
	if !c.platform.hasKey(name) {
		v := value{foreign: true, why: "AWS has no such key for this issuer"}
		if _, ok := c.Claims[name]; ok {
			v.why += ", though the token has the claim"
		}
		return v
	}
	aud, azp := valueOf(c.Claims["aud"]), valueOf(c.Claims["azp"])
	switch {
	case name == "oaud":
		return aud
	case name != "aud":
	case len(azp.all) == 1 && c.issuer == "accounts.google.com": // its aud is in oaud
		return azp
	// https://github.com/aws/aws-sdk-net/issues/3071
	case len(azp.all)+len(azp.unknown) > 0 && !slices.Equal(aud.all, azp.all):
		const either = "the token has an azp as well as an aud, and AWS may compare either"
		both := append(aud.all, azp.all...)
		return value{all: both, oneOf: either, unknown: cmp.Or(aud.unknown, azp.unknown)}
	}
	v := valueOf(c.Claims[name])
	if len(v.all) == 0 && v.unknown == "" {
		v.why = "the token has no such claim"
	}
	return v
}

// valueOf returns what AWS sees of a claim: its value, or the values of its list.
func valueOf(claim any) (v value) {
	list, ok := claim.([]any)
	if !ok && claim != nil {
		list = []any{claim}
	}
	for _, item := range list {
		var text string
		switch item := item.(type) {
		case string:
			text = item
			if !decoded(item) {
				v.unknown = "a character in it cannot be decoded"
			}
		case bool:
			text = strconv.FormatBool(item)
		case json.Number, float64:
			text = fmt.Sprint(item)
			if f, ok := item.(float64); ok {
				text = strconv.FormatFloat(f, 'f', -1, 64)
			}
			if _, ok := number(text); !ok || strings.Contains(text, ".") {
				v.unknown = "it is a number other than a plain integer of at most 15 digits"
			}
		default:
			v.unknown = "the claim is neither text nor a list of texts"
			continue
		}
		v.all = append(v.all, text)
	}
	return v
}

// decoded reports whether all characters of a text were decoded. encoding/json decodes half of a
// surrogate pair and a byte that is not UTF-8 to U+FFFD, so that different texts become equal.
func decoded(text string) bool { return !strings.ContainsRune(text, utf8.RuneError) }
