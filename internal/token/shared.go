package token

import (
	"context"
	"net/http"
	"strings"
	"sync"
)

// Shared keeps the OIDC tokens that the logins of one process request, so that each token is
// requested once. A nil Shared keeps none. It may be used by several goroutines.
type Shared struct {
	mu     sync.Mutex
	tokens map[string]func() (string, error)
}

// Share returns the identity with a source that requests the token for an audience once, and
// returns the same token or error to every later caller. The first caller's context and client are
// used. Renew is not shared.
func (s *Shared) Share(id Identity) Identity {
	request := id.TokenSource.Token
	if s == nil || request == nil {
		return id
	}
	id.TokenSource.Token = func(ctx context.Context, client *http.Client, audience string) (string, error) {
		key := strings.Join([]string{id.Name, id.TokenSource.CacheKeyInput, audience}, "\n")
		return s.once(key, func() (string, error) { return request(ctx, client, audience) })()
	}
	return id
}

// once returns the function that requests the token for key.
func (s *Shared) once(key string, request func() (string, error)) func() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokens == nil {
		s.tokens = map[string]func() (string, error){}
	}
	if s.tokens[key] == nil {
		s.tokens[key] = sync.OnceValues(request)
	}
	return s.tokens[key]
}
