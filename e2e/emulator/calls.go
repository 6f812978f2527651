package emulator

import (
	"net/http"
	"net/url"
	"time"
)

// Call is one request that the emulator received.
type Call struct {
	// Service is oidc (the token and discovery endpoints of all CIs), sts, ecr, ecr-public, sso (the
	// access portal and its OIDC service), signin, registry or connect.
	Service     string
	Host        string
	Path        string // of the URL; distinguishes the token endpoints of GitHub jobs
	Op          string // the name of the API operation; for registries, the HTTP method
	Detail      string // depends on the service: the audience, the role or the path
	Caller      string // ARN of the authenticated principal; empty if there is none
	Credentials string // registry only: empty if none were sent, else "valid" or "invalid"
	Status      int    // HTTP status; 0 if no response was sent
	Duration    time.Duration
	At          time.Time   // when the request arrived, by the machine's clock
	Header      http.Header // User-Agent only
	Form        url.Values  // parameters of an STS call, without the token

	Throttled bool // rejected because of the limit set by Throttle
}

// Calls returns the calls received so far, in order of arrival.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Call, len(s.calls))
	for i, c := range s.calls {
		out[i] = *c
	}
	return out
}

// Count returns the number of calls to a service ("sts") or to one of its operations
// ("sts.AssumeRole").
func (s *Server) Count(service string) int {
	n := 0
	for _, c := range s.Calls() {
		if c.Service == service || c.Service+"."+c.Op == service {
			n++
		}
	}
	return n
}

// ResetCalls deletes the recorded calls. Roles, sessions and images remain.
func (s *Server) ResetCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = nil
}

func (s *Server) addCall(c *Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, c)
}

// setStatus records the status of a call. It is called before the response is sent, so that a test
// that has the response also finds its status in Calls.
func (s *Server) setStatus(c *Call, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Status == 0 {
		c.Status, c.Duration = status, time.Since(c.At)
	}
}

// finish records the end of a call and reports it to OnCall.
func (s *Server) finish(c *Call) {
	s.mu.Lock()
	if c.Duration == 0 {
		c.Duration = time.Since(c.At)
	}
	call := *c
	s.mu.Unlock()
	if s.opts.OnCall != nil {
		s.opts.OnCall(call)
	}
}
