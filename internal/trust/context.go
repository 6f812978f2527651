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
	Role        string         // ARN; if empty, the account of a provider is not compared
	Claims      map[string]any // of the token, as decoded by encoding/json; "iss" is required
	Now         time.Time      // if zero, conditions on the time are Unknown
	SessionName string         // RoleSessionName; if empty, conditions on it are Unknown
}

// The actions that the trust policy must allow. The claims of the token can set session tags and a
// source identity. Each of the two requires an action of its own.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_permissions-required
const (
	assumeAction         = "sts:AssumeRoleWithWebIdentity"
	tagSessionAction     = "sts:TagSession"
	sourceIdentityAction = "sts:SetSourceIdentity"
)

// The claims that STS evaluates.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_adding-assume-role-idp
const (
	tagsClaim           = "https://aws.amazon.com/tags"
	sourceIdentityClaim = "https://aws.amazon.com/source_identity"
	rolesClaim          = "https://aws.amazon.com/roles"
)

// requestContext is a request with the condition keys that AWS derives from it.
type requestContext struct {
	Request
	platform          platform
	issuer            string                  // without https://, as in provider ARNs and condition keys
	provider          string                  // the Federated principal; incomplete if the role is not known
	partition         string                  // of the role; empty if the role is not known
	account           string                  // of the role; empty if the role is not known
	actions           []string                // must all be allowed; the first is assumeAction
	keys              map[string]contextValue // in lower case, without the keys of the issuer
	tagged            bool                    // the token has session tags
	supportsVariables bool                    // the Version of the policy supports policy variables
}

// contextValue is the value of one condition key in a request.
type contextValue struct {
	values          []string // empty if the key is missing
	ambiguousReason string   // if set, AWS uses only one of the values; the text is the reason
	unknownReason   string   // if set, AWS may use other values; the text is the reason
	missingReason   string   // why the key is missing; can be empty
	neverPresent    bool     // the key does not exist for the token's issuer
}

// maxTokenLength is the maximum length of a token in characters. It is from the API reference of
// AssumeRoleWithWebIdentity.
const maxTokenLength = 20000

// CheckSize returns an error if the claims are too long for any token that STS accepts.
func CheckSize(claims map[string]any) error {
	text, err := marshal(claims, "")
	if err != nil {
		return err
	}
	if len(text) > maxTokenLength {
		return fmt.Errorf("%d bytes of JSON exceed the %d characters that STS accepts for a token",
			len(text), maxTokenLength)
	}
	return nil
}

