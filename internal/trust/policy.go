// Package trust says whether a role's trust policy would admit the bearer of a token, and if it would not, which of its
// conditions fails, and why. It asks nobody: the answer is made of the policy, the token's claims and the time alone.
//
// AWS decides, and this package does not know all that AWS knows. What it cannot evaluate it calls Unknown, and an
// unknown never turns into "admitted": see Result.
package trust

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

const (
	// MaxPolicy is the most that Parse reads, in bytes. It leaves room for white space, for escapes and
	// for the answer of get-role around the document.
	MaxPolicy = 64 << 10

	// longest is the greatest length of a trust policy in characters, white space apart.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
	longest = 8192
)

// Policy is a trust policy. Role is the ARN of the role it belongs to, where what was parsed named it.
type Policy struct {
	Version    string // "2012-10-17"; "2008-10-17", or empty, which means that, has no policy variables
	Role       string
	Statements []Statement
}

// Statement is one statement. Lists are as long as they were written, and in that order.
type Statement struct {
	Sid          string
	Effect       string // "Allow" or "Deny"
	Principals   []Principal
	NotPrincipal bool // the principals stood under NotPrincipal
	Actions      []string
	NotAction    bool // the actions stood under NotAction
	Conditions   []Condition

	at string // its place in the document
}

// Principal is one name and its kind: "Federated", "AWS", "Service", "CanonicalUser", or "*" for anyone.
type Principal struct{ Kind, Name string }

// Condition is one key under one operator.
type Condition struct {
	Operator, Key string
	Values        []string

	at string
}

// Parse reads a trust policy: the document itself, or the forms in which people have it at hand, which are the answer of
// "aws iam get-role", the percent-encoded document of IAM's API, and the string that Terraform's state keeps.
func Parse(text []byte) (Policy, error) {
	if len(text) > MaxPolicy {
		return Policy{}, fmt.Errorf("reading the trust policy: it has %d bytes, more than the %d that any could have", len(text), MaxPolicy)
	}
	p, err := parse(string(text), 3)
	if err != nil {
		return Policy{}, fmt.Errorf("reading the trust policy: %w", err)
	}
	return p, nil
}

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

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
func (r *reader) policy(n node) (p Policy) {
	if n.size > longest {
		r.fail(n, "IAM accepts at most %d characters, white space apart, and it has more", longest)
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
	for _, m := range r.object(n, "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Condition") {
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
			if slices.ContainsFunc(keys[:i], func(m member) bool { return strings.EqualFold(m.name, key.name) }) {
				r.fail(key.node, "it is there twice: to IAM, capitals make no difference in a key")
			}
			conditions = append(conditions, Condition{operator.name, key.name, r.conditionValues(key.node), key.at})
		}
	}
	return conditions
}
