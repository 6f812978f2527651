package emulator

import (
	"net/http"
	"net/url"
	"time"
)

// Call is one request that reached the emulator.
type Call struct {
	Service string // oidc, sts, ecr, ecr-public, sso, registry, connect
	Host    string
	Path    string // of the URL: what tells one GitHub job's token endpoint from another's
	Op      string // the API's name for it; the HTTP method for a registry
	Detail  string // the audience, the role, the path: what it was about
	Caller  string // the ARN whose credentials let it in; empty before that
	Credentials   string // what a registry was sent to log in with: empty for nothing, else "valid" or "invalid"
	Status  int    // 0 while unanswered, and for ever if hung or reset
	Duration    time.Duration
	At      time.Time   // by the real clock
	Header  http.Header // User-Agent only
	Form    url.Values  // STS parameters without the token

	Throttled bool // there was no token left for it, see Throttle
}

// Calls returns what was asked so far, in order of arrival.
func (w *Server) Calls() []Call {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]Call, len(w.calls))
	for i, c := range w.calls {
		out[i] = *c
	}
	return out
}

// Count returns the number of calls to a service. The service may be narrowed
// to one operation: "sts.AssumeRole".
func (w *Server) Count(service string) int {
	n := 0
	for _, c := range w.Calls() {
		if c.Service == service || c.Service+"."+c.Op == service {
			n++
		}
	}
	return n
}

// ResetCalls forgets the calls; roles, sessions and images stay.
func (w *Server) ResetCalls() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = nil
}

func (w *Server) record(c *Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, c)
}

// answered notes the status before the client can see it, so that a test that
// has its answer also finds it in Calls.
func (w *Server) answered(c *Call, status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Status == 0 {
		c.Status, c.Duration = status, time.Since(c.At)
	}
}

func (w *Server) over(c *Call) {
	w.mu.Lock()
	if c.Duration == 0 {
		c.Duration = time.Since(c.At)
	}
	call := *c
	w.mu.Unlock()
	if w.opts.OnCall != nil {
		w.opts.OnCall(call)
	}
}
