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

// maxIdle is how long a preconnected connection may wait for its first request. net/http repeats a
// request when an idle connection is dead, but not on a connection that is new to it, as these are.
// The SDK would retry after a pause.
const maxIdle = 4 * time.Second

// preconnection opens connections to AWS before there is a request. The handshakes of TCP and TLS
// take two round trips, which pass while the OIDC token is requested and while STS responds. It
// opens the connections of a successful login, and sends nothing. A connection that could not be
// opened, or is too old, is replaced when it is needed.
type preconnection struct {
	tls   *tls.Config
	conns map[string]chan connection // by host:port; each gives its connection once, and none after that
	now   func() time.Time
}

// connection is a connection that has not been used, or the error that came instead.
type connection struct {
	net.Conn
	err    error
	opened time.Time
}

// preconnect resolves the endpoints of STS and ECR, begins to connect to them, and returns at once.
// The connections are closed when ctx is done. The error is what login would return before its
// first request; then nothing is opened.
func (r Request) preconnect(ctx context.Context) (*preconnection, error) {
	cfg, err := r.environmentConfig(ctx)
	if err != nil {
		return nil, err
	}
	sts, ecr, err := r.endpoints(ctx, cfg)
	if err != nil {
		return nil, err
	}
	transport := r.client().GetTransport()
	p := &preconnection{tls: transport.TLSClientConfig, conns: map[string]chan connection{}, now: time.Now}
	if r.Env.Get("AWS_MAX_ATTEMPTS") == "1" {
		return p, nil // there would be no retry if a connection were dead
	}
	for _, endpoint := range []string{sts, ecr} {
		if addr := direct(endpoint, transport.Proxy); addr != "" && p.conns[addr] == nil {
			p.conns[addr] = make(chan connection, 1)
			go p.open(ctx, addr, p.conns[addr])
		}
	}
	return p, nil
}

// direct returns the host:port of a URL that is reached by TLS and not through a proxy, which has
// its own connections; "" for any other.
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

func (p *preconnection) open(ctx context.Context, addr string, to chan<- connection) {
	defer close(to)
	conn, err := p.connect(ctx, "tcp", addr)
	if err == nil {
		context.AfterFunc(ctx, func() { _ = conn.Close() })
	}
	to <- connection{conn, err, p.now()}
}

// dial is an http.Transport's DialTLSContext.
func (p *preconnection) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c := p.take(ctx, addr)
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(c.err, &certificate): // another connection would get the same certificate
		return nil, c.err
	case c.Conn != nil && p.now().Sub(c.opened) <= maxIdle:
		return c.Conn, nil
	case c.Conn != nil:
		_ = c.Close()
	}
	return p.connect(ctx, network, addr)
}

// take returns the connection that was opened to addr, if there is one. It waits for one that is
// being opened, which is usually closer to done than a new one.
func (p *preconnection) take(ctx context.Context, addr string) (c connection) {
	conns := p.conns[addr]
	if conns == nil {
		return c
	}
	select {
	case c = <-conns:
	case <-ctx.Done():
	}
	return c
}

// connect opens a connection with what net/http would offer and trust.
func (p *preconnection) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: requestTimeout}, Config: p.tls}
	return d.DialContext(ctx, network, addr)
}
