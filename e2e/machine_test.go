package e2e

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// metadata starts an instance's metadata service and a container's credentials endpoint, and points the SDK at both.
// "! metadata" demands that nobody has asked either; "metadata asked" that somebody has.
func metadata(ts *testscript.TestScript, neg bool, args []string) {
	file := filepath.Join(ts.Getenv("WORK"), "metadata-asked")
	if neg || len(args) > 0 {
		_, err := os.Stat(file)
		if (err == nil) == neg {
			ts.Fatalf("the machine's metadata was asked: %v, want %v", err == nil, !neg)
		}
		return
	}
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		os.WriteFile(file, []byte(r.URL.Path), 0o600)
		keys := map[string]string{
			"Code": "Success", "Type": "AWS-HMAC", "LastUpdated": time.Now().Format(time.RFC3339), "AccessKeyId": ts.Getenv("KEY_ID"),
			"SecretAccessKey": ts.Getenv("KEY_SECRET"), "Expiration": time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
		}
		switch {
		case r.Method == http.MethodPut: // IMDSv2's session
			rw.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
			fmt.Fprint(rw, "imds-session")
		case strings.HasSuffix(r.URL.Path, "/security-credentials/"), strings.HasSuffix(r.URL.Path, "/security-credentials-extended/"):
			fmt.Fprint(rw, "runner")
		default:
			rw.Header().Set("Content-Type", "application/json")
			json.NewEncoder(rw).Encode(keys)
		}
	}))
	ts.Defer(s.Close)
	ts.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", s.URL)
	ts.Setenv("CONTAINER", s.URL+"/container")
}

// sso writes what "aws sso login" leaves behind for the session or start URL named.
func sso(ts *testscript.TestScript, _ bool, args []string) {
	sum := sha1.Sum([]byte(args[0]))
	dir := filepath.Join(ts.Getenv("HOME"), ".aws", "sso", "cache")
	ts.Check(os.MkdirAll(dir, 0o700))
	expires := time.Now().Add(time.Hour)
	if len(args) > 1 {
		expires = time.Now().Add(-time.Hour)
	}
	b, err := json.Marshal(map[string]string{"accessToken": "sso-access-token-of-jane", "expiresAt": expires.UTC().Format(time.RFC3339), "region": "eu-west-2"})
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(dir, hex.EncodeToString(sum[:])+".json"), b, 0o600))
}
