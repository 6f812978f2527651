package doctor

import (
	"fmt"
	"regexp"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/trust"
)

// shape is the version of the report's JSON. A key that is added does not change it.
const shape = 1

// Report is the result of doctor. docs/doctor.md describes its JSON. It contains no secret; of a
// token it contains the claims.
type Report struct {
	Shape      int         `json:"shape"`
	Version    string      `json:"version"`
	Ready      bool        `json:"ready"` // a get would succeed for every registry
	Registries []Diagnosis `json:"registries"`
}

// NewReport returns the report of this version of the program.
func NewReport(version string, found ...Diagnosis) Report {
	r := Report{Shape: shape, Version: version, Ready: true, Registries: found}
	for _, d := range found {
		r.Ready = r.Ready && d.Ready
	}
	return r
}

// Diagnosis is the result for one registry, or for claims that were saved.
type Diagnosis struct {
	Registry string  `json:"registry,omitempty"`
	Ready    bool    `json:"ready"` // a get would succeed now; with --claims, the policy admits them
	Checks   []Check `json:"checks"`
	Role     string  `json:"role,omitempty"`         // the one that the token is to assume
	Session  string  `json:"session_name,omitempty"` // of that role's session
	Token    *Token  `json:"token,omitempty"`
	Policy   *Policy `json:"policy,omitempty"`
	Get      string  `json:"get,omitempty"` // the line that get would print
}

// Check is one step of a get, or a hint.
type Check struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	Text  string `json:"text"`           // may have several lines
	Next  string `json:"next,omitempty"` // what to type or to change

	Common bool `json:"-"` // it is the same for every registry
}

// State is the result of a check.
type State string

// The states of a check.
const (
	OK      State = "ok"
	Wrong   State = "wrong"
	Note    State = "note"    // does not keep a get from succeeding, but is worth knowing
	Skipped State = "skipped" // not reached
)

// Token is an OIDC token without its signature.
type Token struct {
	Issuer   string         `json:"issuer"`
	Subject  string         `json:"subject"`
	Audience []string       `json:"audience"`
	Claims   map[string]any `json:"claims"`
}

// Policy is the result of a trust policy, or the policy that would admit the token.
type Policy struct {
	Verdict  *trust.Verdict    `json:"verdict,omitempty"`
	Smallest *trust.Suggestion `json:"smallest,omitempty"`
}

func (d *Diagnosis) add(name string, s State, format string, args ...any) *Check {
	d.Checks = append(d.Checks, Check{Name: name, State: s, Text: fmt.Sprintf(format, args...)})
	return &d.Checks[len(d.Checks)-1]
}

// redactURLs removes user and password from every URL in the text, such as an endpoint's or a
// proxy's. It also removes them from a URL that cannot be parsed, which errors quote unchanged, and
// from one that was cut before the "@".
func (d *Diagnosis) redactURLs() {
	userinfo := regexp.MustCompile(`://\S*(@|\.\.\.)`)
	redact := func(text *string) { *text = userinfo.ReplaceAllString(*text, "://***$1") }
	for i := range d.Checks {
		redact(&d.Checks[i].Text)
		redact(&d.Checks[i].Next)
	}
	redact(&d.Get)
}
