package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// instanceMetadata starts the metadata service of an instance and the credentials endpoint of a container,
// and sets the variables that name them. "! instance-metadata" fails if either has received a request,
// "instance-metadata called" if neither has.
func instanceMetadata(ts *testscript.TestScript, neg bool, args []string) {
	file := filepath.Join(ts.Getenv("WORK"), "metadata-called")
	if neg || len(args) > 0 {
		_, err := os.Stat(file)
		if (err == nil) == neg {
			ts.Fatalf("a request for metadata: %v, want %v", err == nil, !neg)
		}
		return
	}
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		os.WriteFile(file, []byte(r.URL.Path), 0o600)
		keys := map[string]string{
			"Code":            "Success",
			"Type":            "AWS-HMAC",
			"LastUpdated":     time.Now().Format(time.RFC3339),
			"AccessKeyId":     emulator.AccessKeyID,
			"SecretAccessKey": emulator.SecretAccessKey,
			"Expiration":      time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
		}
		switch {
		case r.Method == http.MethodPut: // IMDSv2's session
			rw.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
			fmt.Fprint(rw, "imds-session")
		case strings.HasSuffix(r.URL.Path, "/security-credentials/"),
			strings.HasSuffix(r.URL.Path, "/security-credentials-extended/"):
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

// developer is the role of both kinds of login, and deployer a role that developer may assume.
const (
	developer = "arn:aws:iam::" + emulator.Account + ":role/aws-reserved/sso.amazonaws.com/Developer"
	deployer  = "arn:aws:iam::" + emulator.Account + ":role/deployer"
)

// awsSSOLogin writes the file of "aws sso login" for a session or start URL, and stores its path in SSO_FILE.
// With "refreshable" the login has a refresh token that can be used once, with "spent" one that was used.
func awsSSOLogin(ts *testscript.TestScript, _ bool, args []string) {
	emulatorOf(ts).AddRole(emulator.Role{ARN: deployer, Trust: emulator.AWSTrust(developer), Push: []string{"app*"}})
	sum := sha1.Sum([]byte(args[0]))
	token := map[string]string{
		"accessToken": "sso-access-token-of-jane",
		"expiresAt":   time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
		"region":      "eu-west-2",
		"startUrl":    "https://acme.awsapps.com/start",
	}
	if slices.Contains(args, "expired") {
		token["accessToken"] = "sso-access-token-of-yesterday"
		token["expiresAt"] = time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	}
	if slices.Contains(args, "refreshable") || slices.Contains(args, "spent") {
		token["clientId"], token["clientSecret"] = "client-id", "client-secret"
		token["registrationExpiresAt"] = time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)
		token["refreshToken"] = "sso-refresh-token-spent"
	}
	if slices.Contains(args, "refreshable") {
		token["refreshToken"] = fmt.Sprintf("sso-refresh-token-%d", time.Now().UnixNano())
		emulatorOf(ts).AddSSORefreshToken(token["refreshToken"], "sso-access-token-of-jane")
	}
	ts.Setenv("SSO_FILE", writeLogin(ts, token, "sso", hex.EncodeToString(sum[:])))
}

// awsLogin writes the file of "aws login" for a session, and stores its path in LOGIN_FILE. The fields are
// those in aws/aws-cli, tests/unit/customizations/login. With "spent" the refresh token is unknown to AWS.
// region= is the region of the login.
func awsLogin(ts *testscript.TestScript, _ bool, args []string) {
	w := emulatorOf(ts)
	w.AddRole(emulator.Role{ARN: deployer, Trust: emulator.AWSTrust(developer), Push: []string{"app*"}})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	der, err := x509.MarshalECPrivateKey(key)
	ts.Check(err)
	refresh := fmt.Sprintf("login-refresh-token-%d", time.Now().UnixNano())
	region, ttl := emulator.Region, 10*time.Minute
	for _, arg := range args[1:] {
		if r, ok := strings.CutPrefix(arg, "region="); ok {
			region = r
		}
	}
	if !slices.Contains(args, "spent") {
		w.AddConsoleLogin(refresh, region, developer, &key.PublicKey)
	}
	if slices.Contains(args, "expired") {
		ttl = -time.Minute
	}
	c := w.RoleSession(developer, "jane@example.com", ttl)
	sum := sha256.Sum256([]byte(args[0]))
	ts.Setenv("AWS_ENDPOINT_URL_SIGNIN", w.URL("signin"))
	ts.Setenv("LOGIN_FILE", writeLogin(ts, map[string]any{
		"accessToken": map[string]string{
			"accessKeyId":     c.AccessKeyID,
			"secretAccessKey": c.SecretAccessKey,
			"sessionToken":    c.SessionToken,
			"accountId":       emulator.Account,
			"expiresAt":       time.Now().Add(ttl).UTC().Format(time.RFC3339),
		},
		"tokenType":    "aws_sigv4",
		"clientId":     emulator.ConsoleClientID,
		"refreshToken": refresh,
		"idToken":      "id-token",
		"dpopKey":      string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})),
	}, "login", hex.EncodeToString(sum[:])))
}

// writeLogin writes a login to the file that the AWS CLI uses, and returns its path.
func writeLogin(ts *testscript.TestScript, token any, kind, name string) string {
	dir := filepath.Join(ts.Getenv("HOME"), ".aws", kind, "cache")
	ts.Check(os.MkdirAll(dir, 0o700))
	b, err := json.Marshal(token)
	ts.Check(err)
	file := filepath.Join(dir, name+".json")
	ts.Check(os.WriteFile(file, b, 0o600))
	return file
}
