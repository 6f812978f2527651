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

// MinIO is an STS that nobody here wrote and that verifies the JWT: it reads
// the issuer's keys by their real name, takes a good token, and refuses one that
// another key signed.
func TestMinIO(t *testing.T) {
	minio := need(t, "minio")
	const address = "127.0.0.1:9000"
	start(t, address, minio, []string{"server", "--quiet", "--address", address, t.TempDir()},
		"MINIO_ROOT_USER=root", "MINIO_ROOT_PASSWORD=rootroot", "MINIO_BROWSER=off", "MINIO_UPDATE=off",
		"MINIO_IDENTITY_OPENID_CONFIG_URL="+emulator.GitHubIssuer+"/.well-known/openid-configuration",
		"MINIO_IDENTITY_OPENID_CLIENT_ID=sts.amazonaws.com",
		"MINIO_IDENTITY_OPENID_CLAIM_NAME=policy")
	job := func(t *testing.T) *job {
		// MinIO takes its permissions from a claim, and any role's name with it.
		ci := aws.GitHubRealHost(emulator.GitHubJob{Claims: map[string]any{"policy": "readwrite"}})
		return newJob(t, ci, host).with("AWS_ENDPOINT_URL_STS", "http://"+address)
	}

	t.Run("good token", func(t *testing.T) {
		aws.ResetCalls()
		_, err := job(t).get(host)
		t.Log(err)
		// MinIO's session is no session of the emulator, whose ECR says so: STS
		// had accepted the token.
		if err == nil || !strings.Contains(err.Error(), "UnrecognizedClientException") {
			t.Errorf("get says %v, want the refusal of ECR: UnrecognizedClientException", err)
		}
		asked(t, 1, 0, 1)
	})
	t.Run("token signed by another key", func(t *testing.T) {
		aws.ResetCalls()
		forged, err := json.Marshal(map[string]any{"value": aws.MintWrongKey(emulator.GitHubIssuer, map[string]any{
			"aud": "sts.amazonaws.com", "sub": "repo:acme/app:ref:refs/heads/main", "policy": "readwrite",
		})})
		check(t, err)
		aws.Fail("oidc.token", emulator.Fault{Status: http.StatusOK, ContentType: "application/json", Body: forged, Times: 1})
		_, err = job(t).get(host)
		t.Log(err)
		if err == nil || !strings.Contains(err.Error(), "crypto/rsa: verification error") {
			t.Errorf("get says %v, want MinIO's own words: crypto/rsa: verification error", err)
		}
		asked(t, 1, 0, 0)
	})
}

// moto is an AWS that nobody here wrote: its ECR gives a password for the
// session of its STS, checks the signature and the role's policy when told to,
// and says that the password expired in 2015, so that it must not be kept.
func TestMoto(t *testing.T) {
	moto := need(t, "moto_server")
	const address = "127.0.0.1:5000"
	start(t, address, moto, []string{"-H", "127.0.0.1", "-p", "5000"})
	endpoint := "http://" + address
	job := func(t *testing.T) *job {
		return newJob(t, trusted(), host).with("AWS_ENDPOINT_URL_STS", endpoint).with("AWS_ENDPOINT_URL_ECR", endpoint)
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
		// Two gets, two tokens: nothing came from the cache.
		asked(t, 2, 0, 0)
		j.leftNothing(t, "123456789012-auth-token")
	})

	// With moto's IAM on, the request must be signed as AWS wants it, and the
	// role must have a policy.
	trust, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{}})
	check(t, err)
	motoIAM(t, endpoint, "CreateRole", url.Values{"RoleName": {"ci"}, "AssumeRolePolicyDocument": {string(trust)}})
	t.Run("role without policy", func(t *testing.T) {
		motoChecks(t, endpoint)
		_, err := job(t).get(host)
		t.Log(err)
		// moto's refusal is XML here, where AWS's is JSON: the code is lost.
		if err == nil || !strings.Contains(err.Error(), "403") {
			t.Errorf("get says %v, want HTTP 403", err)
		}
	})
	motoIAM(t, endpoint, "PutRolePolicy", url.Values{"RoleName": {"ci"}, "PolicyName": {"login"},
		"PolicyDocument": {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecr:GetAuthorizationToken","Resource":"*"}]}`}})
	t.Run("role with policy", func(t *testing.T) {
		motoChecks(t, endpoint)
		a, err := job(t).get(host)
		check(t, err)
		if a.Secret != "123456789012-auth-token" {
			t.Errorf("got password %q", a.Secret)
		}
	})
}

// motoChecks turns moto's IAM on after one more free call, which is the
// unsigned one to STS; the test's end turns it off.
func motoChecks(t *testing.T, endpoint string) {
	t.Helper()
	set := func(free string) {
		post(t, endpoint+"/moto-api/reset-auth", "text/plain", free, "")
	}
	set("1")
	t.Cleanup(func() { set("inf") })
}

func motoIAM(t *testing.T, endpoint, action string, form url.Values) {
	t.Helper()
	form.Set("Action", action)
	form.Set("Version", "2010-05-08")
	// moto finds the service in the scope; it does not check the signature yet.
	post(t, endpoint+"/", "application/x-www-form-urlencoded", form.Encode(),
		"AWS4-HMAC-SHA256 Credential="+emulator.AccessKeyID+"/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0")
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

// start runs a server until the test ends, and returns when it listens.
func start(t *testing.T, address, program string, args []string, env ...string) {
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
		t.Logf("%s wrote:\n%s", program, b)
	})
	if err := reach(address, 30*time.Second); err != nil {
		t.Fatal(err)
	}
}

func reach(address string, within time.Duration) error {
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			return c.Close()
		}
	}
	return fmt.Errorf("nothing listens on %s after %v", address, within)
}
