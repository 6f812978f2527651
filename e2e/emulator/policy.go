package emulator

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// policy is an IAM policy document, as far as trust and session policies need it.
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
	Action    list
	Resource  list
	Condition map[string]map[string]list
}

// question is one request put to a policy.
type question struct {
	action   string
	resource string
	who      map[string][]string // names of the caller by kind (AWS, Federated); nil where policies name none
	context  map[string][]string // condition keys, lower case
}

// parsePolicy reads a document and refuses what the emulator would not evaluate
// as AWS does, so that no test passes on a condition that nobody looked at.
func parsePolicy(text string) (*policy, error) {
	var p policy
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields() // NotAction, NotPrincipal, NotResource
	if err := d.Decode(&p); err != nil {
		return nil, fmt.Errorf("reading policy: %w", err)
	}
	for _, s := range p.Statement {
		if s.Effect != "Allow" && s.Effect != "Deny" {
			return nil, fmt.Errorf("reading policy: effect %q", s.Effect)
		}
		for op := range s.Condition {
			if _, ok := parseOperator(op); !ok {
				return nil, fmt.Errorf("reading policy: operator %q is not supported", op)
			}
		}
	}
	return &p, nil
}

// allows evaluates the document: a Deny that applies wins over every Allow.
func (p *policy) allows(q question) bool {
	if p == nil {
		return false
	}
	allowed := false
	for _, s := range p.Statement {
		if !s.applies(q) {
			continue
		}
		if s.Effect == "Deny" {
			return false
		}
		allowed = true
	}
	return allowed
}

func (s statement) applies(q question) bool {
	if !slices.ContainsFunc(s.Action, func(a string) bool {
		return like(strings.ToLower(a), strings.ToLower(q.action)) // actions ignore case
	}) {
		return false
	}
	if q.who != nil && !s.Principal.names(q.who) {
		return false
	}
	if s.Resource != nil && !slices.ContainsFunc(s.Resource, func(r string) bool { return like(r, q.resource) }) {
		return false
	}
	for op, keys := range s.Condition {
		o, _ := parseOperator(op)
		for key, wanted := range keys {
			if !o.holds(q.context[strings.ToLower(key)], wanted) {
				return false
			}
		}
	}
	return true
}

// operator is a condition operator taken apart.
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

// holds reports whether the request's values of one key satisfy the operator.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html
func (o operator) holds(values, wanted []string) bool {
	if len(values) == 0 { // the key is not in the request
		if o.set == "ForAnyValue" {
			return false
		}
		return o.negated || o.ifExists || o.set == "ForAllValues"
	}
	one := func(v string) bool {
		found := slices.ContainsFunc(wanted, func(p string) bool { return o.match(p, v) })
		return found != o.negated
	}
	// Without a prefix a negated operator must hold for every value, an
	// affirmative one for some value; keys with one value see no difference.
	if o.set == "ForAllValues" || o.set == "" && o.negated {
		return !slices.ContainsFunc(values, func(v string) bool { return !one(v) })
	}
	return slices.ContainsFunc(values, one)
}

// like matches IAM's wildcards: * for any run of characters, ? for one.
func like(pattern, value string) bool {
	p := regexp.QuoteMeta(pattern)
	p = strings.NewReplacer(`\*`, `(?s:.*)`, `\?`, `(?s:.)`).Replace(p)
	ok, err := regexp.MatchString("^"+p+"$", value)
	return err == nil && ok
}

// list is a JSON string or array of strings; conditions may hold booleans and numbers too.
type list []string

// UnmarshalJSON accepts one value in place of a list, as IAM does.
func (l *list) UnmarshalJSON(b []byte) error {
	var many []any
	if b[0] != '[' {
		b = slices.Concat([]byte("["), b, []byte("]"))
	}
	if err := json.Unmarshal(b, &many); err != nil {
		return err
	}
	for _, v := range many {
		*l = append(*l, fmt.Sprint(v))
	}
	return nil
}

type statements []statement

// UnmarshalJSON accepts one statement in place of a list, as IAM does.
func (s *statements) UnmarshalJSON(b []byte) error {
	if b[0] != '[' {
		b = slices.Concat([]byte("["), b, []byte("]"))
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields() // the outer decoder's wish does not reach in here
	return d.Decode((*[]statement)(s))
}

// principals are the names in a statement by kind; "*" alone means anyone.
type principals map[string]list

// UnmarshalJSON accepts "*" in place of an object.
func (p *principals) UnmarshalJSON(b []byte) error {
	if string(b) == `"*"` {
		*p = principals{"AWS": {"*"}, "Federated": {"*"}}
		return nil
	}
	return json.Unmarshal(b, (*map[string]list)(p))
}

func (p principals) names(who map[string][]string) bool {
	for kind, names := range who {
		for _, n := range p[kind] {
			if n == "*" || slices.Contains(names, n) {
				return true
			}
		}
	}
	return false
}
