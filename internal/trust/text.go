package trust

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/oneline"
)

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
