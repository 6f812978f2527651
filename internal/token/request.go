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
	oneTry   = 6 * time.Second        // for one request, answer read
	tries    = 5                      // at most, within ctx
	backoff  = 250 * time.Millisecond // before the second try; doubled for each further one
	maxReply = 64 << 10               // bytes of a reply; a token has at most 20,000
)

// NewClient returns the client that asks CIs for tokens. It trusts roots (nil: the system's), takes
// the proxy from the environment, and follows no redirect: the request carries the job's bearer.
func NewClient(roots *x509.CertPool) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if roots != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// newRequest builds a request for a token. authorization is the value of that header; body is JSON,
// or nil for none.
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

// request sends the request that build returns, up to five times, and returns a string field of the
// JSON response. It retries what may pass (no connection, no response, 429, 5xx, and GitHub's 403
// for a job that it has not yet seen start, see aws-actions/configure-aws-credentials#469) after a
// random delay that doubles, and not before the response's Retry-After. It does not retry when ctx
// ends before. A response's body is never quoted, because it may hold a token.
func request(ctx context.Context, client *http.Client, who, field string,
	build func(context.Context) (*http.Request, error)) (string, error) {
	wait := backoff
	for try := 1; ; try++ {
		value, retryable, err := requestOnce(ctx, client, field, build)
		if err == nil {
			return value, nil
		}
		var answer *answerError
		pause := wait/2 + rand.N(wait/2) // #nosec G404 -- it is no secret how long we wait
		var busy *busyError
		if errors.As(err, &busy) {
			pause = max(pause, busy.after)
		}
		if !retryable || try == tries || !sleep(ctx, pause) {
			return "", &RequestError{CI: who, Attempts: try, Why: err.Error(), Retryable: retryable,
				Responded: errors.As(err, &answer)}
		}
		wait *= 2
	}
}

func requestOnce(ctx context.Context, client *http.Client, field string,
	build func(context.Context) (*http.Request, error)) (value string, retryable bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, oneTry)
	defer cancel()
	req, err := build(ctx)
	if err != nil {
		return "", false, errors.New("the request cannot be built")
	}
	resp, err := client.Do(req)
	if err != nil {
		retryable, err := reason(err)
		return "", retryable, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	switch {
	case err != nil:
		retryable, err := reason(err)
		return "", retryable, err
	case resp.StatusCode == http.StatusForbidden &&
		strings.Contains(strings.ToLower(string(body)), "issue id_token"):
		return "", true, errors.New("HTTP 403: it does not see the job as running yet")
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500:
		return "", true, &busyError{status(resp), retryAfter(resp)}
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return "", false, answered("HTTP %s: a redirect, which is not followed with the job's bearer",
			status(resp))
	case resp.StatusCode != http.StatusOK:
		return "", false, answered("HTTP %s", status(resp))
	case len(body) > maxReply:
		return "", false, answered("the answer is longer than %d bytes", maxReply)
	}
	value, err = stringField(body, field)
	return value, false, err
}

// answerError is what somebody answered, as opposed to nobody.
type answerError struct{ text string }

func (e *answerError) Error() string { return e.text }

func answered(format string, args ...any) error { return &answerError{fmt.Sprintf(format, args...)} }

func stringField(body []byte, field string) (string, error) {
	var reply map[string]json.RawMessage
	if json.Unmarshal(body, &reply) != nil {
		return "", answered("the answer is not JSON (is there a proxy in between?)")
	}
	var value string
	if json.Unmarshal(reply[field], &value) != nil || strings.TrimSpace(value) == "" {
		return "", answered("the answer has no %q in it", field)
	}
	return strings.TrimSpace(value), nil
}

// reason says in words of our own why there was no answer, and whether it may pass. What net/http
// says is let through only where it is known not to quote the answer or the URL, which names the
// job's plan and run.
func reason(err error) (retryable bool, why error) {
	var (
		certificate *tls.CertificateVerificationError
		network     *net.OpError
		timeout     net.Error
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return true, errors.New("no answer in time")
	case errors.As(err, &certificate):
		return false, errors.New(safetext.Sanitize(certificate.Error()))
	case errors.As(err, &network):
		return true, network
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return true, errors.New("the connection was closed before the answer was complete")
	}
	return true, errors.New("the answer is not good HTTP (is there a proxy in between?)")
}

func status(resp *http.Response) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode)))
}

// busyError says that it is to be asked again later.
type busyError struct {
	status string
	after  time.Duration // when to ask again; 0: it does not say
}

func (e *busyError) Error() string {
	if e.after == 0 {
		return "HTTP " + e.status
	}
	return fmt.Sprintf("HTTP %s: it wants to be asked again in %v", e.status, e.after)
}

// retryAfter reads the seconds of a Retry-After; a date, its other form, would take two clocks that agree.
func retryAfter(resp *http.Response) time.Duration {
	seconds, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

func times(n int) string {
	if n == 1 {
		return "1 try"
	}
	return fmt.Sprintf("%d tries", n)
}

// sleep waits, and returns false at once when ctx ends, or would before the time is over.
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

// ErrClearText is the error of ParseEndpoint for a URL that would send a secret over the network in
// clear text.
var ErrClearText = errors.New("it must be an https URL")

// ParseEndpoint parses the URL of a service that receives a secret. The URL must use https or name
// this machine (loopback); for any other, ParseEndpoint returns the URL together with ErrClearText.
// The error does not quote the URL, which may contain a password.
func ParseEndpoint(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "":
		return nil, errors.New("it is not a URL")
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return u, nil
	}
	return u, ErrClearText
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
