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

// maxIdle is how long a preconnected connection may be idle before its first request. After that
// the server may have closed it. net/http repeats a request on a closed connection only if the
// connection has been used before. The SDK would retry after a pause.
const maxIdle = 4 * time.Second

// preconnection opens the connections of a login before its first request, and sends nothing on
// them. The TCP and TLS handshakes take two round trips. They run while the CI issues the token and
// while STS responds. A connection that failed or is older than maxIdle is replaced by a new one
// when it is needed.
type preconnection struct {
	tls   *tls.Config
	conns map[string]chan connection // by host:port; each channel delivers one connection
	now   func() time.Time
}

// connection is an unused connection, or the error of opening it. The zero connection is neither.
type connection struct {
	net.Conn
	err    error
	opened time.Time
}

// preconnect resolves and checks the endpoints of STS and ECR, starts to connect to them, and
// returns without waiting. The connections are closed when ctx is done. The error reports an
// invalid setting or endpoint; no connection is then opened.
func (in LoginInput) preconnect(ctx context.Context) (*preconnection, error) {
	cfg, err := in.environmentConfig(ctx)
	if err != nil {
		return nil, err
	}
	sts, ecr, err := in.endpoints(ctx, cfg)
	if err != nil {
		return nil, err
	}
	transport := in.httpClient().GetTransport()
	p := &preconnection{
		tls: transport.TLSClientConfig, conns: map[string]chan connection{}, now: time.Now,
	}
	if in.Env.Get("AWS_MAX_ATTEMPTS") == "1" {
		return p, nil // a request on a closed connection would not be retried
	}
	for _, endpoint := range []string{sts, ecr} {
		addr := directAddr(endpoint, transport.Proxy)
		if addr != "" && p.conns[addr] == nil {
			p.conns[addr] = make(chan connection, 1)
			go p.open(ctx, addr, p.conns[addr])
		}
	}
	return p, nil
}

// directAddr returns the host:port of an https URL that is reached without a proxy; "" for any other
// URL. A connection to a proxy is not opened in advance.
func directAddr(endpoint string, proxy func(*http.Request) (*url.URL, error)) string {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "https" {
		return ""
	}
	if through, err := proxy(&http.Request{URL: u}); through != nil || err != nil {
		return ""
	}
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "443"))
}

// open connects to addr and sends the result to the channel.
func (p *preconnection) open(ctx context.Context, addr string, to chan<- connection) {
	defer close(to)
	conn, err := p.connect(ctx, "tcp", addr)
	if err == nil {
		context.AfterFunc(ctx, func() { _ = conn.Close() })
	}
	to <- connection{conn, err, p.now()}
}

// dial is the DialTLSContext of the HTTP transport. It returns the preconnected connection to addr,
// or a new one.
func (p *preconnection) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c := p.take(ctx, addr)
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(c.err, &certificate): // a new connection would get the same certificate
		return nil, c.err
	case c.Conn != nil && p.now().Sub(c.opened) <= maxIdle:
		return c.Conn, nil
	case c.Conn != nil:
		_ = c.Close()
	}
	return p.connect(ctx, network, addr)
}

// take returns the preconnected connection to addr, or the zero connection when there is none. It
// waits for a connection that is still being opened, which is usually faster than a new one.
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

// connect opens a TLS connection with the transport's TLS configuration.
func (p *preconnection) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: requestTimeout}, Config: p.tls}
	return d.DialContext(ctx, network, addr)
}
