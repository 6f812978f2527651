package exchange

import (
	"bytes"
	"io"
	"net/http"
	"testing"
)

type clientFunc func(*http.Request) (*http.Response, error)

func (f clientFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }

// net/http must not find a WriteTo on a request's body: smithy-go's fails once the body is closed, and the connection
// with it (aws-sdk-go-v2#1825).
func TestSenderHidesWriteTo(t *testing.T) {
	req, err := http.NewRequest(http.MethodPost, "https://sts.invalid/", bytes.NewReader([]byte("Action=x")))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := req.Body.(io.WriterTo); !ok {
		t.Fatal("the body had no WriteTo to begin with, so this test would prove nothing")
	}
	_, err = sender{clientFunc(func(r *http.Request) (*http.Response, error) {
		if _, ok := r.Body.(io.WriterTo); ok {
			t.Error("the body that net/http gets has a WriteTo")
		}
		if b, err := io.ReadAll(r.Body); err != nil || string(b) != "Action=x" {
			t.Errorf("the body reads as %q, %v", b, err)
		}
		return nil, r.Body.Close()
	})}.Do(req)
	if err != nil {
		t.Error(err)
	}
}
