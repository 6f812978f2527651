//go:build clients

package clients

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// TestMinIO checks the token against MinIO, an independent implementation of STS that verifies
// JWTs. It gets the issuer's keys from the issuer's real host name, accepts a valid token and
// rejects one that another key has signed.
func TestMinIO(t *testing.T) {
	minio := need(t, "minio")
	const address = "127.0.0.1:9000"
	startServer(t, address, minio, []string{"server", "--quiet", "--address", address, t.TempDir()},
		"MINIO_ROOT_USER=root", "MINIO_ROOT_PASSWORD=rootroot", "MINIO_BROWSER=off", "MINIO_UPDATE=off",
		"MINIO_IDENTITY_OPENID_CONFIG_URL="+emulator.GitHubIssuer+"/.well-known/openid-configuration",
		"MINIO_IDENTITY_OPENID_CLIENT_ID=sts.amazonaws.com",
		"MINIO_IDENTITY_OPENID_CLAIM_NAME=policy")
	job := func(t *testing.T) *job {
		// MinIO reads the permissions from a claim and accepts any role name.
		ci := aws.GitHubRealHost(emulator.GitHubJob{Claims: map[string]any{"policy": "readwrite"}})
		return newJob(t, ci, host).withEnv("AWS_ENDPOINT_URL_STS", "http://"+address)
	}

	t.Run("valid token", func(t *testing.T) {
		aws.ResetCalls()
		_, err := job(t).get(host)
		t.Log(err)
		// The error of the emulator's ECR shows that MinIO has accepted the token: the
		// session is MinIO's.
		if err == nil || !strings.Contains(err.Error(), "UnrecognizedClientException") {
			t.Errorf("get returned %v, want the error of ECR: UnrecognizedClientException", err)
		}
		wantCalls(t, 1, 0, 1)
	})
	t.Run("token signed by another key", func(t *testing.T) {
		aws.ResetCalls()
		forged, err := json.Marshal(map[string]any{"value": aws.MintWrongKey(emulator.GitHubIssuer,
			map[string]any{
				"aud": "sts.amazonaws.com", "sub": "repo:acme/app:ref:refs/heads/main", "policy": "readwrite",
			})})
		check(t, err)
		aws.AddFault("oidc.token", emulator.Fault{Status: http.StatusOK, ContentType: "application/json",
			Body: forged, Times: 1})
		_, err = job(t).get(host)
		t.Log(err)
		if err == nil || !strings.Contains(err.Error(), "crypto/rsa: verification error") {
			t.Errorf("get returned %v, want MinIO's error: crypto/rsa: verification error", err)
		}
		wantCalls(t, 1, 0, 0)
	})
}

// TestMoto gets a password from moto, an independent implementation of AWS. Its ECR accepts
// sessions of its STS, optionally checks the signature and the role's policy, and returns an expiry
// in 2015, so the password must not be cached.
func TestMoto(t *testing.T) {
	moto := need(t, "moto_server")
	const address = "127.0.0.1:5000"
	startServer(t, address, moto, []string{"-H", "127.0.0.1", "-p", "5000"})
	endpoint := "http://" + address
	job := func(t *testing.T) *job {
		return newJob(t, trustedJob(), host).withEnv("AWS_ENDPOINT_URL_STS",
			endpoint).withEnv("AWS_ENDPOINT_URL_ECR", endpoint)
	}

	t.Run("get", func(t *testing.T) {
		aws.ResetCalls()
		j := job(t)
		for range 2 {
			a, err := j.get(host)
			check(t, err)
			if a.Username != "AWS" || a.Secret != "123456789012-auth-token" {
				t.Errorf("got user %q, password %q", a.Username, a.Secret)
			}
		}
		// Two gets make two requests for tokens because nothing is cached.
		wantCalls(t, 2, 0, 0)
		j.checkNoSecrets(t, "123456789012-auth-token")
	})

	// With IAM enabled, moto requires a signed request and a role with a policy.
	trust, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{}})
	check(t, err)
	motoIAM(t, endpoint, "CreateRole",
		url.Values{"RoleName": {"ci"}, "AssumeRolePolicyDocument": {string(trust)}})
	t.Run("role without policy", func(t *testing.T) {
		enableMotoIAM(t, endpoint)
		_, err := job(t).get(host)
		t.Log(err)
		// moto's error is XML instead of JSON, so its code is not available.
		if err == nil || !strings.Contains(err.Error(), "403") {
			t.Errorf("get returned %v, want HTTP 403", err)
		}
	})
	policy, err := json.Marshal(map[string]any{
		"Version": "2012-10-17",
		"Statement": []any{map[string]any{
			"Effect":   "Allow",
			"Action":   "ecr:GetAuthorizationToken",
			"Resource": "*",
		}},
	})
	check(t, err)
	motoIAM(t, endpoint, "PutRolePolicy", url.Values{
		"RoleName":       {"ci"},
		"PolicyName":     {"login"},
		"PolicyDocument": {string(policy)},
	})
	t.Run("role with policy", func(t *testing.T) {
		enableMotoIAM(t, endpoint)
		a, err := job(t).get(host)
		check(t, err)
		if a.Secret != "123456789012-auth-token" {
			t.Errorf("got password %q", a.Secret)
		}
	})
}

// enableMotoIAM enables moto's IAM until the test ends, except for the next call, which is the
// unsigned one to STS.
func enableMotoIAM(t *testing.T, endpoint string) {
	t.Helper()
	setUncheckedCalls := func(n string) {
		post(t, endpoint+"/moto-api/reset-auth", "text/plain", n, "")
	}
	setUncheckedCalls("1")
	t.Cleanup(func() { setUncheckedCalls("inf") })
}

// motoIAM calls an action of moto's IAM.
func motoIAM(t *testing.T, endpoint, action string, form url.Values) {
	t.Helper()
	form.Set("Action", action)
	form.Set("Version", "2010-05-08")
	// moto reads the service from the scope. It does not check the signature yet.
	post(t, endpoint+"/", "application/x-www-form-urlencoded", form.Encode(),
		"AWS4-HMAC-SHA256 Credential="+emulator.AccessKeyID+"/20260101/us-east-1/iam/aws4_request, "+
			"SignedHeaders=host, Signature=0")
}

func post(t *testing.T, to, contentType, body, authorization string) {
	t.Helper()
	req, err := http.NewRequest("POST", to, strings.NewReader(body))
	check(t, err)
	req.Header.Set("Content-Type", contentType)
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	res, err := http.DefaultClient.Do(req)
	check(t, err)
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusOK {
		t.Fatalf("POST %s: %s: %s", to, res.Status, b)
	}
}

// startServer runs a server until the test ends, and returns when it listens.
func startServer(t *testing.T, address, program string, args []string, env ...string) {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), "log")
	check(t, err)
	cmd := exec.Command(program, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LANG=C.UTF-8"}, env...)
	cmd.Stdout, cmd.Stderr = log, log
	check(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		b, _ := os.ReadFile(log.Name())
		t.Logf("output of %s:\n%s", program, b)
	})
	if err := waitForPort(address, 30*time.Second); err != nil {
		t.Fatal(err)
	}
}

// waitForPort waits until a server listens on an address.
func waitForPort(address string, within time.Duration) error {
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			return c.Close()
		}
	}
	return fmt.Errorf("nothing listens on %s after %v", address, within)
}
