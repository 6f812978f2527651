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

// Claims are a token's claims that were saved in a job.
type Claims struct {
	Role, Session string // "" when they are not known
	Claims        map[string]any
}

// Evaluate evaluates the policy against saved claims. It makes no network call.
func (d Doctor) Evaluate(c Claims) Diagnosis {
	found := Diagnosis{Role: c.Role, Session: c.Session, Token: tokenOf(c.Claims)}
	found.add("token", OK, "issuer %s, subject %s, audience %s", shown(found.Token.Issuer),
		shown(found.Token.Subject), shown(strings.Join(found.Token.Audience, ", ")))
	d.evaluate(&found)
	if found.Session == "" && d.Policy != nil && undecidedSession(*d.Policy, found.Policy) {
		found.add("policy", Note,
			"it has a condition on sts:RoleSessionName, and the session's name is not known").
			Next = "name it with --session-name, or take what doctor --json prints in the job"
	}
	found.Ready = found.Policy != nil && found.Policy.Verdict != nil &&
		found.Policy.Verdict.Admits == trust.Yes
	return found
}

// ReadClaims parses a token's claims from JSON: the claims themselves, or the output of doctor
// --json. From the output it returns the claims of the first registry that has a token. If regs is
// not empty, only those registries count. It returns an error for claims that are too large for a
// token.
func ReadClaims(text []byte, regs []registry.Registry) (Claims, error) {
	c, err := parseClaims(text, regs)
	if err == nil {
		err = trust.CheckSize(c.Claims)
	}
	if err != nil {
		return Claims{}, err
	}
	return c, nil
}

func parseClaims(text []byte, regs []registry.Registry) (Claims, error) {
	var claims map[string]any
	decoder := newDecoder(text)
	if err := decoder.Decode(&claims); err != nil {
		return Claims{}, errors.New("they are not a JSON object")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Claims{}, errors.New("there is more after the JSON object")
	}
	if _, ok := claims["iss"]; ok {
		return Claims{Claims: claims}, nil
	}
	var r struct { // only what is needed, so that the report of a later version can be read
		Shape      int
		Registries []struct {
			Registry, Role string
			Session        string `json:"session_name"`
			Token          *struct{ Claims map[string]any }
		}
	}
	if err := newDecoder(text).Decode(&r); err != nil || r.Shape == 0 {
		return Claims{}, errors.New(`they have no "iss", and are not what doctor --json prints`)
	}
	if r.Shape != shape {
		return Claims{}, fmt.Errorf("they are of shape %d, and this version knows %d; use the "+
			"version that printed them",
			r.Shape, shape)
	}
	for _, found := range r.Registries {
		reg, ok := registry.Parse(found.Registry)
		if found.Token == nil || len(regs) > 0 && !(ok && slices.Contains(regs, reg)) {
			continue
		}
		if found.Session != "" {
			if err := config.CheckSessionName(found.Session); err != nil {
				return Claims{}, fmt.Errorf("the session name in the report %w", err)
			}
		}
		return Claims{Role: found.Role, Session: found.Session, Claims: found.Token.Claims}, nil
	}
	return Claims{}, errors.New("the report has no token in it: the job had none, or it is of " +
		"another registry")
}

// newDecoder returns a decoder that keeps every digit of a number.
func newDecoder(text []byte) *json.Decoder {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	return decoder
}
