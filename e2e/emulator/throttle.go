package emulator

import (
	"net/http"
	"time"
)

// throttlingErrors are the responses of throttled services, as users have reported them. GitHub
// does not document the limits of its token endpoint; 429 is the status that HTTP defines.
// https://github.com/aws/aws-sdk-go-v2/issues/2481
// https://github.com/Shippable/support/issues/2950
var throttlingErrors = map[string]apiError{
	"sts":        {http.StatusBadRequest, "Throttling", "Rate exceeded"},
	"ecr":        {http.StatusBadRequest, "ThrottlingException", "Rate exceeded"},
	"ecr-public": {http.StatusBadRequest, "ThrottlingException", "Rate exceeded"},
	"oidc":       {http.StatusTooManyRequests, "", "Too Many Requests"},
}

// bucket is a token bucket. AWS has one for each account and API operation.
// https://aws.amazon.com/blogs/security/how-to-monitor-and-query-iam-resources-at-scale-part-2/
type bucket struct {
	perSecond, burst float64 // refill rate and capacity
	tokens           float64 // as of updated
	updated          time.Time
}

// take removes a token and reports whether there was one.
func (b *bucket) take(now time.Time) bool {
	if elapsed := now.Sub(b.updated).Seconds(); elapsed > 0 {
		b.tokens, b.updated = min(b.burst, b.tokens+elapsed*b.perSecond), now
	}
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// Throttle limits the calls of a service (sts, ecr, ecr-public or oidc) to a burst, and then to a rate
// per second. Calls above the limit fail with the service's throttling error. A later Throttle replaces
// an earlier one. It panics for other services, because their error is not documented.
func (s *Server) Throttle(service string, perSecond float64, burst int) {
	if _, ok := throttlingErrors[service]; !ok {
		panic("unknown throttling error of " + service)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buckets[service] = &bucket{
		perSecond: perSecond, burst: float64(burst), tokens: float64(burst), updated: s.now(),
	}
}

// throttle fails a call above its service's limit, and reports whether it did.
func (r *request) throttle() bool {
	s := r.server
	s.mu.Lock()
	b := s.buckets[r.call.Service]
	throttled := b != nil && !b.take(s.now())
	r.call.Throttled = throttled
	s.mu.Unlock()
	if throttled {
		r.writeError(throttlingErrors[r.call.Service])
	}
	return throttled
}
