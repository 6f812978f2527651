package emulator

import (
	"net/http"
	"time"
)

// throttling is what a service answers when it is asked too often, as those tell who have met it. GitHub says nothing
// of its token endpoint's limits; 429 is HTTP's own word for it.
// https://github.com/aws/aws-sdk-go-v2/issues/2481
// https://github.com/Shippable/support/issues/2950
var throttling = map[string]apiError{
	"sts":        {http.StatusBadRequest, "Throttling", "Rate exceeded"},
	"ecr":        {http.StatusBadRequest, "ThrottlingException", "Rate exceeded"},
	"ecr-public": {http.StatusBadRequest, "ThrottlingException", "Rate exceeded"},
	"oidc":       {http.StatusTooManyRequests, "", "Too Many Requests"},
}

// bucket is a token bucket, as AWS has one for each account and API: a call takes a token, and so many come back each
// second, up to a store of burst.
// https://aws.amazon.com/blogs/security/how-to-monitor-and-query-iam-resources-at-scale-part-2/
type bucket struct {
	perSecond, burst float64
	tokens           float64
	at               time.Time // when tokens was right
}

// take takes a token, if there is one.
func (b *bucket) take(now time.Time) bool {
	if passed := now.Sub(b.at).Seconds(); passed > 0 {
		b.tokens, b.at = min(b.burst, b.tokens+passed*b.perSecond), now
	}
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// Throttle lets a service (sts, ecr, ecr-public, oidc) answer a first burst of calls and then so many a second; the
// others get its throttling error. A later Throttle takes the place of an earlier one. It panics for a service whose
// error is not known here: that is a mistake in the test.
func (w *Server) Throttle(service string, perSecond float64, burst int) {
	if _, ok := throttling[service]; !ok {
		panic("nobody knows how " + service + " throttles")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buckets[service] = &bucket{perSecond: perSecond, burst: float64(burst), tokens: float64(burst), at: w.now()}
}

// throttled answers a call for which its service's bucket has no token.
func (v *visit) throttled() bool {
	w := v.w
	w.mu.Lock()
	b := w.buckets[v.call.Service]
	v.call.Throttled = b != nil && !b.take(w.now())
	refused := v.call.Throttled
	w.mu.Unlock()
	if refused {
		v.fail(throttling[v.call.Service])
	}
	return refused
}
