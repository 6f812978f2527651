package cli

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/doctor"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/trust"
)

// reportText builds the text of a report.
type reportText struct {
	strings.Builder
	color   bool
	width   int // columns of the terminal; 0 if lines are not wrapped
	verbose bool
}

// summaries prints the summary of each registry, with the important checks below it, and a total. For
// saved claims it prints nothing, because policy prints the verdict.
func (t *reportText) summaries(r doctor.Report) {
	healthy := 0
	for _, d := range r.Registries {
		if d.Registry == "" {
			return
		}
		state := doctor.Wrong
		if d.Healthy() {
			state = doctor.OK
			healthy++
		}
		t.wrap(t.mark(state)+" ", 2, t.bold(d.Registry)+": "+d.Summary)
		var important []doctor.Check
		for _, c := range d.Checks {
			if c.Important {
				important = append(important, c)
			}
		}
		t.checks("  ", important)
	}
	if n := len(r.Registries); n > 1 {
		fmt.Fprintf(t, "\nDocker can log in to %d of %d registries.\n", healthy, n)
	}
	fmt.Fprintln(t)
}

// diagnosis prints the checks of one registry. For a failed check that summaries has printed, it prints
// "(see above)".
func (t *reportText) diagnosis(d doctor.Diagnosis) {
	var checks []doctor.Check
	var claims *doctor.Check
	for _, c := range d.Checks {
		switch {
		case c.Name == "claims":
			if !t.verbose {
				c.Text = fmt.Sprintf("%d more claims; --verbose prints them",
					strings.Count(c.Text, "\n")+1)
			}
			claims = &c
		case c.Important && c.State == doctor.Wrong:
			c.Text, c.Advice = "(see above)", ""
			checks = append(checks, c)
		case !c.Important:
			checks = append(checks, c)
		}
	}
	if claims != nil {
		checks = append(checks, *claims)
	}
	t.checks("", checks)
	if d.Policy != nil {
		t.policy(*d.Policy)
	}
	evaluated := d.Policy != nil && d.Policy.Verdict != nil || d.Registry == ""
	if d.Upcoming != nil && d.Upcoming.Policy != "" && (t.verbose || evaluated) {
		title := t.bold("A minimal trust policy that also admits the upcoming subject:")
		fmt.Fprintf(t, "\n%s\n%s", title, escapeJSON(d.Upcoming.Policy))
	}
	if d.Get != "" {
		fmt.Fprintf(t, "\n%s\n%s\n", t.bold("get would return:"), d.Get)
	}
}

// checks prints checks in columns. Each line begins with margin.
func (t *reportText) checks(margin string, checks []doctor.Check) {
	width := 0
	for _, c := range checks {
		width = max(width, utf8.RuneCountInString(c.Name))
	}
	column := len(margin) + width + 4
	indent := strings.Repeat(" ", column)
	for _, c := range checks {
		start := fmt.Sprintf("%s%s %-*s  ", margin, t.mark(c.State), width, c.Name)
		for line := range strings.SplitSeq(c.Text, "\n") {
			t.wrap(start, column, line)
			start = indent
		}
		if c.Advice != "" {
			t.advice(indent, column, c.Advice)
		}
	}
}

// advice prints the advice of a check. It does not wrap a command, so that you can copy it. A command
// that does not fit begins on a new line.
func (t *reportText) advice(indent string, column int, text string) {
	command := regexp.MustCompile(`(^|: )((aws|docker|docker-credential-ecr-oidc|sudo) \S.*)$`)
	m := command.FindStringSubmatchIndex(text)
	if t.width == 0 || m == nil || column+2+utf8.RuneCountInString(text) <= t.width {
		t.wrap(indent+"→ ", column+2, text)
		return
	}
	start := indent + "→ "
	if prose := strings.TrimSpace(text[:m[4]]); prose != "" {
		t.wrap(start, column+2, prose)
		start = indent + "  "
	}
	fmt.Fprintf(t, "%s%s\n", start, text[m[4]:])
}

// wrap prints start and text. The text begins at column. If it does not fit into the terminal, it is
// wrapped at spaces, and the next lines begin at the same column.
func (t *reportText) wrap(start string, column int, text string) {
	fmt.Fprint(t, start)
	at := column
	for i, word := range strings.Split(text, " ") {
		length := utf8.RuneCountInString(sgr.ReplaceAllString(word, ""))
		switch {
		case i == 0:
		case t.width > 0 && at+1+length > t.width:
			fmt.Fprint(t, "\n"+strings.Repeat(" ", column))
			at = column
		default:
			fmt.Fprint(t, " ")
			at++
		}
		fmt.Fprint(t, word)
		at += length
	}
	fmt.Fprint(t, "\n")
}

// sgr matches the escape sequences that style adds.
var sgr = regexp.MustCompile("\x1b\\[\\d*m")

func (t *reportText) policy(p doctor.Policy) {
	switch {
	case p.Verdict != nil:
		title := map[trust.Result]string{
			trust.Yes:     "The trust policy admits this token.",
			trust.No:      "The trust policy does not admit this token:",
			trust.Unknown: "Whether the trust policy admits this token cannot be determined:",
		}[p.Verdict.Admits]
		fmt.Fprintf(t, "\n%s\n", t.bold(title))
		for _, f := range p.Verdict.Findings { // causes come first
			t.wrap(t.mark(findingState(f))+" ", 2, f.Text)
		}
		fmt.Fprintf(t, "\n%s", p.Verdict.Tree())
	case p.Minimal != nil:
		title := t.bold("A minimal trust policy that admits this token:")
		fmt.Fprintf(t, "\n%s\n%s\n", title, escapeJSON(p.Minimal.Policy))
		if p.Minimal.Caveat != "" {
			t.wrap("  ", 2, safetext.Sanitize(p.Minimal.Caveat))
		}
		for _, w := range p.Minimal.Wider {
			t.wrap("  ", 2, fmt.Sprintf("with StringLike on sub, %s admits %s",
				safetext.Sanitize(w.Subject), safetext.Sanitize(w.Scope)))
		}
	}
}

// notEvaluated is the state of a finding about a condition that is not evaluated. No check has it.
const notEvaluated doctor.State = "not evaluated"

func findingState(f trust.Finding) doctor.State {
	switch {
	case f.Kind == trust.NotEvaluated:
		return notEvaluated
	case f.Level == trust.Cause:
		return doctor.Wrong
	case f.Level == trust.Danger:
		return doctor.Note
	}
	return doctor.Skipped
}

func (t *reportText) mark(s doctor.State) string {
	switch s {
	case doctor.OK:
		return t.style("✓", "32")
	case doctor.Wrong:
		return t.style("✗", "31")
	case doctor.Note:
		return t.style("!", "33")
	case notEvaluated:
		return t.style("?", "33")
	}
	return t.style("·", "2")
}

func (t *reportText) bold(s string) string { return t.style(s, "1") }

// style adds a color or style (SGR in ECMA-48), if colors are on.
func (t *reportText) style(s, code string) string {
	if !t.color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
