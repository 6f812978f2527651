package helper

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/cache"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// How long a failure is returned to later callers. AWS's refusal is the same for the many pulls of
// one job, and for the six forms of a name that nerdctl requests; a failure that may be over soon
// is retried earlier. Other failures, which a person is about to correct on this machine, are only
// for those that were waiting.
const (
	finalTTL     = 10 * time.Second
	retryableTTL = 2 * time.Second
)

// message is an error on its way to another process. The kinds that an adviser looks for arrive as
// what they were; nothing in any of them is secret.
type message struct {
	Text     string
	AWS      *exchange.Error              `json:",omitempty"`
	None     *exchange.NoCredentialsError `json:",omitempty"`
	SSO      *exchange.SignInError        `json:",omitempty"`
	Profile  *exchange.ProfileError       `json:",omitempty"`
	Process  *exchange.ProcessError       `json:",omitempty"`
	Endpoint *exchange.EndpointError      `json:",omitempty"`
	Request  *token.RequestError          `json:",omitempty"`
	Missing  *token.MissingError          `json:",omitempty"`
	Audience *token.AudienceError         `json:",omitempty"`
}

// encodeError encodes the error of a fetch for other processes; nil for nil.
func encodeError(err error) *cache.Failure {
	if err == nil {
		return nil
	}
	m := message{Text: err.Error()}
	f := &cache.Failure{}
	var answered, retryable bool
	switch {
	case errors.As(err, &m.AWS):
		f.Refused, answered, retryable = m.AWS.Refused(), m.AWS.Code != "", m.AWS.Retryable
	case errors.As(err, &m.Request):
		answered, retryable = m.Request.Responded, m.Request.Retryable
	case errors.As(err, &m.None), errors.As(err, &m.SSO), errors.As(err, &m.Profile),
		errors.As(err, &m.Process), errors.As(err, &m.Endpoint),
		errors.As(err, &m.Missing), errors.As(err, &m.Audience):
	}
	switch {
	case retryable:
		f.TTL = retryableTTL
	case answered:
		f.TTL = finalTTL
	}
	f.Payload, err = json.Marshal(m)
	if err != nil { // strings and booleans
		panic(err)
	}
	return f
}

// decodeError decodes the error that a fetch failed with, in this process or another one, for a
// caller with this request.
func decodeError(f *cache.Failure, r exchange.Request) error {
	var m message
	if err := json.Unmarshal(f.Payload, &m); err != nil { // sealed by another version of this program
		return fmt.Errorf("getting a password: another version of this program failed a moment ago, "+
			"and says why in a way that this one cannot read; try again in %v, or forget it: docker "+
			"logout %s", finalTTL, r.Settings.Registry.Host)
	}
	switch {
	case m.AWS != nil:
		m.AWS.Registry, m.AWS.From = r.Settings.Registry, r.Roles.From // who asked first is no matter
		return m.AWS
	case m.None != nil:
		return m.None
	case m.SSO != nil:
		return m.SSO
	case m.Profile != nil:
		return m.Profile
	case m.Process != nil:
		return m.Process
	case m.Endpoint != nil:
		return m.Endpoint
	case m.Request != nil:
		return m.Request
	case m.Missing != nil:
		return m.Missing
	case m.Audience != nil:
		return m.Audience
	}
	return errors.New(m.Text)
}