// newRequestContext returns an error for a request that no policy can be evaluated for.
func newRequestContext(r Request) (requestContext, error) {
	c := requestContext{Request: r, actions: []string{assumeAction}}
	if err := CheckSize(r.Claims); err != nil {
		return c, fmt.Errorf("evaluating the claims: %w", err)
	}
	issuer, _ := r.Claims["iss"].(string)
	c.issuer = strings.TrimPrefix(issuer, "https://")
	switch {
	case c.issuer == "":
		return c, errors.New(
			"evaluating the trust policy: the claims have no issuer (\"iss\")")
	case !isDecoded(c.issuer):
		return c, errors.New("evaluating the trust policy: " +
			"the issuer (\"iss\") contains an invalid character (U+FFFD)")
	}
	if r.Role != "" {
		part := strings.SplitN(r.Role, ":", 6)
		if len(part) != 6 || part[0] != "arn" || part[2] != "iam" || part[4] == "" ||
			!isDecoded(r.Role) || !strings.HasPrefix(part[5], "role/") {
			return c, fmt.Errorf("evaluating the trust policy: %s is not the ARN of a role",
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

// addKeys sets the condition keys that do not belong to the issuer. It also sets the actions that
// session tags and a source identity require.
func (c *requestContext) addKeys() {
	nested, _ := c.Claims[tagsClaim].(map[string]any)
	transitive := claimValue(nested["transitive_tag_keys"])
	flat := claimValue(c.Claims[tagsClaim+"/transitive_tag_keys"])
	c.keys = map[string]contextValue{
		"aws:securetransport": {values: []string{"true"}}, // STS accepts HTTPS only
		"sts:externalid": {
			missingReason: "AssumeRoleWithWebIdentity does not support external IDs",
		},
		"sts:sourceidentity": claimValue(c.Claims[sourceIdentityClaim]),
		"sts:transitivetagkeys": {
			values:        append(transitive.values, flat.values...),
			unknownReason: cmp.Or(transitive.unknownReason, flat.unknownReason),
		},
	}
	c.addTags(nested)
	if c.Claims[sourceIdentityClaim] != nil {
		c.actions = append(c.actions, sourceIdentityAction)
	}
	if c.account != "" {
		c.keys["aws:federatedprovider"] = contextValue{values: []string{c.provider}}
	}
	if !c.Now.IsZero() {
		now, seconds := c.Now.UTC().Format(time.RFC3339), strconv.FormatInt(c.Now.Unix(), 10)
		c.keys["aws:currenttime"] = contextValue{values: []string{now}}
		c.keys["aws:epochtime"] = contextValue{values: []string{seconds}}
	}
	if c.SessionName != "" {
		c.keys["sts:rolesessionname"] = contextValue{values: []string{c.SessionName}}
	}
	if roles := claimValue(c.Claims[rolesClaim]); c.Role != "" && roles.unknownReason == "" {
		authorized := strconv.FormatBool(slices.Contains(roles.values, c.Role))
		c.keys["sts:roleauthorizedbyidp"] = contextValue{values: []string{authorized}}
	}
}

// addTags sets the condition keys of the session tags. A token contains the tags in one nested
// claim or in one claim for each tag.
func (c *requestContext) addTags(nested map[string]any) {
	var names contextValue
	add := func(name string, claim any) {
		if !isDecoded(name) {
			names.unknownReason = "the name of a tag contains an invalid character (U+FFFD)"
		}
		names.values = append(names.values, name)
		c.keys["aws:requesttag/"+strings.ToLower(name)] = claimValue(claim)
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
	slices.Sort(names.values)
	c.keys["aws:tagkeys"] = names
	if c.tagged = len(names.values) > 0; c.tagged {
		c.actions = append(c.actions, tagSessionAction)
	}
}

// lookup returns the value of a condition key. Keys are case-insensitive.
func (c requestContext) lookup(key string) contextValue {
	key = strings.ToLower(key)
	if claim, ok := strings.CutPrefix(key, strings.ToLower(c.issuer)+":"); ok {
		return c.issuerKey(claim)
	}
	if v, ok := c.keys[key]; ok {
		return v
	}
	vendor, name, ok := strings.Cut(key, ":")
	switch {
	case !ok || strings.ContainsAny(vendor, "./") || vendor == "arn" || vendor == "https":
		const reason = "the key does not belong to the token's issuer"
		return contextValue{neverPresent: true, missingReason: reason}
	case vendor == "aws" && strings.HasPrefix(name, "requesttag/"):
		return contextValue{}
	case vendor == "aws" && strings.HasPrefix(name, "principaltag/") && !c.tagged:
		return contextValue{missingReason: "the token has no session tags"}
	}
	return contextValue{unknownReason: "only AWS has the value of this key"}
}

// issuerKey returns the value of a condition key of the token's issuer.
func (c requestContext) issuerKey(name string) contextValue {
	if !c.platform.hasKey(name) {
		const reason = "AWS does not support this key for this issuer"
		v := contextValue{neverPresent: true, missingReason: reason}
		if _, ok := c.Claims[name]; ok {
			v.missingReason += ", although the token contains the claim"
		}
		return v
	}
	aud, azp := claimValue(c.Claims["aud"]), claimValue(c.Claims["azp"])
	switch {
	case name == "oaud":
		return aud
	case name != "aud":
	case len(azp.values) == 1 && c.issuer == "accounts.google.com": // its aud is in oaud
		return azp
	// https://github.com/aws/aws-sdk-net/issues/3071
	case len(azp.values)+len(azp.unknownReason) > 0 && !slices.Equal(aud.values, azp.values):
		const either = "the token contains both azp and aud, and AWS may compare either"
		both := append(aud.values, azp.values...)
		unknown := cmp.Or(aud.unknownReason, azp.unknownReason)
		return contextValue{values: both, ambiguousReason: either, unknownReason: unknown}
	}
	v := claimValue(c.Claims[name])
	if len(v.values) == 0 && v.unknownReason == "" {
		v.missingReason = "the token does not contain this claim"
	}
	return v
}

// claimValue returns the value of a claim, or the values of a claim that is a list.
func claimValue(claim any) (v contextValue) {
	list, ok := claim.([]any)
	if !ok && claim != nil {
		list = []any{claim}
	}
	for _, item := range list {
		var text string
		switch item := item.(type) {
		case string:
			text = item
			if !isDecoded(item) {
				v.unknownReason = "the claim contains an invalid character (U+FFFD)"
			}
		case bool:
			text = strconv.FormatBool(item)
		case json.Number, float64:
			text = fmt.Sprint(item)
			if f, ok := item.(float64); ok {
				text = strconv.FormatFloat(f, 'f', -1, 64)
			}
			if _, ok := parseNumber(text); !ok || strings.Contains(text, ".") {
				v.unknownReason = "the claim is not an integer of at most 15 digits"
			}
		default:
			v.unknownReason = "the claim is neither a string nor a list of strings"
			continue
		}
		v.values = append(v.values, text)
	}
	return v
}

// isDecoded reports whether all characters of a text were decoded. encoding/json replaces half of a
// surrogate pair, and a byte that is not UTF-8, by U+FFFD. Different texts can then become equal.
func isDecoded(text string) bool { return !strings.ContainsRune(text, utf8.RuneError) }
