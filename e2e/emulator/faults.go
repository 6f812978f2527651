package emulator

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Fault is something that goes wrong. One with no Status, Code, Body or Stream
// (only a Delay, an Until, a Header, or a HangAfter, Drip or Truncate) changes
// the true answer instead of replacing it.
type Fault struct {
	Status      int
	Code        string // an AWS error, in that service's own shape
	Message     string
	Body        []byte    // instead of Code and Message
	Stream      io.Reader // comes after Body, until it ends or the client goes
	ContentType string
	Header      map[string]string
	Delay       time.Duration
	Until       <-chan struct{} // the answer waits for it to be closed
	Hang        bool            // never answer, until the client goes or the emulator closes
	HangAfterHeaders   bool            // send the headers, and hang then
	Drip        time.Duration   // the body comes byte by byte, with a pause after each
	Truncate    int             // the connection ends after so many bytes of the body; 0 = never
	Reset       bool            // reset the connection without an answer
	Times       int             // how often; 0 = always
}

// Fail queues a fault for a service as Call names them, or for one operation
// of it ("sts.AssumeRole"): first queued, first used. The request counts as a call.
func (w *Server) Fail(service string, f Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults[service] = append(w.faults[service], f)
}

// ClearFaults forgets all faults.
func (w *Server) ClearFaults() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.faults)
}

// fault takes the next fault for a call; a queue for its operation goes first.
func (w *Server) fault(c *Call) (Fault, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, key := range []string{c.Service + "." + c.Op, c.Service} {
		queue := w.faults[key]
		if len(queue) == 0 {
			continue
		}
		f := queue[0]
		switch f.Times {
		case 0: // stays for ever
		case 1:
			w.faults[key] = queue[1:]
		default:
			queue[0].Times--
		}
		return f, true
	}
	return Fault{}, false
}

// suffer plays a fault. It reports whether the request is thereby answered.
func (v *visit) suffer(f Fault) bool {
	if f.Delay > 0 {
		v.wait(time.After(f.Delay))
	}
	if f.Until != nil {
		select {
		case <-f.Until:
		case <-v.r.Context().Done():
		case <-v.w.done:
		}
	}
	if f.Hang {
		v.wait(nil)
	}
	if f.Hang || f.Reset {
		reset(v.ResponseWriter)
		return true
	}
	for k, s := range f.Header {
		v.Header().Set(k, s)
	}
	if f.ContentType != "" {
		v.Header().Set("Content-Type", f.ContentType)
	}
	if f.HangAfterHeaders || f.Drip > 0 || f.Truncate > 0 {
		v.spoil(f)
		return true
	}
	return v.replace(f)
}

// replace answers in the fault's own words, if it has any.
func (v *visit) replace(f Fault) bool {
	switch {
	case f.Body != nil || f.Stream != nil:
		v.WriteHeader(or(f.Status, http.StatusOK))
		v.Write(f.Body)
		if f.Stream != nil {
			io.Copy(v, f.Stream)
		}
	case f.Status != 0 || f.Code != "":
		v.fail(apiError{or(f.Status, http.StatusBadRequest), f.Code, f.Message})
	default:
		return false
	}
	return true
}

// spoil answers, truly or in the fault's words, and lets the fault happen to
// the answer on its way: its length is said, but not all of it comes in time.
func (v *visit) spoil(f Fault) {
	client := v.ResponseWriter
	answer := &held{ResponseWriter: client, status: http.StatusOK}
	v.ResponseWriter = answer
	if !v.replace(f) {
		v.serve()
	}
	client.Header().Set("Content-Length", strconv.Itoa(answer.Len()))
	client.WriteHeader(answer.status)
	flush := http.NewResponseController(client).Flush
	flush()
	switch {
	case f.HangAfterHeaders:
		v.wait(nil)
		reset(client)
	case f.Truncate > 0: // the server closes a connection that it owes something
		client.Write(answer.Next(f.Truncate))
	default:
		for answer.Len() > 0 && v.r.Context().Err() == nil {
			client.Write(answer.Next(1))
			flush()
			v.wait(time.After(f.Drip))
		}
	}
}

// held is an answer that is not sent yet, but for its headers' map.
type held struct {
	http.ResponseWriter
	bytes.Buffer
	status int
}

func (h *held) WriteHeader(status int)      { h.status = status }
func (h *held) Write(b []byte) (int, error) { return h.Buffer.Write(b) }

func (v *visit) wait(c <-chan time.Time) {
	select {
	case <-c:
	case <-v.r.Context().Done():
	case <-v.w.done:
	}
}

// reset closes a connection so that the other side sees "connection reset by
// peer": with SO_LINGER 0 the kernel sends RST instead of FIN.
func reset(rw http.ResponseWriter) {
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

func or[T comparable](v, instead T) T {
	var zero T
	if v == zero {
		return instead
	}
	return v
}
