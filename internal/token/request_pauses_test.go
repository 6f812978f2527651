package token

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// TestRequestPauses checks that at least half of the delay passes before each further attempt: 125,
// 250, 500 and 1,000 ms.
func TestRequestPauses(t *testing.T) {
	if testing.Short() {
		t.Skip("waits between attempts (-short)")
	}
	t.Parallel()
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		rw.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(server.Close)
	start := time.Now()
	_, err := githubJob(t, server.URL).Token(t.Context(), NewClient(nil), "")
	if took := time.Since(start); err == nil || requests.Load() != 5 || took < 1875*time.Millisecond {
		t.Errorf("%v, %d requests in %v", err, requests.Load(), took)
	}
}
