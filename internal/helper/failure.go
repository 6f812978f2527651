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
	finalTTL     = 10 * time.Second // AWS or the CI refused the request, or the CI's response is invalid
	retryableTTL = 2 * time.Second
)

// encodedError is an error for another process, as JSON. Errors of the listed types keep their type,
// because packages explain and doctor handle them by type. None of them contains a secret.
type encodedError struct {
	Text          string
	AWS           *exchange.Error              `json:",omitempty"`
	NoCredentials *exchange.NoCredentialsError `json:",omitempty"`
	SignIn        *exchange.SignInError        `json:",omitempty"`
	Profile       *exchange.ProfileError       `json:",omitempty"`
	Process       *exchange.ProcessError       `json:",omitempty"`
	Endpoint      *exchange.EndpointError      `json:",omitempty"`
	Request       *token.RequestError          `json:",omitempty"`
	Missing       *token.MissingError          `json:",omitempty"`
	Audience      *token.AudienceError         `json:",omitempty"`
}

// encodeError encodes the error of a fetch for other processes. It returns nil for nil.
func encodeError(err error) *cache.Failure {
	if err == nil {
		return nil
	}
	encoded := encodedError{Text: err.Error()}
	f := &cache.Failure{}
	var final, retryable bool
	switch {
	case errors.As(err, &encoded.AWS):
		f.IdentityRefused, retryable = encoded.AWS.IdentityRefused(), encoded.AWS.Retryable
		final = encoded.AWS.Code != ""
	case errors.As(err, &encoded.Request):
		final, retryable = encoded.Request.Final, encoded.Request.Retryable
	case errors.As(err, &encoded.NoCredentials), errors.As(err, &encoded.SignIn),
		errors.As(err, &encoded.Profile), errors.As(err, &encoded.Process),
		errors.As(err, &encoded.Endpoint),
		errors.As(err, &encoded.Missing), errors.As(err, &encoded.Audience):
	}
	switch {
	case retryable:
		f.TTL = retryableTTL
	case final:
		f.TTL = finalTTL
	}
	f.Payload, err = json.Marshal(encoded)
	if err != nil { // strings and booleans
		panic(err)
	}
	return f
}

// decodeError decodes the error of a fetch in this process or another one. in is the input of this
// process.
func decodeError(f *cache.Failure, in exchange.LoginInput) error {
	var encoded encodedError
	if err := json.Unmarshal(f.Payload, &encoded); err != nil {
		return fmt.Errorf("getting a password: another version of this program failed, and this "+
			"version cannot read the cached error; retry in %v, or delete it: docker logout %s",
			finalTTL, in.Settings.Registry.Host)
	}
	switch {
	case encoded.AWS != nil:
		// The process that failed may have requested another registry.
		encoded.AWS.Registry, encoded.AWS.From = in.Settings.Registry, in.Roles.From
		return encoded.AWS
	case encoded.NoCredentials != nil:
		return encoded.NoCredentials
	case encoded.SignIn != nil:
		return encoded.SignIn
	case encoded.Profile != nil:
		return encoded.Profile
	case encoded.Process != nil:
		return encoded.Process
	case encoded.Endpoint != nil:
		return encoded.Endpoint
	case encoded.Request != nil:
		return encoded.Request
	case encoded.Missing != nil:
		return encoded.Missing
	case encoded.Audience != nil:
		return encoded.Audience
	}
	return errors.New(encoded.Text)
}
