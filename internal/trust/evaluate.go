package trust

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/oneline"
)

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

// String is the verdict for a person: each statement with its checks, and then the findings.
func (v Verdict) String() string {
	var b strings.Builder
	fmt.Fprintln(&b, map[Result]string{No: "refused", Unknown: "unknown", Yes: "admitted"}[v.Admits])
	b.WriteString(v.Tree())
	for _, f := range v.Findings {
		fmt.Fprintf(&b, "%s: %s%s\n", f.Level, f.Text, strings.TrimSuffix(" ("+f.At+")", " ()"))
	}
	return b.String()
}

// Tree is each statement with its checks, what each wants and has, over several lines.
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
	if fmt.Fprintf(b, "      has   %s\n", quoteAll(c.Got)); c.Why != "" {
		fmt.Fprintf(b, "      %s\n", c.Why)
	}
}

func mark(r Result) string { return [...]string{"✗", "?", "✓"}[r] }

// quote shows a piece of the policy or the token exactly, invisible characters and all, and harmless to a terminal; what
// GitHub's runner would obey is broken up, as oneline does it.
func quote(s string) string {
	if len(s) > oneline.Max {
		s = s[:oneline.Max] + "..."
	}
	return strings.ReplaceAll(fmt.Sprintf("%q", s), "##[", `#\x23[`)
}

// maxShown is how many values of one list are shown.
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

// show is quote for names of keys and operators, without the quotes.
func show(s string) string { return strings.Trim(quote(s), `"`) }
