package emulator

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestSignatureVectors runs test vectors of AWS's aws-sig-v4-test-suite, under their names there.
func TestSignatureVectors(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	for _, tt := range []struct {
		name, method, path, body string
		header                   map[string]string
		headers, want            string
	}{
		{name: "get-vanilla", method: "GET", path: "/",
			want: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{name: "get-relative", method: "GET", path: "/example/..",
			want: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{name: "get-vanilla-query-order-key-case", method: "GET", path: "/?Param2=value2&Param1=value1",
			want: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		{name: "get-header-value-trim", method: "GET", path: "/",
			header:  map[string]string{"My-Header1": " value1", "My-Header2": ` "a   b   c"`},
			headers: "host;my-header1;my-header2;x-amz-date",
			want:    "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
		{name: "post-vanilla", method: "POST", path: "/",
			want: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
		{name: "post-x-www-form-urlencoded", method: "POST", path: "/", body: "Param1=value1",
			header: map[string]string{"Content-Type": form}, headers: "content-type;host;x-amz-date",
			want: "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := http.NewRequest(tt.method, "https://example.amazonaws.com"+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Amz-Date", "20150830T123600Z")
			for k, v := range tt.header {
				r.Header.Set(k, v)
			}
			headers := or(tt.headers, "host;x-amz-date")
			r.Header.Set("Authorization",
				"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders="+
					headers+", Signature="+tt.want)
			s, bad := parseSignature(r.Header)
			if bad != nil {
				t.Fatal(bad.message)
			}
			if got := s.compute("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", r,
				[]byte(tt.body)); got != tt.want {
				t.Errorf("signature %s, want %s, of\n%s", got, tt.want,
					canonicalRequest(r, s.headers, []byte(tt.body)))
			}
		})
	}
}

func TestSignatureRefused(t *testing.T) {
	s := start(t, Options{})
	const body = "Action=GetCallerIdentity&Version=2011-06-15"
	user := credentials{AccessKeyID, SecretAccessKey, ""}
	for _, tt := range []struct {
		name   string
		creds  credentials
		scope  string // region/service
		age    time.Duration
		change func(*http.Request)
		want   string
	}{
		{name: "valid", creds: user},
		{name: "no signature", creds: user,
			change: func(r *http.Request) { r.Header.Del("Authorization") },
			want:   "MissingAuthenticationToken"},
		{name: "not a signature", creds: user,
			change: func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") },
			want:   "IncompleteSignature"},
		{name: "unknown key", creds: credentials{"AKIAXXXXXXXXXXXXXXXX", "x", ""},
			want: "InvalidClientTokenId"},
		{name: "wrong secret", creds: credentials{AccessKeyID, "x", ""}, want: "SignatureDoesNotMatch"},
		{name: "unknown session token", creds: credentials{AccessKeyID, SecretAccessKey, "x"},
			want: "InvalidClientTokenId"},
		{name: "other service", creds: user, scope: "eu-west-2/ecr", want: "SignatureDoesNotMatch"},
		{name: "other region", creds: user, scope: "eu-west-1/sts", want: "SignatureDoesNotMatch"},
		{name: "14 minutes old", creds: user, age: 14 * time.Minute},
		{name: "16 minutes old", creds: user, age: 16 * time.Minute, want: "SignatureDoesNotMatch"},
		{name: "from the future", creds: user, age: -16 * time.Minute, want: "SignatureDoesNotMatch"},
		{name: "changed query", creds: user, change: func(r *http.Request) { r.URL.RawQuery = "a=b" },
			want: "SignatureDoesNotMatch"},
		{name: "changed body", creds: user, change: func(r *http.Request) { setBody(r, body+"&x=y") },
			want: "SignatureDoesNotMatch"},
		{name: "changed header", creds: user,
			change: func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") },
			want:   "SignatureDoesNotMatch"},
		{name: "unsigned header", creds: user,
			change: func(r *http.Request) { r.Header.Set("X-Amz-Target", "x") },
			want:   "SignatureDoesNotMatch"},
		{name: "wrong payload hash", creds: user,
			change: func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", sha256Hex(nil)) },
			want:   "SignatureDoesNotMatch"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := post("https://sts.eu-west-2.amazonaws.com/", "application/x-www-form-urlencoded", body)
			sign(r, tt.creds, or(tt.scope, "eu-west-2/sts"), body, time.Now().Add(-tt.age))
			if tt.change != nil {
				tt.change(r)
			}
			status, answer := send(t, s, r)
			if tt.want == "" && (status != 200 || !strings.Contains(answer, CIUser)) ||
				tt.want != "" && !strings.Contains(answer, "<Code>"+tt.want+"</Code>") {
				t.Errorf("want %q, got %d %s", tt.want, status, answer)
			}
		})
	}
}
