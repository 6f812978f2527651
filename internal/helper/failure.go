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

// The TTL of a failure in the cache. Without it, a job with many pulls would repeat a request that
// AWS or the CI has refused, and nerdctl would repeat it for each of the six forms of a host name.
// Other failures, such as a certificate that is not trusted, have no TTL: their cause is on this
// machine, and the user expects a correction to take effect at once.
const (
	finalTTL     = 10 * time.Second // AWS or the CI refused the request
	retryableTTL = 2 * time.Second
)

// encodedError is an error for another process, as JSON. Errors of the listed types keep their type,
// because packages explain and doctor handle them by type. None of them contains a secret.
type encodedError struct {
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

// encodeError encodes the error of a fetch for other processes. It returns nil for nil.
func encodeError(err error) *cache.Failure {
	if err == nil {
		return nil
	}
	m := encodedError{Text: err.Error()}
	f := &cache.Failure{}
	var responded, retryable bool
	switch {
	case errors.As(err, &m.AWS):
		f.Refused, responded, retryable = m.AWS.Refused(), m.AWS.Code != "", m.AWS.Retryable
	case errors.As(err, &m.Request):
		responded, retryable = m.Request.Responded, m.Request.Retryable
	case errors.As(err, &m.None), errors.As(err, &m.SSO), errors.As(err, &m.Profile),
		errors.As(err, &m.Process), errors.As(err, &m.Endpoint),
		errors.As(err, &m.Missing), errors.As(err, &m.Audience):
	}
	switch {
	case retryable:
		f.TTL = retryableTTL
	case responded:
		f.TTL = finalTTL
	}
	f.Payload, err = json.Marshal(m)
	if err != nil { // strings and booleans
		panic(err)
	}
	return f
}

// decodeError decodes the error of a fetch in this process or another one. r is the request of this
// process.
func decodeError(f *cache.Failure, r exchange.Request) error {
	var m encodedError
	if err := json.Unmarshal(f.Payload, &m); err != nil {
		return fmt.Errorf("getting a password: another version of this program failed, and this "+
			"version cannot read the cached error; retry in %v, or delete it: docker logout %s",
			finalTTL, r.Settings.Registry.Host)
	}
	switch {
	case m.AWS != nil:
		// The process that failed may have requested another registry.
		m.AWS.Registry, m.AWS.From = r.Settings.Registry, r.Roles.From
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
