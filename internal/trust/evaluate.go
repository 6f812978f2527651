package trust

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
)

// Result is the result of one check. The results are ordered so that "and" is the minimum and "or"
// the maximum. An Unknown therefore counts only if the overall result depends on it.
type Result int8

// The results.
const (
	No Result = iota
	Unknown
	Yes
)

func (r Result) String() string { return [...]string{"no", "unknown", "yes"}[r] }

// MarshalText returns "no", "unknown" or "yes", for JSON.
func (r Result) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

func not(r Result) Result { return Yes - r }

func is(b bool) Result {
	if b {
		return Yes
	}
	return No
}

// Verdict is the result of evaluating a policy for a request: whether the policy admits it, the
// results of each statement, and findings about them.
type Verdict struct {
	Admits     Result            `json:"admits"`
	Actions    []ActionResult    `json:"actions"`
	Statements []StatementResult `json:"statements"`
	Findings   []Finding         `json:"findings"`
}

// ActionResult reports whether the policy allows one of the actions that the request needs. The
// policy must allow all of them.
type ActionResult struct {
	Action string `json:"action"`
	Allows Result `json:"allows"`
}

// StatementResult is the result of one statement. An Allow that applies admits the request, and a
// Deny that applies refuses it.
type StatementResult struct {
	At         string  `json:"at"`
	Sid        string  `json:"sid,omitempty"`
	Effect     string  `json:"effect"`
	Applies    Result  `json:"applies"` // to sts:AssumeRoleWithWebIdentity
	Principal  Check   `json:"principal"`
	Action     Check   `json:"action"`
	Conditions []Check `json:"conditions,omitempty"`
}

// Check is one requirement of a statement. A statement applies if all of them hold.
type Check struct {
	Operator string   `json:"operator,omitempty"` // of a condition
	Key      string   `json:"key,omitempty"`      // of a condition
	Want     []string `json:"want"`               // as in the policy; a principal follows its kind
	Got      []string `json:"got"`                // what AWS sees; null if it sees nothing
	Holds    Result   `json:"holds"`
	Why      string   `json:"why,omitempty"` // if the values do not explain the result
}

// evaluated is a statement with the results of its evaluation. Every finding is based on it.
type evaluated struct {
	Statement
	result     StatementResult
	conditions []evaluatedCondition
	actions    []Result // whether the statement is for each of the request's actions
	others     Result   // whether the principal and all conditions hold
}

// applies reports whether the statement applies to the i-th of the request's actions.
func (e evaluated) applies(i int) Result { return min(e.others, e.actions[i]) }

// Evaluate reports whether the policy admits the request. It returns an error if the request cannot
// be evaluated against any policy.
func Evaluate(p Policy, r Request) (Verdict, error) {
	c, err := newContext(r)
	if err != nil {
		return Verdict{}, err
	}
	c.variables = p.Version == "2012-10-17"
	v := Verdict{Admits: not(c.otherRole())}
	var statements []evaluated
	for _, s := range p.Statements {
		e := c.statement(s)
		statements = append(statements, e)
		v.Statements = append(v.Statements, e.result)
	}
	for i, action := range c.actions {
		allow, deny := No, No
		for _, s := range statements {
			if s.Effect == "Allow" {
				allow = max(allow, s.applies(i))
			} else {
				deny = max(deny, s.applies(i))
			}
		}
		allows := min(allow, not(deny))
		v.Actions = append(v.Actions, ActionResult{action, allows})
		v.Admits = min(v.Admits, allows)
	}
	v.Findings = c.findings(statements, v)
	return v, nil
}

// statement evaluates one statement.
func (c requestContext) statement(s Statement) evaluated {
	e := evaluated{Statement: s, result: StatementResult{At: s.at, Sid: s.Sid, Effect: s.Effect}}
	e.result.Principal, e.result.Action = c.principal(s), s.check(assume)
	e.others = e.result.Principal.Holds
	for _, cond := range s.Conditions {
		condition := c.condition(cond)
		e.conditions = append(e.conditions, condition)
		e.result.Conditions = append(e.result.Conditions, condition.Check)
		e.others = min(e.others, condition.Holds)
	}
	for _, action := range c.actions {
		e.actions = append(e.actions, s.check(action).Holds)
	}
	e.result.Applies = e.applies(0)
	return e
}

