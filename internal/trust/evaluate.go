package trust

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
)

// Result is the result of one check. The results are ordered: "and" is the minimum, and "or" is the
// maximum. An Unknown therefore counts only if the overall result depends on it.
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

func negate(r Result) Result { return Yes - r }

func resultOf(b bool) Result {
	if b {
		return Yes
	}
	return No
}

// Verdict is the result of evaluating a policy for a request.
type Verdict struct {
	Admits     Result            `json:"admits"` // whether the policy admits the request
	Actions    []ActionResult    `json:"actions"`
	Statements []StatementResult `json:"statements"`
	Findings   []Finding         `json:"findings"` // nil if there are none
}

// ActionResult reports whether the policy allows an action. The policy must allow all actions that
// the request requires.
type ActionResult struct {
	Action string `json:"action"`
	Allows Result `json:"allows"`
}

// StatementResult is the result of one statement. If the statement applies, an Allow admits the
// request and a Deny rejects it.
type StatementResult struct {
	At         string  `json:"at"` // the path in the document, for example Statement[0]
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
	Want     []string `json:"want"`               // from the policy; principals begin with their kind
	Got      []string `json:"got"`                // from the request; null if it has no value
	Holds    Result   `json:"holds"`
	Why      string   `json:"why,omitempty"` // if the values do not explain the result
}

// evaluatedStatement is a statement with the results of its evaluation.
type evaluatedStatement struct {
	Statement
	result          StatementResult
	conditions      []evaluatedCondition
	covers          []Result // for each action of the request, whether the statement covers it
	otherChecksHold Result   // whether the principal and all conditions hold
}

// applies reports whether the statement applies to the i-th of the request's actions.
func (e evaluatedStatement) applies(i int) Result { return min(e.otherChecksHold, e.covers[i]) }

// Evaluate reports whether the policy admits the request, and explains the result. It returns an
// error if the claims have no issuer or are too long, or if the role is not the ARN of a role.
func Evaluate(p Policy, r Request) (Verdict, error) {
	c, err := newRequestContext(r)
	if err != nil {
		return Verdict{}, err
	}
	c.supportsVariables = p.Version == "2012-10-17"
	v := Verdict{Admits: negate(c.excludesRole())}
	var statements []evaluatedStatement
	for _, s := range p.Statements {
		e := c.evaluateStatement(s)
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
		allows := min(allow, negate(deny))
		v.Actions = append(v.Actions, ActionResult{action, allows})
		v.Admits = min(v.Admits, allows)
	}
	v.Findings = c.findings(statements, v)
	return v, nil
}

// evaluateStatement evaluates one statement.
func (c requestContext) evaluateStatement(s Statement) evaluatedStatement {
	e := evaluatedStatement{Statement: s}
	e.result = StatementResult{At: s.path, Sid: s.Sid, Effect: s.Effect}
	e.result.Principal, e.result.Action = c.checkPrincipal(s), s.checkAction(assumeAction)
	e.otherChecksHold = e.result.Principal.Holds
	for _, cond := range s.Conditions {
		condition := c.evaluateCondition(cond)
		e.conditions = append(e.conditions, condition)
		e.result.Conditions = append(e.result.Conditions, condition.Check)
		e.otherChecksHold = min(e.otherChecksHold, condition.Holds)
	}
	for _, action := range c.actions {
		e.covers = append(e.covers, s.checkAction(action).Holds)
	}
	e.result.Applies = e.applies(0)
	return e
}

func (c requestContext) checkPrincipal(s Statement) Check {
	check := Check{Got: []string{"Federated " + c.provider}}
	if c.account == "" {
		check.Got = []string{"Federated " + c.issuer}
	}
	for _, p := range s.Principals {
		check.Want = append(check.Want, strings.TrimPrefix(p.Kind+" "+p.Name, "* "))
		switch {
		case p.Kind == "*":
			check.Holds = Yes
		// For some services, IAM's reference distinguishes "*" from {"AWS": "*"}. It does
		// not mention Federated.
		case p.Name == "*":
			check.Holds = max(check.Holds, Unknown)
			check.Why = "AWS does not document whether this wildcard " +
				"matches a web identity"
		// If the account is not known, the empty string matches every name.
		case p.Kind == "AWS" && s.Effect == "Deny" && strings.Contains(p.Name, c.account):
			check.Holds = max(check.Holds, Unknown)
			check.Why = "AWS does not document whether a Deny for an account " +
				"applies to the web identities of its providers"
		case p.Kind == "Federated" && c.isProvider(p.Name):
			check.Holds = Yes
		}
	}
	if s.NotPrincipal {
		check.Holds, check.Why = Unknown, "a trust policy cannot contain NotPrincipal"
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

// checkAction reports whether the statement covers an action. Actions are case-insensitive.
func (s Statement) checkAction(action string) Check {
	c := Check{Want: s.Actions, Got: []string{action}}
	c.Holds = resultOf(s.NotAction != slices.ContainsFunc(s.Actions, func(want string) bool {
		return parsePattern(strings.ToLower(want)).match(strings.ToLower(action))
	}))
	if s.NotAction {
		c.Why = "the statement covers all actions except these"
	}
	return c
}

// excludesRole reports whether the token lists the roles that it is valid for, and the list does
// not contain the request's role. STS then rejects the token before it evaluates the policy.
// https://awsteele.com/blog/2026/07/13/oidc-tokens-can-restrict-which-aws-roles-they-assume.html
func (c requestContext) excludesRole() Result {
	roles := claimValue(c.Claims[rolesClaim])
	if roles.unknownReason != "" || len(roles.values) > 0 && c.Role == "" {
		return Unknown
	}
	return resultOf(len(roles.values) > 0 && !slices.Contains(roles.values, c.Role))
}

// Tree returns the statements with their checks as text. Each check has the values of the policy
// and of the request.
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
			c.print(&b, escape(c.Operator)+" "+escape(c.Key))
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
	fmt.Fprintf(b, "      policy:  %s\n", quoteAll(c.Want))
	fmt.Fprintf(b, "      request: %s\n", quoteAll(c.Got))
	if c.Why != "" {
		fmt.Fprintf(b, "      %s\n", c.Why)
	}
}

func mark(r Result) string { return [...]string{"✗", "?", "✓"}[r] }

// quote quotes a part of the policy or the token for a message. The result is one line without
// control characters. Like package safetext, it also breaks GitHub's workflow commands.
func quote(s string) string {
	if len(s) > safetext.MaxSize {
		s = s[:safetext.MaxSize] + "..."
	}
	return strings.ReplaceAll(fmt.Sprintf("%q", s), "##[", `#\x23[`)
}

// maxShown is the number of values of one list that a message contains.
const maxShown = 100

func quoteAll(list []string) string {
	if len(list) == 0 {
		return "none"
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

// escape is quote without the quotes, for the names of keys and operators.
func escape(s string) string { return strings.Trim(quote(s), `"`) }
