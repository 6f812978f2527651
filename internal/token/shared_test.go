package token

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// Logins of one process share one request per audience and source.
func TestShared(t *testing.T) {
	var requests atomic.Int32
	identity := func(input string) Identity {
		return Identity{TokenSource: TokenSource{CacheKeyInput: input,
			Token: func(_ context.Context, _ *http.Client, audience string) (string, error) {
				requests.Add(1)
				return input + " " + audience, nil
			}}}
	}
	var s Shared
	var wg sync.WaitGroup
	for range 20 {
		for _, input := range []string{"one", "two"} {
			for _, audience := range []string{"a", "b"} {
				wg.Go(func() {
					token, err := s.Share(identity(input)).TokenSource.Token(t.Context(), nil, audience)
					if err != nil || token != input+" "+audience {
						t.Errorf("token %q, %v", token, err)
					}
				})
			}
		}
	}
	wg.Wait()
	if n := requests.Load(); n != 4 {
		t.Errorf("%d requests, want 4", n)
	}
	var none *Shared
	for range 2 {
		none.Share(identity("one")).TokenSource.Token(t.Context(), nil, "a")
	}
	if n := requests.Load(); n != 6 {
		t.Errorf("a nil Shared shares: %d requests, want 6", n)
	}
	if s.Share(Identity{}).OIDC() {
		t.Error("AWS credentials became an OIDC token")
	}
}
