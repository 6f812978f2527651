package emulator

import (
	"io"
	"net"
	"net/http"
	"time"
)

// connect tunnels HOST:443 to the TLS listener, whichever host that is, and
// notes the name.
func (w *Server) connect(rw http.ResponseWriter, r *http.Request) {
	call := &Call{Service: "connect", Host: r.Host, Op: r.Method, Detail: r.Host, At: time.Now()}
	call.Header = http.Header{"User-Agent": r.Header.Values("User-Agent")}
	w.record(call)
	defer w.over(call)
	v := &visit{ResponseWriter: rw, w: w, r: r, at: place{service: "connect"}, call: call}
	if f, ok := w.fault(call); ok && v.suffer(f) {
		return
	}
	if _, port, err := net.SplitHostPort(r.Host); err != nil || port != "443" {
		v.fail(apiError{http.StatusForbidden, "", "only port 443 is tunnelled"})
		return
	}
	server, err := net.Dial("tcp", w.Addr())
	if err != nil {
		v.fail(apiError{http.StatusBadGateway, "", err.Error()})
		return
	}
	defer server.Close()
	client, _, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		v.fail(apiError{http.StatusInternalServerError, "", err.Error()})
		return
	}
	defer client.Close()
	w.answered(call, http.StatusOK)
	io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n")
	w.splice(client, server)
}

// splice copies both ways until one side ends or the emulator closes.
func (w *Server) splice(a, b net.Conn) {
	over := make(chan struct{}, 2)
	pipe := func(to, from net.Conn) {
		io.Copy(to, from)
		over <- struct{}{}
	}
	go pipe(a, b)
	go pipe(b, a)
	select {
	case <-over:
	case <-w.done:
	}
}
