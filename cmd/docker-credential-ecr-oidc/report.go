package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/oneline"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/trust"
)

// shape is the version of the report's JSON. A key that is added does not change it.
const shape = 1

// report is what doctor found; docs/doctor.md describes its JSON. No secret is in it: of a token it has the claims.
type report struct {
	Shape      int         `json:"shape"`
	Version    string      `json:"version"`
	Ready      bool        `json:"ready"` // a get would succeed for every registry
	Registries []diagnosis `json:"registries"`
}

// diagnosis is what was found for one registry.
type diagnosis struct {
	Registry string        `json:"registry,omitempty"`
	Ready    bool          `json:"ready"` // a get would succeed now; with --claims, the policy admits them
	Checks   []check       `json:"checks"`
	Role     string        `json:"role,omitempty"`         // the one that the token is to assume
	Session  string        `json:"session_name,omitempty"` // of that role's session
	Token    *tokenReport  `json:"token,omitempty"`
	Policy   *policyReport `json:"policy,omitempty"`
	Get      string        `json:"get,omitempty"` // the line that get would print
}

// check is one step, or one thing beside them.
type check struct {
	Name  string `json:"name"`
	State state  `json:"state"`
	Text  string `json:"text"`
	Next  string `json:"next,omitempty"` // what to type or to change

	common bool // to every registry
}

type state string

const (
	good    state = "ok"
	bad     state = "wrong"
	note    state = "note"    // it does not keep a get from succeeding, and somebody should know
	skipped state = "skipped" // it was not come to
	unsure  state = "unsure"  // of a finding in a policy; no check has it
)

type tokenReport struct {
	Issuer   string         `json:"issuer"`
	Subject  string         `json:"subject"`
	Audience []string       `json:"audience"`
	Claims   map[string]any `json:"claims"`
}

type policyReport struct {
	Verdict  *trust.Verdict    `json:"verdict,omitempty"`
	Smallest *trust.Suggestion `json:"smallest,omitempty"`
}

func (d *diagnosis) add(name string, s state, format string, args ...any) *check {
	d.Checks = append(d.Checks, check{Name: name, State: s, Text: fmt.Sprintf(format, args...)})
	return &d.Checks[len(d.Checks)-1]
}

// redactURLs removes user and password from every URL in the text, such as an endpoint's or a proxy's. It also removes
// them from a URL that cannot be parsed, which errors quote unchanged, and from one that was cut before the "@".
func (d *diagnosis) redactURLs() {
	userinfo := regexp.MustCompile(`://\S*(@|\.\.\.)`)
	redact := func(text *string) { *text = userinfo.ReplaceAllString(*text, "://***$1") }
	for i := range d.Checks {
		redact(&d.Checks[i].Text)
		redact(&d.Checks[i].Next)
	}
	redact(&d.Get)
}

// tokenOf reports on claims.
func tokenOf(claims map[string]any) *tokenReport {
	t := &tokenReport{Claims: claims, Issuer: text(claims["iss"]), Subject: text(claims["sub"])}
	t.Audience = []string{}
	switch aud := claims["aud"].(type) {
	case nil:
	case []any:
		for _, a := range aud {
			t.Audience = append(t.Audience, text(a))
		}
	default:
		t.Audience = append(t.Audience, text(aud))
	}
	return t
}

// text writes a claim as a person would.
func text(claim any) string {
	switch c := claim.(type) {
	case nil:
		return ""
	case string:
		return c
	}
	b, err := json.Marshal(claim)
	if err != nil {
		return "?"
	}
	return string(b)
}

// shown is outside text, fit for a terminal.
func shown(s string) string {
	if s == "" {
		return "(none)"
	}
	return oneline.Clean(s)
}

// json writes the report for programs, and for a job's log all the same.
func (r report) json() (string, error) {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(r); err != nil {
		return "", err
	}
	return harmless(b.String()), nil
}

// harmless escapes what in JSON would move the cursor of a terminal, or be obeyed by GitHub's runner anywhere in a line.
func harmless(text string) string {
	var plain strings.Builder
	for _, c := range strings.ReplaceAll(text, "##[", `#\u0023[`) {
		if c == '\n' || unicode.IsGraphic(c) && !unicode.Is(unicode.Cf, c) {
			plain.WriteRune(c)
			continue
		}
		for _, unit := range utf16.Encode([]rune{c}) {
			fmt.Fprintf(&plain, `\u%04x`, unit)
		}
	}
	return plain.String()
}

