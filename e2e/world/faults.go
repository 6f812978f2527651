package world

import (
	"net"
	"net/http"
	"time"
)

// Fault is something that goes wrong. One with no Status, Code or Body (only a
// Delay, an Until or a Header) changes the true answer instead of replacing it.
type Fault struct {
	Status      int
	Code        string // an AWS error, in that service's own shape
	Message     string
	Body        []byte // instead of Code and Message
	ContentType string
	Header      map[string]string
	Delay       time.Duration
	Until       <-chan struct{} // the answer waits for it to be closed
	Hang        bool            // never answer, until the client goes or the world closes
	Reset       bool            // reset the connection without an answer
	Times       int             // how often; 0 = always
}

// Fail queues a fault for a service as Call names them, or for one operation
// of it ("sts.AssumeRole"): first queued, first used. The request counts as a call.
func (w *World) Fail(service string, f Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults[service] = append(w.faults[service], f)
}

// Heal forgets all faults.
func (w *World) Heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.faults)
}

// fault takes the next fault for a call; a queue for its operation goes first.
func (w *World) fault(c *Call) (Fault, bool) {
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
	switch {
	case f.Body != nil:
		v.WriteHeader(or(f.Status, http.StatusOK))
		v.Write(f.Body)
	case f.Status != 0 || f.Code != "":
		v.fail(apiError{or(f.Status, http.StatusBadRequest), f.Code, f.Message})
	default:
		return false
	}
	return true
}

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
