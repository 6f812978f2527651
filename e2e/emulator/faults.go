package emulator

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Fault changes a service's response to a call. With a Status, Code, Body or Stream it replaces the
// regular response. Otherwise the regular response is sent, changed by the remaining fields.
type Fault struct {
	Status           int
	Code             string // AWS error code, sent in the service's own format
	Message          string
	Body             []byte    // replaces Code and Message
	Stream           io.Reader // sent after Body, until it ends or the client disconnects
	ContentType      string
	Header           map[string]string
	Delay            time.Duration
	Until            <-chan struct{} // delays the response until the channel is closed
	Hang             bool            // send no response until the client disconnects or the emulator is closed
	HangAfterHeaders bool            // send the headers, then hang
	Drip             time.Duration   // send the body byte by byte, with this pause after each
	Truncate         int             // close the connection after this number of bytes of the body; 0 for never
	Reset            bool            // reset the connection instead of sending a response
	Times            int             // number of calls that it applies to; 0 for all
}

// AddFault adds a fault to the queue of a service ("sts") or of one of its operations
// ("sts.AssumeRole"), as named in Call. Faults apply in the order in which they were added. The
// calls are recorded.
func (s *Server) AddFault(service string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[service] = append(s.faults[service], f)
}

// ClearFaults deletes all faults.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.faults)
}

// takeFault returns the next fault for a call. The queue of the operation precedes that of the service.
func (s *Server) takeFault(c *Call) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range []string{c.Service + "." + c.Op, c.Service} {
		queue := s.faults[key]
		if len(queue) == 0 {
			continue
		}
		f := queue[0]
		switch f.Times {
		case 0: // applies to all calls
		case 1:
			s.faults[key] = queue[1:]
		default:
			queue[0].Times--
		}
		return f, true
	}
	return Fault{}, false
}

// applyFault applies a fault and reports whether it sent the response.
func (r *request) applyFault(f Fault) bool {
	if f.Delay > 0 {
		r.wait(time.After(f.Delay))
	}
	if f.Until != nil {
		select {
		case <-f.Until:
		case <-r.httpReq.Context().Done():
		case <-r.server.done:
		}
	}
	if f.Hang {
		r.wait(nil)
	}
	if f.Hang || f.Reset {
		resetConnection(r.ResponseWriter)
		return true
	}
	for k, s := range f.Header {
		r.Header().Set(k, s)
	}
	if f.ContentType != "" {
		r.Header().Set("Content-Type", f.ContentType)
	}
	if f.HangAfterHeaders || f.Drip > 0 || f.Truncate > 0 {
		r.writeDegraded(f)
		return true
	}
	return r.writeFault(f)
}

// writeFault sends the response that the fault contains, and reports whether it contains one.
func (r *request) writeFault(f Fault) bool {
	switch {
	case f.Body != nil || f.Stream != nil:
		r.WriteHeader(or(f.Status, http.StatusOK))
		r.Write(f.Body)
		if f.Stream != nil {
			io.Copy(r, f.Stream)
		}
	case f.Status != 0 || f.Code != "":
		r.writeError(apiError{or(f.Status, http.StatusBadRequest), f.Code, f.Message})
	default:
		return false
	}
	return true
}

// writeDegraded sends the fault's response, or else the regular one. It announces the full length but
// sends the body incompletely or slowly.
func (r *request) writeDegraded(f Fault) {
	client := r.ResponseWriter
	response := &bufferedResponse{ResponseWriter: client, status: http.StatusOK}
	r.ResponseWriter = response
	if !r.writeFault(f) {
		r.serve()
	}
	client.Header().Set("Content-Length", strconv.Itoa(response.Len()))
	client.WriteHeader(response.status)
	flush := http.NewResponseController(client).Flush
	flush()
	switch {
	case f.HangAfterHeaders:
		r.wait(nil)
		resetConnection(client)
	case f.Truncate > 0: // net/http closes the connection because the body is incomplete
		client.Write(response.Next(f.Truncate))
	default:
		for response.Len() > 0 && r.httpReq.Context().Err() == nil {
			client.Write(response.Next(1))
			flush()
			r.wait(time.After(f.Drip))
		}
	}
}

// bufferedResponse collects the status and body of a response. Its headers are those of the real
// response.
type bufferedResponse struct {
	http.ResponseWriter
	bytes.Buffer
	status int
}

func (b *bufferedResponse) WriteHeader(status int)      { b.status = status }
func (b *bufferedResponse) Write(p []byte) (int, error) { return b.Buffer.Write(p) }

// wait waits for c, the client to disconnect or the emulator to be closed.
func (r *request) wait(c <-chan time.Time) {
	select {
	case <-c:
	case <-r.httpReq.Context().Done():
	case <-r.server.done:
	}
}

// resetConnection closes a connection so that the client's error is "connection reset by peer". With
// SO_LINGER 0 the kernel sends RST instead of FIN.
func resetConnection(rw http.ResponseWriter) {
	conn, _, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	raw := conn
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		raw = t.NetConn()
	}
	if t, ok := raw.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	raw.Close()
}

func or[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}
