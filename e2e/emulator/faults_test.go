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

// An answer that goes wrong on its way begins like the true one, or like the fault's own, and says how long it is.
func TestSpoiltAnswers(t *testing.T) {
	w := start(t, Options{})
	tr := w.Transport()
	defer tr.CloseIdleConnections()
	ask := func(f Fault) (*http.Response, []byte, error) {
		w.ClearFaults()
		w.Fail("sts", f)
		c := &http.Client{Transport: tr, Timeout: 300 * time.Millisecond}
		resp, err := c.Do(post(w.URL("sts"), "application/x-www-form-urlencoded", "Action=GetCallerIdentity"))
		if err != nil {
			t.Fatalf("%+v: %v", f, err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return resp, body, err
	}
	const text = "<ErrorResponse xmlns="
	whole, body, err := ask(Fault{Header: map[string]string{"X-Odd": "1"}})
	if err != nil || !bytes.HasPrefix(body, []byte(text)) {
		t.Fatalf("%s, %v", body, err)
	}
	for name, f := range map[string]Fault{
		"truncated": {Truncate: len(text)}, "dripping": {Drip: 25 * time.Millisecond}, "hanging after its headers": {HangAfterHeaders: true},
	} {
		resp, body, err := ask(f)
		if resp.StatusCode != whole.StatusCode || resp.ContentLength < int64(len(text)) || !strings.HasPrefix(text, string(body)) {
			t.Errorf("%s: %s, %d bytes, %q", name, resp.Status, resp.ContentLength, body)
		}
		if name == "truncated" && (!errors.Is(err, io.ErrUnexpectedEOF) || string(body) != text) {
			t.Errorf("%s: %q, %v", name, body, err)
		}
		if name == "dripping" && (err == nil || len(body) < 2 || errors.Is(err, io.ErrUnexpectedEOF)) {
			t.Errorf("%s: %q, %v; want some bytes and no end", name, body, err)
		}
		if name == "hanging after its headers" && (err == nil || len(body) != 0) {
			t.Errorf("%s: %q, %v; want nothing and no end", name, body, err)
		}
	}
	resp, body, err := ask(Fault{Status: 502, Body: []byte("abc"), Truncate: 2, ContentType: "text/html"})
	if resp.StatusCode != 502 || resp.ContentLength != 3 || string(body) != "ab" || err == nil || resp.Header.Get("Content-Type") != "text/html" {
		t.Errorf("%s, %d bytes, %q, %v", resp.Status, resp.ContentLength, body, err)
	}
	if resp, body, err := ask(Fault{Body: []byte("abc"), Drip: time.Millisecond}); string(body) != "abc" || err != nil || resp.StatusCode != 200 {
		t.Errorf("%s, %q, %v", resp.Status, body, err)
	}
}

// A stream comes after the body, to its end or until the client has had enough.
func TestStream(t *testing.T) {
	over := make(chan struct{}, 2)
	w := start(t, Options{OnCall: func(Call) { over <- struct{}{} }})
	w.Fail("ecr", Fault{Body: []byte("a"), Stream: strings.NewReader("bc"), Times: 1})
	if status, body := do(t, w, post(w.URL("ecr"), "", "{}")); status != 200 || body != "abc" {
		t.Errorf("%d %s", status, body)
	}
	<-over
	w.Fail("ecr", Fault{Stream: forever{}})
	tr := w.Transport()
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Do(post(w.URL("ecr"), "", "{}"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, resp.Body, 1<<20); err != nil {
		t.Error(err)
	}
	resp.Body.Close()
	<-over
}

type forever struct{}

func (forever) Read(p []byte) (int, error) { return len(p), nil }
