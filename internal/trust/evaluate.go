package trust

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Request is who asks for the role.
type Request struct {
	Role    string         // the role's ARN; empty when it is not known, and then no provider's account is compared
	Claims  map[string]any // the token's claims, as encoding/json decodes them; "iss" is the issuer
	Now     time.Time      // for conditions on the time; the zero time leaves them unknown
	Session string         // the role session's name; empty leaves conditions on it unknown
}

// Result is the answer to one question. The order makes "and" the smaller and "or" the greater of two answers, so that
// an unknown counts only where the answer hangs on it.
type Result int8

// The three answers.
const (
	No Result = iota
	Unknown
	Yes
)

func (r Result) String() string { return [...]string{"no", "unknown", "yes"}[r] }

// MarshalText makes JSON say "no", "unknown" and "yes".
func (r Result) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

func not(r Result) Result { return Yes - r }

func is(b bool) Result {
	if b {
		return Yes
	}
	return No
}

// Verdict is what a policy says to a request: whether it admits it, each of its statements, and what there is to say
// of them. It prints as a tree.
type Verdict struct {
	Admits     Result            `json:"admits"`
	Actions    []ActionResult    `json:"actions"`
	Statements []StatementResult `json:"statements"`
	Findings   []Finding         `json:"findings"`
}

// ActionResult says whether the policy allows one of the actions that the request needs; it must allow them all.
type ActionResult struct {
	Action string `json:"action"`
	Allows Result `json:"allows"`
}

// StatementResult is one statement taken apart. An Allow that applies admits, a Deny that applies refuses.
type StatementResult struct {
	At         string  `json:"at"`
	Sid        string  `json:"sid,omitempty"`
	Effect     string  `json:"effect"`
	Applies    Result  `json:"applies"` // to sts:AssumeRoleWithWebIdentity
	Principal  Check   `json:"principal"`
	Action     Check   `json:"action"`
	Conditions []Check `json:"conditions,omitempty"`
}

// Check is one thing that must hold for a statement to apply.
type Check struct {
	Operator string   `json:"operator,omitempty"` // of a condition
	Key      string   `json:"key,omitempty"`      // of a condition
	Want     []string `json:"want"`               // as the policy has them; a principal with its kind before it
	Got      []string `json:"got"`                // what AWS sees; none when it sees nothing
	Holds    Result   `json:"holds"`
	Why      string   `json:"why,omitempty"` // when the values do not tell
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

// builtIn are the issuers that a policy names without a provider in the account.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-federated-web-identity
var builtIn = []string{"accounts.google.com", "cognito-identity.amazonaws.com", "graph.facebook.com", "www.amazon.com"}

func providerARN(partition, account, issuer string) string {
	return "arn:" + partition + ":iam::" + account + ":oidc-provider/" + issuer
}

// Evaluate says whether the policy would admit the request. The error is for a request that cannot be put to any policy.
func Evaluate(p Policy, r Request) (Verdict, error) {
	a, err := r.ask()
	if err != nil {
		return Verdict{}, err
	}
	a.variables = p.Version == "2012-10-17"
	v := Verdict{Admits: not(a.otherRole())}
	for _, s := range p.Statements {
		v.Statements = append(v.Statements, a.statement(s))
	}
	for _, action := range a.actions {
		allow, deny := No, No
		for i, s := range v.Statements {
			applies := min(s.Principal.Holds, a.action(p.Statements[i], action).Holds, all(s.Conditions))
			if s.Effect == "Allow" {
				allow = max(allow, applies)
			} else {
				deny = max(deny, applies)
			}
		}
		allows := min(allow, not(deny))
		v.Actions = append(v.Actions, ActionResult{action, allows})
		v.Admits = min(v.Admits, allows)
	}
	v.Findings = a.findings(p, v)
	return v, nil
}

// all is Yes when every check holds; of none it is Yes too.
func all(checks []Check) Result {
	result := Yes
	for _, c := range checks {
		result = min(result, c.Holds)
	}
	return result
}

func (a asking) statement(s Statement) StatementResult {
	r := StatementResult{At: s.at, Sid: s.Sid, Effect: s.Effect, Principal: a.principal(s), Action: a.action(s, assume)}
	for _, c := range s.Conditions {
		r.Conditions = append(r.Conditions, a.condition(c))
	}
	r.Applies = min(r.Principal.Holds, r.Action.Holds, all(r.Conditions))
	return r
}

func (a asking) principal(s Statement) Check {
	c := Check{Got: []string{"Federated " + a.provider}}
	if a.account == "" {
		c.Got = []string{"Federated " + a.issuer}
	}
	for _, p := range s.Principals {
		c.Want = append(c.Want, strings.TrimPrefix(p.Kind+" "+p.Name, "* "))
		switch {
		case p.Kind == "*":
			c.Holds = Yes
		case p.Name == "*": // IAM's reference tells "*" alone apart from {"AWS": "*"} for some services, and is silent on Federated
			c.Holds = max(c.Holds, Unknown)
			c.Why = "AWS does not say whether this wildcard stands for a web identity"
		case p.Kind == "AWS" && s.Effect == "Deny" && strings.Contains(p.Name, a.account): // any, where ours is not known
			c.Holds = max(c.Holds, Unknown)
			c.Why = "AWS does not say whether denying an account denies the web identities of its providers"
		case p.Kind == "Federated" && a.names(p.Name):
			c.Holds = Yes
		}
	}
	if s.NotPrincipal {
		c.Holds, c.Why = Unknown, "IAM supports no NotPrincipal in a trust policy"
	}
	if c.Holds == Yes {
		c.Why = ""
	}
	return c
}

// names reports whether a Federated principal is the issuer's provider in the role's account.
func (a asking) names(principal string) bool {
	if part := strings.SplitN(principal, ":", 6); a.account == "" && a.provider != a.issuer && len(part) == 6 {
		return principal == providerARN(part[1], part[4], a.issuer)
	}
	return principal == a.provider
}

func (a asking) action(s Statement, action string) Check {
	c := Check{Want: s.Actions, Got: []string{action}}
	c.Holds = is(s.NotAction != slices.ContainsFunc(s.Actions, func(want string) bool {
		return like(runes(strings.ToLower(want)), strings.ToLower(action)) // capitals make no difference here
	}))
	if s.NotAction {
		c.Why = "the statement is for all actions but these"
	}
	return c
}

// otherRole is Yes when the token names the roles that it is for, and this is none of them: STS then refuses it before
// it looks at the policy. https://awsteele.com/blog/2026/07/13/oidc-tokens-can-restrict-which-aws-roles-they-assume.html
func (a asking) otherRole() Result {
	roles := valueOf(a.Claims[rolesClaim])
	if roles.unknown != "" || len(roles.all) > 0 && a.Role == "" {
		return Unknown
	}
	return is(len(roles.all) > 0 && !slices.Contains(roles.all, a.Role))
}
