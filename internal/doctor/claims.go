package doctor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/trust"
)

// Claims are the claims of a token that were saved in a job.
type Claims struct {
	Role, SessionName string // "" if not known
	Claims            map[string]any
}

// Evaluate evaluates the policy against saved claims. It makes no network call.
func (d Doctor) Evaluate(c Claims) Diagnosis {
	diagnosis := Diagnosis{Role: c.Role, SessionName: c.SessionName, Token: newToken(c.Claims)}
	t := diagnosis.Token
	diagnosis.add("token", OK, "issuer %s, subject %s, audience %s", display(t.Issuer),
		display(t.Subject), display(strings.Join(t.Audience, ", ")))
	d.evaluate(&diagnosis)
	if diagnosis.SessionName == "" && d.Policy != nil &&
		needsSessionName(*d.Policy, diagnosis.Policy) {
		diagnosis.add("policy", Note, "the policy has a condition on sts:RoleSessionName, but the "+
			"session name is not known").
			Advice = "set it with --session-name, or use the output of doctor --json from the job"
	}
	d.addUpcoming(&diagnosis)
	diagnosis.Ready = diagnosis.Policy != nil && diagnosis.Policy.Verdict != nil &&
		diagnosis.Policy.Verdict.Admits == trust.Yes
	return diagnosis
}

// ParseClaims parses the claims of a token from JSON: the claims themselves, or the output of
// doctor --json. From that output it returns the claims of the first registry that has a token. If
// regs is not empty, it considers only those registries. It returns an error for claims that are
// larger than any token that STS accepts.
func ParseClaims(text []byte, regs []registry.Registry) (Claims, error) {
	c, err := decodeClaims(text, regs)
	if err == nil {
		err = trust.CheckSize(c.Claims)
	}
	if err != nil {
		return Claims{}, err
	}
	return c, nil
}

func decodeClaims(text []byte, regs []registry.Registry) (Claims, error) {
	var claims map[string]any
	decoder := newDecoder(text)
	if err := decoder.Decode(&claims); err != nil {
		return Claims{}, errors.New("the input is not a JSON object")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Claims{}, errors.New("there is more text after the JSON object")
	}
	if _, ok := claims["iss"]; ok {
		return Claims{Claims: claims}, nil
	}
	var r struct { // only the keys that are used, so that a report of a later version can be read
		FormatVersion int `json:"format_version"`
		Registries    []struct {
			Registry, Role string
			SessionName    string `json:"session_name"`
			Token          *struct{ Claims map[string]any }
		}
	}
	if err := newDecoder(text).Decode(&r); err != nil || r.FormatVersion == 0 {
		return Claims{}, errors.New(`the input has no "iss", and is not the output of doctor --json`)
	}
	if r.FormatVersion != formatVersion {
		return Claims{}, fmt.Errorf("the report has format version %d, and this version of doctor "+
			"reads %d; use the version that printed the report", r.FormatVersion, formatVersion)
	}
	for _, entry := range r.Registries {
		reg, ok := registry.Parse(entry.Registry)
		if entry.Token == nil || len(regs) > 0 && !(ok && slices.Contains(regs, reg)) {
			continue
		}
		if entry.SessionName != "" {
			if err := config.CheckSessionName(entry.SessionName); err != nil {
				return Claims{}, fmt.Errorf("the session name in the report %w", err)
			}
		}
		return Claims{
			Role: entry.Role, SessionName: entry.SessionName, Claims: entry.Token.Claims,
		}, nil
	}
	return Claims{}, errors.New("the report contains no token: the job had no token, or the report " +
		"is for another registry")
}

// newDecoder returns a decoder that preserves all digits of a number.
func newDecoder(text []byte) *json.Decoder {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	return decoder
}
