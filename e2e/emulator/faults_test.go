package emulator

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestDegradedResponses checks that incomplete and slow responses announce their full length and
// begin like the regular response or the one of the fault.
func TestDegradedResponses(t *testing.T) {
	s := start(t, Options{})
	tr := s.Transport()
	defer tr.CloseIdleConnections()
	call := func(f Fault) (*http.Response, []byte, error) {
		s.ClearFaults()
		s.AddFault("sts", f)
		c := &http.Client{Transport: tr, Timeout: 300 * time.Millisecond}
		resp, err := c.Do(post(s.URL("sts"), "application/x-www-form-urlencoded", "Action=GetCallerIdentity"))
		if err != nil {
			t.Fatalf("%+v: %v", f, err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return resp, body, err
	}
	const text = "<ErrorResponse xmlns="
	complete, body, err := call(Fault{Header: map[string]string{"X-Odd": "1"}})
	if err != nil || !bytes.HasPrefix(body, []byte(text)) {
		t.Fatalf("%s, %v", body, err)
	}
	for name, f := range map[string]Fault{
		"truncated": {Truncate: len(text)}, "slow": {Drip: 25 * time.Millisecond},
		"hanging after the headers": {HangAfterHeaders: true},
	} {
		resp, body, err := call(f)
		if resp.StatusCode != complete.StatusCode || resp.ContentLength < int64(len(text)) ||
			!strings.HasPrefix(text, string(body)) {
			t.Errorf("%s: %s, %d bytes, %q", name, resp.Status, resp.ContentLength, body)
		}
		if name == "truncated" && (!errors.Is(err, io.ErrUnexpectedEOF) || string(body) != text) {
			t.Errorf("%s: %q, %v", name, body, err)
		}
		if name == "slow" && (err == nil || len(body) < 2 || errors.Is(err, io.ErrUnexpectedEOF)) {
			t.Errorf("%s: %q, %v; want some bytes and a timeout", name, body, err)
		}
		if name == "hanging after the headers" && (err == nil || len(body) != 0) {
			t.Errorf("%s: %q, %v; want no bytes and a timeout", name, body, err)
		}
	}
	resp, body, err := call(Fault{Status: 502, Body: []byte("abc"), Truncate: 2, ContentType: "text/html"})
	if resp.StatusCode != 502 || resp.ContentLength != 3 || string(body) != "ab" || err == nil ||
		resp.Header.Get("Content-Type") != "text/html" {
		t.Errorf("%s, %d bytes, %q, %v", resp.Status, resp.ContentLength, body, err)
	}
	if resp, body, err := call(Fault{Body: []byte("abc"),
		Drip: time.Millisecond}); string(body) != "abc" || err != nil || resp.StatusCode != 200 {
		t.Errorf("%s, %q, %v", resp.Status, body, err)
	}
}

// TestStream checks that a stream is sent after the body, until it ends or the client disconnects.
func TestStream(t *testing.T) {
	ended := make(chan struct{}, 2)
	s := start(t, Options{OnCall: func(Call) { ended <- struct{}{} }})
	s.AddFault("ecr", Fault{Body: []byte("a"), Stream: strings.NewReader("bc"), Times: 1})
	if status, body := send(t, s, post(s.URL("ecr"), "", "{}")); status != 200 || body != "abc" {
		t.Errorf("%d %s", status, body)
	}
	<-ended
	s.AddFault("ecr", Fault{Stream: endless{}})
	tr := s.Transport()
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Do(post(s.URL("ecr"), "", "{}"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, resp.Body, 1<<20); err != nil {
		t.Error(err)
	}
	resp.Body.Close()
	<-ended
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
