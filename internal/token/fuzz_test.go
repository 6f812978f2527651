package token

import (
	"net"
	"strings"
	"testing"
)

// FuzzParseEndpoint checks that ParseEndpoint accepts only https URLs and loopback hosts, and that
// its error does not quote the URL.
func FuzzParseEndpoint(f *testing.F) {
	for _, s := range []string{
		"https://run-actions-1-azure-eastus.actions.githubusercontent.com/222//idtoken/a/b" +
			"?api-version=2.0", "http://127.0.0.1:1/x",
		"http://localhost@evil.example/", "http://[::1%25lo]/", "HTTP://LOCALHOST",
		"http://127.0.0.1.evil.example", "https:evil.example", "//x", "\x00",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := ParseEndpoint(s)
		if err != nil {
			if len(s) > 8 && strings.Contains(err.Error(), s) {
				t.Errorf("%q: the error quotes it: %v", s, err)
			}
			return
		}
		ip := net.ParseIP(u.Hostname())
		local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
		if u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !local) {
			t.Errorf("%q was accepted: scheme %q, host %q", s, u.Scheme, u.Host)
		}
	})
}

// FuzzResponse checks that no response of a token endpoint causes a panic, that a value is never
// empty and has no white space around it, and that the error does not quote the response.
func FuzzResponse(f *testing.F) {
	for _, s := range []string{`{"count":1,"value":"a.b.c"}`, `{"value":" a "}`, `{"value":null}`,
		`{"value":{"value":"x"}}`, `{"VALUE":"a"}`, `{"value":"a","value":""}`, "<html>", "[]",
		"null", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		value, err := stringField(body, "value")
		switch {
		case err == nil && (value == "" || strings.TrimSpace(value) != value):
			t.Errorf("%q: %q", body, value)
		case err != nil &&
			err.Error() != "the response is not JSON (is there a proxy in between?)" &&
			err.Error() != `the response has no field "value"`:
			t.Errorf("%q: %v", body, err)
		}
	})
}
