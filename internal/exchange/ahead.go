package exchange

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"
)

// lasting is for how long a connection that was opened ahead is good. net/http sends a request again when a kept
// connection turns out to be dead, but not on one that is new to it, as these are: the SDK then tries again, a moment later.
const lasting = 4 * time.Second

// Ahead has connections to AWS opened before there is anything to ask. The handshakes of TCP and TLS are two round trips
// each time, which can pass while the job's token is fetched, and while STS answers. It opens what a get uses that goes
// well, and sends nothing. A connection that could not be opened, or is too old, is no loss: another is opened then, as
// it would have been anyway.
type Ahead struct {
	tls   *tls.Config
	lines map[string]chan fresh // by host:port; each gives its connection once, and none after that
	now   func() time.Time
}

// fresh is a connection that nobody has used, or why there is none.
type fresh struct {
	net.Conn
	err   error
	since time.Time
}

// Open resolves where Get will ask STS and ECR, begins to connect there, and returns at once. What
// it opens is closed when ctx is done. It goes into the Request of that Get. The error is what Get
// would return before its first request; then nothing is opened.
func Open(ctx context.Context, r Request) (*Ahead, error) {
	transport := r.client().GetTransport()
	a := &Ahead{tls: transport.TLSClientConfig, lines: map[string]chan fresh{}, now: time.Now}
	r.Debug = func(string, ...any) {}
	sts, ecr, err := Endpoints(ctx, r)
	if err != nil {
		return nil, err
	}
	if r.Env.Get("AWS_MAX_ATTEMPTS") == "1" {
		return a, nil // there would be no other try if a connection were dead
	}
	for _, endpoint := range []string{sts, ecr} {
		if addr := direct(endpoint, transport.Proxy); addr != "" && a.lines[addr] == nil {
			a.lines[addr] = make(chan fresh, 1)
			go a.open(ctx, addr, a.lines[addr])
		}
	}
	return a, nil
}

// direct returns the host:port of a URL that is reached by TLS and through no proxy, whose connections are its own
// affair; "" of any other.
func direct(endpoint string, proxy func(*http.Request) (*url.URL, error)) string {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "https" {
		return ""
	}
	if through, err := proxy(&http.Request{URL: u}); through != nil || err != nil {
		return ""
	}
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "443"))
}

func (a *Ahead) open(ctx context.Context, addr string, line chan<- fresh) {
	defer close(line)
	conn, err := a.connect(ctx, "tcp", addr)
	if err == nil {
		context.AfterFunc(ctx, func() { _ = conn.Close() })
	}
	line <- fresh{conn, err, a.now()}
}

// dial is an http.Transport's DialTLSContext.
func (a *Ahead) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c := a.take(ctx, addr)
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(c.err, &certificate): // a second look will not find another one
		return nil, c.err
	case c.Conn != nil && a.now().Sub(c.since) <= lasting:
		return c.Conn, nil
	case c.Conn != nil:
		_ = c.Close()
	}
	return a.connect(ctx, network, addr)
}

// take returns what was opened to addr, if anything was. One that is being opened is waited for: as a rule it is further
// on than a new one.
func (a *Ahead) take(ctx context.Context, addr string) (c fresh) {
	line := a.lines[addr]
	if line == nil {
		return c
	}
	select {
	case c = <-line:
	case <-ctx.Done():
	}
	return c
}

// connect opens a connection, with what net/http would offer and trust if it dialled itself.
func (a *Ahead) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: oneTry}, Config: a.tls}
	return d.DialContext(ctx, network, addr)
}
