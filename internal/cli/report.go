package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/doctor"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/trust"
)

// encodeReport returns the report as JSON that is safe to print in the log of a job.
func encodeReport(r doctor.Report) (string, error) {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(r); err != nil {
		return "", err
	}
	return escapeJSON(b.String()), nil
}

// escapeJSON escapes the characters in JSON that can control a terminal, and "##[", which starts a
// command of GitHub's runner anywhere in a line.
func escapeJSON(text string) string {
	var escaped strings.Builder
	for _, c := range strings.ReplaceAll(text, "##[", `#\u0023[`) {
		if c == '\n' || unicode.IsGraphic(c) && !unicode.Is(unicode.Cf, c) {
			escaped.WriteRune(c)
			continue
		}
		for _, unit := range utf16.Encode([]rune{c}) {
			fmt.Fprintf(&escaped, `\u%04x`, unit)
		}
	}
	return escaped.String()
}

// text returns the report as text. Checks that are common to all registries appear only in the
// first.
func (p Program) text(r doctor.Report) string {
	t := &reportText{color: p.hasColor()}
	for i, d := range r.Registries {
		if i > 0 {
			fmt.Fprintln(t)
			d.Checks = slices.DeleteFunc(slices.Clone(d.Checks),
				func(c doctor.Check) bool { return c.Common })
		}
		t.diagnosis(d)
	}
	return t.String()
}

// hasColor reports whether to print colors: only on a terminal, and not if NO_COLOR
// (https://no-color.org) is set or TERM is dumb.
func (p Program) hasColor() bool {
	w := p.Stdout
	if out, ok := w.(*output); ok {
		w = out.Writer
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && p.Env.Get("NO_COLOR") == "" &&
		p.Env.Get("TERM") != "dumb"
}

// reportText builds the text of a report.
type reportText struct {
	strings.Builder
	color bool
}

func (t *reportText) diagnosis(d doctor.Diagnosis) {
	if d.Registry != "" {
		fmt.Fprintf(t, "%s\n\n", t.bold(d.Registry))
	}
	width := 0
	for _, c := range d.Checks {
		width = max(width, utf8.RuneCountInString(c.Name))
	}
	indent := strings.Repeat(" ", width+4)
	for _, c := range d.Checks {
		text := strings.ReplaceAll(c.Text, "\n", "\n"+indent)
		fmt.Fprintf(t, "%s %-*s  %s\n", t.mark(c.State), width, c.Name, text)
		if c.Next != "" {
			fmt.Fprintf(t, "%s→ %s\n", indent, c.Next)
		}
	}
	if d.Policy != nil {
		t.policy(*d.Policy)
	}
	if d.Get != "" {
		fmt.Fprintf(t, "\n%s\n%s\n", t.bold("get would return:"), d.Get)
	}
}

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
			fmt.Fprintf(t, "%s %s\n", t.mark(findingState(f)), f.Text)
		}
		fmt.Fprintf(t, "\n%s", p.Verdict.Tree())
	case p.Minimal != nil:
		title := t.bold("A minimal trust policy that admits this token:")
		fmt.Fprintf(t, "\n%s\n%s\n", title, escapeJSON(p.Minimal.Policy))
		if p.Minimal.Caveat != "" {
			fmt.Fprintf(t, "  %s\n", safetext.Sanitize(p.Minimal.Caveat))
		}
		for _, w := range p.Minimal.Wider {
			fmt.Fprintf(t, "  with StringLike on sub, %s admits %s\n",
				safetext.Sanitize(w.Subject), safetext.Sanitize(w.Scope))
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