func (c requestContext) principal(s Statement) Check {
	check := Check{Got: []string{"Federated " + c.provider}}
	if c.account == "" {
		check.Got = []string{"Federated " + c.issuer}
	}
	for _, p := range s.Principals {
		check.Want = append(check.Want, strings.TrimPrefix(p.Kind+" "+p.Name, "* "))
		switch {
		case p.Kind == "*":
			check.Holds = Yes
		// For some services, IAM's reference distinguishes "*" from {"AWS": "*"}. It does not
		// mention Federated.
		case p.Name == "*":
			check.Holds = max(check.Holds, Unknown)
			check.Why = "AWS does not say whether this wildcard stands for a web identity"
		// An unknown account is empty, and every name contains it.
		case p.Kind == "AWS" && s.Effect == "Deny" && strings.Contains(p.Name, c.account):
			check.Holds = max(check.Holds, Unknown)
			check.Why = "AWS does not say whether denying an account " +
				"denies the web identities of its providers"
		case p.Kind == "Federated" && c.isProvider(p.Name):
			check.Holds = Yes
		}
	}
	if s.NotPrincipal {
		check.Holds, check.Why = Unknown, "IAM supports no NotPrincipal in a trust policy"
	}
	if check.Holds == Yes {
		check.Why = ""
	}
	return check
}

// isProvider reports whether a Federated principal is the provider of the token's issuer in the
// role's account.
func (c requestContext) isProvider(principal string) bool {
	part := strings.SplitN(principal, ":", 6)
	if c.account == "" && !c.platform.builtIn && len(part) == 6 {
		return principal == providerARN(part[1], part[4], c.issuer)
	}
	return principal == c.provider
}

// check reports whether the statement is for an action. Actions ignore capitals.
func (s Statement) check(action string) Check {
	c := Check{Want: s.Actions, Got: []string{action}}
	c.Holds = is(s.NotAction != slices.ContainsFunc(s.Actions, func(want string) bool {
		return like(runes(strings.ToLower(want)), strings.ToLower(action))
	}))
	if s.NotAction {
		c.Why = "the statement is for all actions but these"
	}
	return c
}

// otherRole is Yes if the token names the roles that it is for, and the request's role is not one
// of them. STS then refuses the token before it evaluates the policy.
// https://awsteele.com/blog/2026/07/13/oidc-tokens-can-restrict-which-aws-roles-they-assume.html
func (c requestContext) otherRole() Result {
	roles := valueOf(c.Claims[rolesClaim])
	if roles.unknown != "" || len(roles.all) > 0 && c.Role == "" {
		return Unknown
	}
	return is(len(roles.all) > 0 && !slices.Contains(roles.all, c.Role))
}

// Tree returns each statement with its checks, and the wanted and actual values of each check.
func (v Verdict) Tree() string {
	var b strings.Builder
	for _, s := range v.Statements {
		fmt.Fprintf(&b, "%s %s", mark(s.Applies), s.At)
		if s.Sid != "" {
			fmt.Fprintf(&b, " %s", quote(s.Sid))
		}
		fmt.Fprintf(&b, ": %s\n", s.Effect)
		s.Principal.print(&b, "Principal")
		s.Action.print(&b, "Action")
		for _, c := range s.Conditions {
			c.print(&b, show(c.Operator)+" "+show(c.Key))
		}
	}
	return b.String()
}

func (c Check) print(b *strings.Builder, name string) {
	if c.Holds == Yes && c.Why == "" && slices.Equal(c.Want, c.Got) {
		fmt.Fprintf(b, "  %s %s: %s\n", mark(c.Holds), name, quoteAll(c.Want))
		return
	}
	fmt.Fprintf(b, "  %s %s\n", mark(c.Holds), name)
	fmt.Fprintf(b, "      wants %s\n", quoteAll(c.Want))
	fmt.Fprintf(b, "      has   %s\n", quoteAll(c.Got))
	if c.Why != "" {
		fmt.Fprintf(b, "      %s\n", c.Why)
	}
}

func mark(r Result) string { return [...]string{"✗", "?", "✓"}[r] }

// quote returns a part of the policy or the token as one line that shows invisible characters and
// is harmless to a terminal. Like safetext, it breaks up what GitHub's runner would obey.
func quote(s string) string {
	if len(s) > safetext.MaxSize {
		s = s[:safetext.MaxSize] + "..."
	}
	return strings.ReplaceAll(fmt.Sprintf("%q", s), "##[", `#\x23[`)
}

// maxShown is the number of values of one list that are shown.
const maxShown = 100

func quoteAll(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	var quoted []string
	for _, s := range list[:min(len(list), maxShown)] {
		quoted = append(quoted, quote(s))
	}
	text := strings.Join(quoted, ", ")
	if more := len(list) - maxShown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// show returns quote without the quotes, for the names of keys and operators.
func show(s string) string { return strings.Trim(quote(s), `"`) }