// text writes the report for people. What is the same for every registry is said with the first.
func (r report) text(colour bool) string {
	var b strings.Builder
	for i, d := range r.Registries {
		if i > 0 {
			b.WriteString("\n")
			d.Checks = slices.DeleteFunc(slices.Clone(d.Checks), func(c check) bool { return c.common })
		}
		d.text(&b, colour)
	}
	return b.String()
}

func (d diagnosis) text(b *strings.Builder, colour bool) {
	if d.Registry != "" {
		fmt.Fprintf(b, "%s\n\n", bold(d.Registry, colour))
	}
	width := 0
	for _, c := range d.Checks {
		width = max(width, utf8.RuneCountInString(c.Name))
	}
	indent := strings.Repeat(" ", width+4)
	for _, c := range d.Checks {
		fmt.Fprintf(b, "%s %-*s  %s\n", c.State.mark(colour), width, c.Name, strings.ReplaceAll(c.Text, "\n", "\n"+indent))
		if c.Next != "" {
			fmt.Fprintf(b, "%s→ %s\n", indent, c.Next)
		}
	}
	if d.Policy != nil {
		d.Policy.text(b, colour)
	}
	if d.Get != "" {
		fmt.Fprintf(b, "\n%s\n%s\n", bold("get would say:", colour), d.Get)
	}
}

func (p policyReport) text(b *strings.Builder, colour bool) {
	switch {
	case p.Verdict != nil:
		answer := map[trust.Result]string{
			trust.Yes:     "The trust policy admits this token.",
			trust.No:      "The trust policy does not admit this token:",
			trust.Unknown: "Whether the trust policy admits this token cannot be told from here:",
		}[p.Verdict.Admits]
		fmt.Fprintf(b, "\n%s\n", bold(answer, colour))
		for _, f := range p.Verdict.Findings { // the causes are first
			mark := map[trust.Level]state{trust.Cause: bad, trust.Danger: note, trust.Note: skipped}[f.Level]
			if f.Kind == trust.NotEvaluated {
				mark = unsure
			}
			fmt.Fprintf(b, "%s %s\n", mark.mark(colour), f.Text)
		}
		fmt.Fprintf(b, "\n%s", p.Verdict.Tree())
	case p.Smallest != nil:
		fmt.Fprintf(b, "\n%s\n%s\n", bold("The smallest trust policy that would admit this token:", colour), harmless(p.Smallest.Policy))
		if p.Smallest.Open != "" {
			fmt.Fprintf(b, "  %s\n", shown(p.Smallest.Open))
		}
		for _, w := range p.Smallest.Wider {
			fmt.Fprintf(b, "  with StringLike on sub, %s admits %s\n", shown(w.Subject), shown(w.Who))
		}
	}
}

func (s state) mark(colour bool) string {
	mark, code := "·", "2"
	switch s {
	case good:
		mark, code = "✓", "32"
	case bad:
		mark, code = "✗", "31"
	case note:
		mark, code = "!", "33"
	case unsure:
		mark, code = "?", "33"
	}
	return paint(mark, code, colour)
}

func bold(s string, colour bool) string { return paint(s, "1", colour) }

func paint(s, code string, colour bool) string {
	if !colour {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// coloured says whether stdout takes colours: a terminal does, unless NO_COLOR (https://no-color.org) or TERM=dumb
// says otherwise.
func (p program) coloured() bool {
	w := p.stdout
	if out, ok := w.(*output); ok {
		w = out.Writer
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && p.env.Get("NO_COLOR") == "" && p.env.Get("TERM") != "dumb"
}

// span writes a length of time for people: 42s, 4m30s, 1h5m, 12h.
func span(d time.Duration) string {
	unit := time.Second
	if d >= time.Hour {
		unit = time.Minute
	}
	s := d.Round(unit).String()
	for _, none := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, none) {
			s = s[:len(s)-2]
		}
	}
	return s
}

// list writes claims that are not said elsewhere and not empty, one on a line, by name.
func list(claims map[string]any) string {
	var lines []string
	for name, value := range claims {
		if !slices.Contains([]string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti"}, name) && text(value) != "" {
			lines = append(lines, oneline.Clean(name)+" = "+shown(text(value)))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
