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

// developer is the role that Jane has by either login, and deployer one that it may assume.
const (
	developer = "arn:aws:iam::" + emulator.Account + ":role/aws-reserved/sso.amazonaws.com/Developer"
	deployer  = "arn:aws:iam::" + emulator.Account + ":role/deployer"
)

// sso writes what "aws sso login" leaves behind for the session or start URL named, and puts the file's path into
// SSO_FILE. "refreshable" comes with a refresh token that is good once, "spent" with one that was.
func sso(ts *testscript.TestScript, _ bool, args []string) {
	the(ts).AddRole(emulator.Role{ARN: deployer, Trust: emulator.AWSTrust(developer), Push: []string{"app*"}})
	sum := sha1.Sum([]byte(args[0]))
	token := map[string]string{
		"accessToken": "sso-access-token-of-jane", "expiresAt": time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
		"region": "eu-west-2", "startUrl": "https://acme.awsapps.com/start",
	}
	if slices.Contains(args, "expired") {
		token["accessToken"], token["expiresAt"] = "sso-access-token-of-yesterday", time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	}
	if slices.Contains(args, "refreshable") || slices.Contains(args, "spent") {
		token["clientId"], token["clientSecret"] = "client-id", "client-secret"
		token["registrationExpiresAt"] = time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)
		token["refreshToken"] = "sso-refresh-token-spent"
	}
	if slices.Contains(args, "refreshable") {
		token["refreshToken"] = fmt.Sprintf("sso-refresh-token-%d", time.Now().UnixNano())
		the(ts).AddSSORefreshToken(token["refreshToken"], "sso-access-token-of-jane")
	}
	ts.Setenv("SSO_FILE", keep(ts, token, "sso", hex.EncodeToString(sum[:])))
}

// login writes what "aws login" leaves behind for the session named (its fields as in aws/aws-cli,
// tests/unit/customizations/login), and puts the file's path into LOGIN_FILE. The refresh token of a "spent" one is
// nobody's; region= is where the login was made.
func login(ts *testscript.TestScript, _ bool, args []string) {
	w := the(ts)
	w.AddRole(emulator.Role{ARN: deployer, Trust: emulator.AWSTrust(developer), Push: []string{"app*"}})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	der, err := x509.MarshalECPrivateKey(key)
	ts.Check(err)
	refresh, region, life := fmt.Sprintf("login-refresh-token-%d", time.Now().UnixNano()), emulator.Region, 10*time.Minute
	for _, arg := range args[1:] {
		if r, ok := strings.CutPrefix(arg, "region="); ok {
			region = r
		}
	}
	if !slices.Contains(args, "spent") {
		w.AddConsoleLogin(refresh, region, developer, &key.PublicKey)
	}
	if slices.Contains(args, "expired") {
		life = -time.Minute
	}
	c := w.RoleSession(developer, "jane@example.com", life)
	sum := sha256.Sum256([]byte(args[0]))
	ts.Setenv("AWS_ENDPOINT_URL_SIGNIN", w.URL("signin"))
	ts.Setenv("LOGIN_FILE", keep(ts, map[string]any{
		"accessToken": map[string]string{
			"accessKeyId": c.AccessKeyID, "secretAccessKey": c.SecretAccessKey, "sessionToken": c.SessionToken,
			"accountId": emulator.Account, "expiresAt": time.Now().Add(life).UTC().Format(time.RFC3339),
		},
		"tokenType": "aws_sigv4", "clientId": emulator.ConsoleClientID, "refreshToken": refresh, "idToken": "id-token",
		"dpopKey": string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})),
	}, "login", hex.EncodeToString(sum[:])))
}

// keep writes a token to where the AWS CLI does.
func keep(ts *testscript.TestScript, token any, kind, name string) string {
	dir := filepath.Join(ts.Getenv("HOME"), ".aws", kind, "cache")
	ts.Check(os.MkdirAll(dir, 0o700))
	b, err := json.Marshal(token)
	ts.Check(err)
	file := filepath.Join(dir, name+".json")
	ts.Check(os.WriteFile(file, b, 0o600))
	return file
}
