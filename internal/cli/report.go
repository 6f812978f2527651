package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"

	"golang.org/x/term"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/doctor"
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

// text returns the report as text: the summary of each registry, then the steps. Checks that are
// common to all registries appear only for the first.
func (p Program) text(r doctor.Report, verbose bool) string {
	t := &reportText{color: p.useColor(), width: p.terminalWidth(), verbose: verbose}
	for i, d := range r.Registries {
		if i > 0 {
			r.Registries[i].Checks = slices.DeleteFunc(slices.Clone(d.Checks),
				func(c doctor.Check) bool { return c.Common })
		}
	}
	t.summaries(r)
	for i, d := range r.Registries {
		if i > 0 {
			fmt.Fprintln(t)
		}
		if len(r.Registries) > 1 {
			fmt.Fprintf(t, "%s\n\n", t.bold(d.Registry))
		}
		t.diagnosis(d)
	}
	return t.String()
}

// terminal returns stdout if it is a terminal, or nil.
func (p Program) terminal() *os.File {
	w := p.Stdout
	if out, ok := w.(*output); ok {
		w = out.Writer
	}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// useColor reports whether to print colors: only on a terminal, and not if NO_COLOR
// (https://no-color.org) is set or TERM is dumb.
func (p Program) useColor() bool {
	return p.terminal() != nil && p.Env.Get("NO_COLOR") == "" && p.Env.Get("TERM") != "dumb"
}

// terminalWidth returns the number of columns of the terminal. It returns 0 if stdout is not a
// terminal, or if the terminal is too narrow to wrap text.
func (p Program) terminalWidth() int {
	f := p.terminal()
	if f == nil {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width < 40 {
		return 0
	}
	return width
}
