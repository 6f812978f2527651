package exchange

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// FuzzParseAuthorizationToken checks that the result has a user name and a password for any
// authorization token in a response of ECR, and that the error does not quote the token.
func FuzzParseAuthorizationToken(f *testing.F) {
	for _, s := range []string{"AWS:password", "AWS:pass:word", ":", "AWS:", ":password", "AWS", ""} {
		f.Add(base64.StdEncoding.EncodeToString([]byte(s)), int64(43200))
	}
	f.Add("QVdTOnBhc3N3b3Jk\n", int64(-1))
	f.Add("not base64", int64(1<<62))
	now := time.Unix(1700000000, 0)
	f.Fuzz(func(t *testing.T, encoded string, ttl int64) {
		got, err := LoginInput{}.parseAuthorizationToken(aws.String(encoded),
			aws.Time(now.Add(time.Duration(ttl))), now)
		switch {
		case err != nil &&
			(got != Credentials{} ||
				!strings.HasSuffix(err.Error(),
					"the response of ECR contains no password")):
			t.Errorf("%q: %v, %v", encoded, got, err)
		case err == nil &&
			(got.Username == "" || got.Password == "" || strings.Contains(got.Username, ":") ||
				got.TTL != time.Duration(ttl)):
			t.Errorf("%q for %d: %#v", encoded, ttl, got)
		}
		_, err = LoginInput{}.parseAuthorizationToken(aws.String(encoded), nil, now)
		if err == nil {
			t.Errorf("%q: accepted without an expiry", encoded)
		}
	})
}
