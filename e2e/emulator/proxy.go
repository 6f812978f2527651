package emulator

import (
	"io"
	"net"
	"net/http"
	"time"
)

// connect records a CONNECT request and tunnels it to the TLS listener, whatever its host.
func (s *Server) connect(rw http.ResponseWriter, httpReq *http.Request) {
	call := &Call{Service: "connect", Host: httpReq.Host, Op: httpReq.Method, Detail: httpReq.Host,
		At: time.Now()}
	call.Header = http.Header{"User-Agent": httpReq.Header.Values("User-Agent")}
	s.addCall(call)
	defer s.finish(call)
	r := &request{
		ResponseWriter: rw, server: s, httpReq: httpReq, endpoint: endpoint{service: "connect"}, call: call,
	}
	if f, ok := s.takeFault(call); ok && r.applyFault(f) {
		return
	}
	if _, port, err := net.SplitHostPort(httpReq.Host); err != nil || port != "443" {
		r.writeError(apiError{http.StatusForbidden, "", "only port 443 can be tunneled"})
		return
	}
	server, err := net.Dial("tcp", s.Addr())
	if err != nil {
		r.writeError(apiError{http.StatusBadGateway, "", err.Error()})
		return
	}
	defer server.Close()
	client, _, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		r.writeError(apiError{http.StatusInternalServerError, "", err.Error()})
		return
	}
	defer client.Close()
	s.setStatus(call, http.StatusOK)
	io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n")
	s.pipe(client, server)
}

// pipe copies in both directions until either side ends or the emulator is closed.
func (s *Server) pipe(a, b net.Conn) {
	ended := make(chan struct{}, 2)
	copyTo := func(to, from net.Conn) {
		io.Copy(to, from)
		ended <- struct{}{}
	}
	go copyTo(a, b)
	go copyTo(b, a)
	select {
	case <-ended:
	case <-s.done:
	}
}
