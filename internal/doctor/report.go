package doctor

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/trust"
)

// formatVersion is the version of the report's JSON format. It changes when a key is renamed, is
// removed or changes its meaning, but not when a key is added.
const formatVersion = 1

// Report is the result of doctor. docs/doctor.md describes its JSON. It contains the claims of
// tokens, but no secret.
type Report struct {
	FormatVersion int         `json:"format_version"`
	Version       string      `json:"version"`
	Ready         bool        `json:"ready"` // every Diagnosis is Ready
	Registries    []Diagnosis `json:"registries"`
}

// Healthy reports whether Docker gets a login for each registry. For saved claims it reports whether
// the policy admits them.
func (r Report) Healthy() bool {
	return !slices.ContainsFunc(r.Registries, func(d Diagnosis) bool { return !d.Healthy() })
}

// NewReport returns a report of these diagnoses. version is the program's version line.
func NewReport(version string, diagnoses ...Diagnosis) Report {
	r := Report{FormatVersion: formatVersion, Version: version, Ready: true, Registries: diagnoses}
	for _, d := range diagnoses {
		r.Ready = r.Ready && d.Ready
	}
	return r
}

// Diagnosis is the result for one registry or for saved claims.
type Diagnosis struct {
	Registry    string  `json:"registry,omitempty"`
	Ready       bool    `json:"ready"`  // a get would succeed; with --claims, the policy admits them
	Docker      bool    `json:"docker"` // Docker calls this helper; false for saved claims
	Summary     string  `json:"summary,omitempty"`
	Checks      []Check `json:"checks"`
	Role        string  `json:"role,omitempty"`         // the role that the token assumes
	SessionName string  `json:"session_name,omitempty"` // of the role session
	Token       *Token  `json:"token,omitempty"`
	Policy      *Policy `json:"policy,omitempty"`
	// Get is what get would return: its error, or a description of the login.
	Get string `json:"get,omitempty"`

	Upcoming *Upcoming `json:"upcoming,omitempty"` // nil if the subject does not change
}

// Healthy is Report.Healthy for one registry.
func (d Diagnosis) Healthy() bool { return d.Ready && (d.Docker || d.Registry == "") }

// Check is the result of one step of a get, or a hint.
type Check struct {
	Name   string `json:"name"`
	State  State  `json:"state"`
	Text   string `json:"text"`           // may have several lines
	Advice string `json:"next,omitempty"` // what the user can do

	Common    bool `json:"-"` // the check is the same for every registry
	Important bool `json:"-"` // the check belongs directly below the summary
}

// State is the result of a check.
type State string

// The states of a check.
const (
	OK      State = "ok"
	Wrong   State = "wrong"   // the check failed
	Note    State = "note"    // a remark; does not prevent a login
	Skipped State = "skipped" // not reached
)

// Token is an OIDC token without its signature.
type Token struct {
	Issuer   string         `json:"issuer"`
	Subject  string         `json:"subject"`
	Audience []string       `json:"audience"`
	Claims   map[string]any `json:"claims"`
}

// Policy is the verdict of a trust policy on the token, or a minimal policy that admits the token.
// One of its fields is not nil.
type Policy struct {
	Verdict *trust.Verdict    `json:"verdict,omitempty"`
	Minimal *trust.Suggestion `json:"minimal,omitempty"`
}

// Upcoming is the subject that a GitHub job has after its repository is renamed or transferred, or
// opts in to immutable subjects.
type Upcoming struct {
	Subject string `json:"subject"`
	Policy  string `json:"policy,omitempty"` // admits both subjects; "" if none is suggested
}

// add appends a check and returns a pointer to it, which is valid until the next add.
func (d *Diagnosis) add(name string, s State, format string, args ...any) *Check {
	d.Checks = append(d.Checks, Check{Name: name, State: s, Text: fmt.Sprintf(format, args...)})
	return &d.Checks[len(d.Checks)-1]
}

// redactURLs removes the user and the password from every URL in the diagnosis, such as the URL of
// an endpoint or a proxy. It also removes them from a URL that cannot be parsed, which errors quote
// unchanged, and from a URL that was truncated before the "@".
func (d *Diagnosis) redactURLs() {
	userinfo := regexp.MustCompile(`://\S*(@|\.\.\.)`)
	redact := func(text *string) { *text = userinfo.ReplaceAllString(*text, "://***$1") }
	for i := range d.Checks {
		redact(&d.Checks[i].Text)
		redact(&d.Checks[i].Advice)
	}
	redact(&d.Get)
}
