// Package trust evaluates a role's trust policy against the claims of an OIDC token, and explains
// the result: which condition fails and why, and which other jobs the policy admits. It makes no
// network calls.
//
// The package does not have all information that AWS has. What it cannot evaluate is Unknown. A
// result that depends on an Unknown is never Yes.
package trust

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

const (
	// MaxPolicySize is the maximum size that Parse accepts, in bytes. It leaves room for white
	// space, escapes and the output of get-role around the document.
	MaxPolicySize = 64 << 10

	// maxPolicyLength is the maximum length of a trust policy in characters, not counting
	// white space.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
	maxPolicyLength = 8192
)

// Policy is a trust policy.
type Policy struct {
	Version    string // "2012-10-17"; or "2008-10-17" or empty, both without policy variables
	Role       string // ARN of the role; empty if the document does not contain it
	Statements []Statement
}

// Statement is one statement of a policy. Its lists keep the order of the document.
type Statement struct {
	Sid          string
	Effect       string // "Allow" or "Deny"
	Principals   []Principal
	NotPrincipal bool // Principals is the list of NotPrincipal
	Actions      []string
	NotAction    bool // Actions is the list of NotAction
	Conditions   []Condition

	path string // the position in the document, such as Statement[0]
}

// Principal is the name of a principal and its kind: "Federated", "AWS", "Service",
// "CanonicalUser", or "*" for all principals.
type Principal struct{ Kind, Name string }

// Condition is one condition key with its operator and values.
type Condition struct {
	Operator, Key string
	Values        []string

	path string // the position in the document
}

// Parse parses a trust policy. It accepts the document itself, the output of "aws iam get-role",
// the percent-encoded document of the IAM API, and the string in Terraform's state.
func Parse(text []byte) (Policy, error) {
	if len(text) > MaxPolicySize {
		return Policy{}, fmt.Errorf("reading the trust policy: its size of %d bytes "+
			"exceeds the limit of %d bytes", len(text), MaxPolicySize)
	}
	p, err := parse(string(text), 3)
	if err != nil {
		return Policy{}, fmt.Errorf("reading the trust policy: %w", err)
	}
	return p, nil
}

// parse parses a policy in any of the formats. A string can contain another document; depth is the
// number of such levels that it accepts.
func parse(text string, depth int) (Policy, error) {
	text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
	if strings.HasPrefix(text, "%") { // RFC 3986, according to the reference of GetRole
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
	p := r.readPolicy(n)
	p.Role = role
	return p, r.err
}

// readPolicy reads a policy document.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
func (r *jsonReader) readPolicy(n node) (p Policy) {
	if n.minLength() > maxPolicyLength {
		r.fail(n, "the policy exceeds IAM's limit of %d characters, not counting white space",
			maxPolicyLength)
	}
	r.objectMembers(n, "Version", "Id", "Statement")
	if version := n.member("Version"); version.path != "" {
		p.Version, _ = version.value.(string)
		if p.Version != "2012-10-17" && p.Version != "2008-10-17" {
			r.fail(version, "the supported versions are 2012-10-17 and 2008-10-17")
		}
	}
	if statements := n.member("Statement"); statements.path != "" {
		for _, item := range statements.elements() {
			p.Statements = append(p.Statements, r.readStatement(item))
		}
	}
	if len(p.Statements) == 0 {
		r.fail(n, "the policy has no statement")
	}
	return p
}

func (r *jsonReader) readStatement(n node) Statement {
	s := Statement{path: n.path}
	principals, actions := 0, 0
	members := r.objectMembers(n,
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
			s.Principals = r.readPrincipals(m.node)
		case "Action", "NotAction":
			actions++
			s.NotAction = m.name == "NotAction"
			s.Actions = r.readStrings(m.node)
		case "Condition":
			s.Conditions = r.readConditions(m.node)
		}
	}
	switch {
	case s.Effect != "Allow" && s.Effect != "Deny":
		r.fail(n, "the Effect must be \"Allow\" or \"Deny\"")
	case principals != 1:
		r.fail(n, "the statement must have one Principal or NotPrincipal")
	case len(s.Principals) == 0:
		r.fail(n, "the Principal is empty")
	case actions != 1:
		r.fail(n, "the statement must have one Action or NotAction")
	}
	return s
}

func (r *jsonReader) readPrincipals(n node) (principals []Principal) {
	if n.value == "*" {
		return []Principal{{"*", "*"}}
	}
	for _, kind := range r.objectMembers(n, "Federated", "AWS", "Service", "CanonicalUser") {
		for _, name := range r.readStrings(kind.node) {
			principals = append(principals, Principal{kind.name, name})
		}
	}
	return principals
}

func (r *jsonReader) readConditions(n node) (conditions []Condition) {
	for _, operator := range r.objectMembers(n) {
		keys := r.objectMembers(operator.node)
		for i, key := range keys {
			same := func(m member) bool { return strings.EqualFold(m.name, key.name) }
			if slices.ContainsFunc(keys[:i], same) {
				r.fail(key.node, "duplicate key; condition keys are case-insensitive")
			}
			values := r.readConditionValues(key.node)
			conditions = append(conditions, Condition{operator.name, key.name, values, key.path})
		}
	}
	return conditions
}
