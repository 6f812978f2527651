// Package trust evaluates a role's trust policy against the claims of a token, and explains the
// result: which condition fails and why, and who else the policy admits. It makes no network calls.
//
// AWS makes the decision, and this package does not have all information that AWS has. What it
// cannot evaluate is Unknown. A result that depends on an Unknown is never Yes.
package trust

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

const (
	// MaxPolicySize is the maximum size that Parse reads, in bytes. It leaves room for white space, for
	// escapes and for the response of get-role around the document.
	MaxPolicySize = 64 << 10

	// maxLength is the maximum length of a trust policy in characters, not counting white space.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
	maxLength = 8192
)

// Policy is a trust policy.
type Policy struct {
	Version    string // "2012-10-17", or a version without variables: "2008-10-17" or empty
	Role       string // ARN of the policy's role, if the document names it
	Statements []Statement
}

// Statement is one statement. Its lists have the order of the document.
type Statement struct {
	Sid          string
	Effect       string // "Allow" or "Deny"
	Principals   []Principal
	NotPrincipal bool // the principals are under NotPrincipal
	Actions      []string
	NotAction    bool // the actions are under NotAction
	Conditions   []Condition

	at string // its place in the document
}

// Principal is one name and its kind: "Federated", "AWS", "Service", "CanonicalUser", or "*" for
// everyone.
type Principal struct{ Kind, Name string }

// Condition is one key under one operator.
type Condition struct {
	Operator, Key string
	Values        []string

	at string
}

// Parse reads a trust policy. It accepts the document itself, the response of "aws iam get-role",
// the percent-encoded document of IAM's API, and the string in Terraform's state.
func Parse(text []byte) (Policy, error) {
	if len(text) > MaxPolicySize {
		return Policy{}, fmt.Errorf("reading the trust policy: it has %d bytes, "+
			"more than the %d that any could have", len(text), MaxPolicySize)
	}
	p, err := parse(string(text), 3)
	if err != nil {
		return Policy{}, fmt.Errorf("reading the trust policy: %w", err)
	}
	return p, nil
}

// parse reads a policy in any form. A string can contain another form, up to a depth.
func parse(text string, depth int) (Policy, error) {
	text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
	if strings.HasPrefix(text, "%") { // RFC 3986, as GetRole's reference says
		if plain, err := url.PathUnescape(text); err == nil {
			text = strings.TrimSpace(plain)
		}
	}
	r, n := readJSON(text)
	role := ""
	for r.err == nil {
		if s, ok := n.value.(string); ok && depth > 0 {
			p, err := parse(s, depth-1)
			if p.Role == "" {
				p.Role = role
			}
			return p, err
		}
		if arn, ok := n.member("Arn", "arn").value.(string); ok {
			role = arn
		}
		inner := n.member("Role", "AssumeRolePolicyDocument", "assume_role_policy")
		if inner.value == nil {
			break
		}
		n = inner
	}
	p := r.policy(n)
	p.Role = role
	return p, r.err
}

// policy reads a policy.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
func (r *reader) policy(n node) (p Policy) {
	if n.size() > maxLength {
		r.fail(n, "IAM accepts at most %d characters, white space apart, and it has more",
			maxLength)
	}
	r.object(n, "Version", "Id", "Statement")
	if version := n.member("Version"); version.at != "" {
		p.Version, _ = version.value.(string)
		if p.Version != "2012-10-17" && p.Version != "2008-10-17" {
			r.fail(version, "IAM knows the versions 2012-10-17 and 2008-10-17")
		}
	}
	if statements := n.member("Statement"); statements.at != "" {
		for _, item := range statements.list() {
			p.Statements = append(p.Statements, r.statement(item))
		}
	}
	if len(p.Statements) == 0 {
		r.fail(n, "it has no statement")
	}
	return p
}

func (r *reader) statement(n node) Statement {
	s := Statement{at: n.at}
	principals, actions := 0, 0
	members := r.object(n,
		"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Condition")
	for _, m := range members {
		switch m.name {
		case "Sid":
			s.Sid, _ = m.value.(string)
		case "Effect":
			s.Effect, _ = m.value.(string)
		case "Principal", "NotPrincipal":
			principals++
			s.NotPrincipal = m.name == "NotPrincipal"
			s.Principals = r.principals(m.node)
		case "Action", "NotAction":
			actions++
			s.NotAction = m.name == "NotAction"
			s.Actions = r.texts(m.node)
		case "Condition":
			s.Conditions = r.conditions(m.node)
		}
	}
	switch {
	case s.Effect != "Allow" && s.Effect != "Deny":
		r.fail(n, "its Effect must be \"Allow\" or \"Deny\"")
	case principals != 1:
		r.fail(n, "it must have a Principal")
	case len(s.Principals) == 0:
		r.fail(n, "its Principal names nobody")
	case actions != 1:
		r.fail(n, "it must have an Action")
	}
	return s
}

func (r *reader) principals(n node) (principals []Principal) {
	if n.value == "*" {
		return []Principal{{"*", "*"}}
	}
	for _, kind := range r.object(n, "Federated", "AWS", "Service", "CanonicalUser") {
		for _, name := range r.texts(kind.node) {
			principals = append(principals, Principal{kind.name, name})
		}
	}
	return principals
}

func (r *reader) conditions(n node) (conditions []Condition) {
	for _, operator := range r.object(n) {
		keys := r.object(operator.node)
		for i, key := range keys {
			same := func(m member) bool { return strings.EqualFold(m.name, key.name) }
			if slices.ContainsFunc(keys[:i], same) {
				r.fail(key.node, "it is there twice: to IAM, capitals make no difference in a key")
			}
			values := r.conditionValues(key.node)
			conditions = append(conditions, Condition{operator.name, key.name, values, key.at})
		}
	}
	return conditions
}
