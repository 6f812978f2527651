package emulator

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// policy is an IAM policy document, reduced to the elements that the tests use.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
type policy struct {
	Version   string
	ID        string `json:"Id"`
	Statement statements
}

type statement struct {
	Sid       string
	Effect    string
	Principal principals
	Action    stringList
	Resource  stringList
	Condition map[string]map[string]stringList
}

// policyRequest is a request that a policy allows or denies.
type policyRequest struct {
	action     string
	resource   string
	principals map[string][]string // the caller's names by type (AWS, Federated); nil if not evaluated
	context    map[string][]string // values by condition key, in lower case
}

// parsePolicy parses a document. It rejects elements that the emulator does not evaluate, so that
// no test passes because a condition was ignored.
func parsePolicy(text string) (*policy, error) {
	var p policy
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields() // NotAction, NotPrincipal, NotResource
	if err := d.Decode(&p); err != nil {
		return nil, fmt.Errorf("reading policy: %w", err)
	}
	for _, s := range p.Statement {
		if s.Effect != "Allow" && s.Effect != "Deny" {
			return nil, fmt.Errorf("reading policy: unknown effect %q", s.Effect)
		}
		for op := range s.Condition {
			if _, ok := parseOperator(op); !ok {
				return nil, fmt.Errorf("reading policy: operator %q is not supported", op)
			}
		}
	}
	return &p, nil
}

// allows reports whether the policy allows a request. A matching Deny overrides every Allow. A nil
// policy allows nothing.
func (p *policy) allows(request policyRequest) bool {
	if p == nil {
		return false
	}
	allowed := false
	for _, s := range p.Statement {
		if !s.applies(request) {
			continue
		}
		if s.Effect == "Deny" {
			return false
		}
		allowed = true
	}
	return allowed
}

func (s statement) applies(request policyRequest) bool {
	if !slices.ContainsFunc(s.Action, func(a string) bool {
		return like(strings.ToLower(a), strings.ToLower(request.action)) // action names are case-insensitive
	}) {
		return false
	}
	if request.principals != nil && !s.Principal.include(request.principals) {
		return false
	}
	if s.Resource != nil && !slices.ContainsFunc(s.Resource,
		func(r string) bool { return like(r, request.resource) }) {
		return false
	}
	for op, keys := range s.Condition {
		operator, _ := parseOperator(op)
		for key, wanted := range keys {
			if !operator.matches(request.context[strings.ToLower(key)], wanted) {
				return false
			}
		}
	}
	return true
}

// operator is a parsed condition operator.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
type operator struct {
	set      string // ForAnyValue, ForAllValues or empty
	negated  bool
	ifExists bool
	match    func(pattern, value string) bool
}

func parseOperator(name string) (o operator, ok bool) {
	if set, rest, found := strings.Cut(name, ":"); found {
		if set != "ForAnyValue" && set != "ForAllValues" {
			return o, false
		}
		o.set, name = set, rest
	}
	name, o.ifExists = strings.CutSuffix(name, "IfExists")
	o.negated = strings.HasPrefix(name, "StringNot")
	switch name {
	case "StringEquals", "StringNotEquals":
		o.match = func(p, v string) bool { return p == v }
	case "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase":
		o.match = strings.EqualFold
	case "StringLike", "StringNotLike":
		o.match = like
	default:
		return o, false
	}
	return o, true
}

// matches reports whether the request's values of a condition key satisfy the operator.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html
func (o operator) matches(values, wanted []string) bool {
	if len(values) == 0 { // the key is not in the request
		if o.set == "ForAnyValue" {
			return false
		}
		return o.negated || o.ifExists || o.set == "ForAllValues"
	}
	matchesValue := func(v string) bool {
		found := slices.ContainsFunc(wanted, func(p string) bool { return o.match(p, v) })
		return found != o.negated
	}
	// Without a set prefix, a negated operator must match all values, and any other operator at
	// least one.
	if o.set == "ForAllValues" || o.set == "" && o.negated {
		return !slices.ContainsFunc(values, func(v string) bool { return !matchesValue(v) })
	}
	return slices.ContainsFunc(values, matchesValue)
}

// like reports whether a value matches a pattern with IAM's wildcards: * for any number of
// characters, ? for exactly one.
func like(pattern, value string) bool {
	p := regexp.QuoteMeta(pattern)
	p = strings.NewReplacer(`\*`, `(?s:.*)`, `\?`, `(?s:.)`).Replace(p)
	ok, err := regexp.MatchString("^"+p+"$", value)
	return err == nil && ok
}

// stringList is a JSON value or an array of values. Conditions can also contain booleans and numbers.
type stringList []string

// UnmarshalJSON accepts a single value instead of a list, as IAM does.
func (l *stringList) UnmarshalJSON(b []byte) error {
	var values []any
	if b[0] != '[' {
		b = slices.Concat([]byte("["), b, []byte("]"))
	}
	if err := json.Unmarshal(b, &values); err != nil {
		return err
	}
	for _, v := range values {
		*l = append(*l, fmt.Sprint(v))
	}
	return nil
}

type statements []statement

// UnmarshalJSON accepts a single statement instead of a list, as IAM does.
func (s *statements) UnmarshalJSON(b []byte) error {
	if b[0] != '[' {
		b = slices.Concat([]byte("["), b, []byte("]"))
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields() // the setting of the outer decoder does not apply here
	return d.Decode((*[]statement)(s))
}

// principals are the principals of a statement by type.
type principals map[string]stringList

// UnmarshalJSON accepts "*" instead of an object: any principal.
func (p *principals) UnmarshalJSON(b []byte) error {
	if string(b) == `"*"` {
		*p = principals{"AWS": {"*"}, "Federated": {"*"}}
		return nil
	}
	return json.Unmarshal(b, (*map[string]stringList)(p))
}

// include reports whether the principals include a caller with these names.
func (p principals) include(caller map[string][]string) bool {
	for principalType, names := range caller {
		for _, n := range p[principalType] {
			if n == "*" || slices.Contains(names, n) {
				return true
			}
		}
	}
	return false
}
