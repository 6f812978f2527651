package helper

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/docker/docker-credential-helpers/credentials"
)

// FuzzNewEntry stores arbitrary passwords. They must not change, and their TTL must not exceed maxTTL.
func FuzzNewEntry(f *testing.F) {
	for _, s := range []string{`{"expiration":1700003600}`, `{"expiration":-1}`,
		`{"expiration":9223372036854775807}`, `{"expiration":1e3}`, `{"expiration":"1"}`,
		"null", ""} {
		f.Add(base64.StdEncoding.EncodeToString([]byte(s)))
	}
	f.Add("a password")
	now := time.Unix(1700000000, 0)
	f.Fuzz(func(t *testing.T, secret string) {
		e := newEntry(&credentials.Credentials{Username: "u", Secret: secret}, now)
		if e.Username != "u" || e.Secret != secret || !e.CreatedAt.Equal(now) ||
			e.FreshFor != e.TTL || e.TTL > maxTTL {
			t.Errorf("%q: %#v, TTL %v", secret, e, e.TTL)
		}
		// A TTL that overflows would be a password that never expires.
		if expired := now.Add(e.TTL).Unix(); e.TTL < 0 && expired > now.Unix() {
			t.Errorf("%q: TTL %v", secret, e.TTL)
		}
	})
}
