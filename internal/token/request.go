package token

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
)

const (
	attemptTimeout = 6 * time.Second        // includes reading the response
	maxAttempts    = 5                      // of one token request
	firstBackoff   = 250 * time.Millisecond // before the second attempt; doubles each time
	maxResponse    = 64 << 10               // bytes; a token has at most 20,000
)

// NewClient returns the HTTP client for token endpoints. It trusts roots, or the system's roots
// when roots is nil. It reads the proxy from the environment. It follows no redirect, because a
// request carries a token of the job.
func NewClient(roots *x509.CertPool) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if roots != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{
		Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}

// newRequest returns a request for a token. authorization is the value of the Authorization header.
// body is JSON, or nil for a request without a body.
func newRequest(ctx context.Context, method string, u *url.URL, authorization string,
	body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", authorization)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "docker-credential-ecr-oidc")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// requestToken sends the request that build returns, up to maxAttempts times, and returns a string
// field of the JSON response. It retries temporary errors: no connection, no response, 429, 5xx,
// and GitHub's 403 for a job that has just started (aws-actions/configure-aws-credentials#469). The
// delay between attempts is random, doubles each time, and is at least the response's Retry-After.
// It does not retry when ctx would end during the delay. The error is a *RequestError. It never
// quotes the body of a response, which may contain a token.
func requestToken(ctx context.Context, client *http.Client, ci, field string,
	build func(context.Context) (*http.Request, error)) (string, error) {
	wait := firstBackoff
	for attempt := 1; ; attempt++ {
		value, retryable, err := requestOnce(ctx, client, field, build)
		if err == nil {
			return value, nil
		}
		var final *finalError
		var throttled *retryAfterError
		pause := wait/2 + rand.N(wait/2) // #nosec G404 -- the delay is not a secret
		if errors.As(err, &throttled) {
			pause = max(pause, throttled.delay)
		}
		if !retryable || attempt == maxAttempts || !sleep(ctx, pause) {
			return "", &RequestError{
				CI: ci, Attempts: attempt, Why: err.Error(),
				Retryable: retryable, Final: errors.As(err, &final),
			}
		}
		wait *= 2
	}
}

// requestOnce makes one attempt of requestToken. It reports whether a failed attempt may be retried.
func requestOnce(ctx context.Context, client *http.Client, field string,
	build func(context.Context) (*http.Request, error)) (value string, retryable bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	req, err := build(ctx)
	if err != nil {
		return "", false, errors.New("the request cannot be built")
	}
	resp, err := client.Do(req)
	if err != nil {
		retryable, err := describeTransportError(err)
		return "", retryable, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	switch {
	case err != nil:
		retryable, err := describeTransportError(err)
		return "", retryable, err
	case resp.StatusCode == http.StatusForbidden &&
		strings.Contains(strings.ToLower(string(body)), "issue id_token"):
		return "", true, errors.New("HTTP 403: the job is not registered as running yet")
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500:
		return "", true, &retryAfterError{statusText(resp), retryAfter(resp)}
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return "", false, finalErrorf("HTTP %s: redirects are not followed", statusText(resp))
	case resp.StatusCode != http.StatusOK:
		return "", false, finalErrorf("HTTP %s", statusText(resp))
	case len(body) > maxResponse:
		return "", false, finalErrorf("the response is longer than %d bytes", maxResponse)
	}
	value, err = stringField(body, field)
	return value, false, err
}

// finalError reports a refusal or an invalid response. It is not retried.
type finalError struct{ text string }

func (e *finalError) Error() string { return e.text }

func finalErrorf(format string, args ...any) error {
	return &finalError{fmt.Sprintf(format, args...)}
}

// stringField returns a field of a JSON object without leading and trailing white space. The error
// does not quote body.
func stringField(body []byte, field string) (string, error) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return "", finalErrorf("the response is not JSON (is there a proxy in between?)")
	}
	var value string
	if json.Unmarshal(fields[field], &value) != nil || strings.TrimSpace(value) == "" {
		return "", finalErrorf("the response has no field %q", field)
	}
	return strings.TrimSpace(value), nil
}

// describeTransportError returns an error that describes why the request has no response, and
// whether a retry may succeed. It returns the text of net/http's error only when that quotes
// neither the response nor the URL, which contains the ids of the job's plan and run.
func describeTransportError(err error) (retryable bool, why error) {
	var (
		certificate *tls.CertificateVerificationError
		network     *net.OpError
		timeout     net.Error
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return true, errors.New("no response in time")
	case errors.As(err, &certificate):
		return false, errors.New(safetext.Sanitize(certificate.Error()))
	case errors.As(err, &network):
		return true, network
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return true, errors.New("the connection was closed before the response was complete")
	}
	return true, errors.New("the response is not valid HTTP (is there a proxy in between?)")
}

// statusText returns a response's status code and its standard text.
func statusText(resp *http.Response) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode)))
}

// retryAfterError reports a 429 or 5xx response, which is retried.
type retryAfterError struct {
	status string
	delay  time.Duration // from Retry-After; 0 for none
}

func (e *retryAfterError) Error() string {
	if e.delay == 0 {
		return "HTTP " + e.status
	}
	return fmt.Sprintf("HTTP %s: retry after %v", e.status, e.delay)
}

// retryAfter returns the delay of a Retry-After header in seconds; 0 for none. It ignores the
// header's other form, a date, which requires synchronized clocks.
func retryAfter(resp *http.Response) time.Duration {
	seconds, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// attemptCount returns n with the noun "attempt" or "attempts".
func attemptCount(n int) string {
	if n == 1 {
		return "1 attempt"
	}
	return fmt.Sprintf("%d attempts", n)
}

// sleep waits for d and returns true. It returns false without waiting when ctx would end first,
// and as soon as ctx is canceled.
func sleep(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// ErrClearText is the error of ParseEndpoint for a URL over which a secret would be sent
// unencrypted.
var ErrClearText = errors.New("it must be an https URL")

// ParseEndpoint parses the URL of a service that receives a secret. The URL must use https, or http
// and a loopback host. For any other URL, ParseEndpoint returns the URL together with ErrClearText.
// The error does not quote the URL, which may contain a password.
func ParseEndpoint(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "":
		return nil, errors.New("it is not a URL")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return u, nil
	}
	return u, ErrClearText
}

// isLoopback reports whether host is "localhost" or a loopback address.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
