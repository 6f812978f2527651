package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"
	"github.com/aws/smithy-go/middleware"
)

// oidcService starts a service that answers CreateToken with answer, and returns a login whose tokens it renews.
func startOIDCService(t *testing.T, answer http.HandlerFunc) signIn {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	file, err := ssocreds.StandardCachedTokenFilepath("acme")
	if err != nil {
		t.Fatal(err)
	}
	provider := ssocreds.NewSSOTokenProvider(ssooidc.NewFromConfig(aws.Config{
		Region: "eu-west-2", BaseEndpoint: aws.String(server.URL), APIOptions: []func(*middleware.Stack) error{refuseRenewal},
	}), file)
	login := signIn{file, aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		token, err := provider.RetrieveBearerToken(ctx)
		return aws.Credentials{SessionToken: token.Value}, err
	})}
	if err := os.MkdirAll(filepath.Dir(login.file), 0o700); err != nil {
		t.Fatal(err)
	}
	return login
}

// leave writes an SSO token that lives for that long.
func writeToken(t *testing.T, login signIn, life time.Duration, refreshToken string) {
	b, err := json.Marshal(map[string]string{
		"accessToken": "x", "expiresAt": time.Now().Add(life).UTC().Format(time.RFC3339),
		"clientId": "id", "clientSecret": "secret", "refreshToken": refreshToken,
	})
	if err == nil {
		err = os.WriteFile(login.file+".new", b, 0o600)
	}
	if err == nil {
		err = os.Rename(login.file+".new", login.file)
	}
	if err != nil {
		t.Error(err)
	}
}

func refuseRenewalResponse(rw http.ResponseWriter) {
	rw.Header().Set("X-Amzn-Errortype", "InvalidGrantException")
	rw.WriteHeader(http.StatusBadRequest)
	fmt.Fprint(rw, `{"error": "invalid_grant"}`)
}

// A token that is valid, or cannot be renewed, is read without a lock. On Windows every read takes the lock.
func TestRetrieveWithoutLock(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skipf("there each look takes the lock, so that it cannot be in a renewal's way")
	}
	for name, tt := range map[string]struct {
		life         time.Duration
		refreshToken string
		good         bool
	}{
		"good":                {time.Hour, "next", true},
		"good, not renewable": {time.Hour, "", true},
		"past renewing":       {-time.Hour, "", false},
	} {
		login := startOIDCService(t, func(rw http.ResponseWriter, _ *http.Request) {
			t.Errorf("%s: AWS was asked", name)
			refuseRenewalResponse(rw)
		})
		writeToken(t, login, tt.life, tt.refreshToken)
		if _, err := login.retrieve(t.Context()); (err == nil) != tt.good || !tt.good && !needsLogin(err) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(login.file + ".lock"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: a lock was made: %v", name, err)
		}
	}
}

// Another program, which does not know our lock, has spent the refresh token and writes the new one down only after we
// were refused: its token is taken.
func TestRenewedByAnotherProgram(t *testing.T) {
	var login signIn
	var others sync.WaitGroup
	login = startOIDCService(t, func(rw http.ResponseWriter, _ *http.Request) {
		refuseRenewalResponse(rw)
		others.Go(func() {
			time.Sleep(rereadDelay / 2)
			writeToken(t, login, time.Hour, "next")
		})
	})
	writeToken(t, login, -time.Hour, "spent")
	if _, err := login.retrieve(t.Context()); err != nil {
		t.Error(err)
	}
	others.Wait()
}

// Where the lock's file cannot be created, an expired token is not renewed, and a valid one is used.
func TestNoRenewalWithoutLock(t *testing.T) {
	login := startOIDCService(t, func(rw http.ResponseWriter, _ *http.Request) { t.Error("AWS was asked"); refuseRenewalResponse(rw) })
	if err := os.Mkdir(login.file+".lock", 0o700); err != nil {
		t.Fatal(err)
	}
	writeToken(t, login, time.Hour, "next")
	if _, err := login.retrieve(t.Context()); err != nil {
		t.Error(err)
	}
	writeToken(t, login, -time.Hour, "next")
	var expired *renewalError
	if _, err := login.retrieve(t.Context()); !errors.As(err, &expired) {
		t.Error(err)
	}
}

// A file that somebody is writing in place is read again.
func TestPartiallyWrittenToken(t *testing.T) {
	login := startOIDCService(t, func(rw http.ResponseWriter, _ *http.Request) { t.Error("AWS was asked"); refuseRenewalResponse(rw) })
	if err := os.WriteFile(login.file, []byte(`{"accessToken": "half`), 0o600); err != nil {
		t.Fatal(err)
	}
	var others sync.WaitGroup
	others.Go(func() {
		time.Sleep(rereadDelay / 2)
		writeToken(t, login, time.Hour, "next")
	})
	if _, err := login.retrieve(t.Context()); err != nil {
		t.Error(err)
	}
	others.Wait()
}

// A refused renewal is reported after one pause, in which AWS is not asked a second time.
func TestRenewalRefusedOnce(t *testing.T) {
	var requests atomic.Int32
	login := startOIDCService(t, func(rw http.ResponseWriter, _ *http.Request) { requests.Add(1); refuseRenewalResponse(rw) })
	writeToken(t, login, -time.Hour, "spent")
	start := time.Now()
	_, err := login.retrieve(t.Context())
	if took := time.Since(start); !renewalRefused(err) || requests.Load() != 1 || took > rereadDelay+3*time.Second {
		t.Errorf("%v after %v and %d requests", err, took, requests.Load())
	}
}

// Without a folder there is no login, and none is made.
func TestNoTokenFile(t *testing.T) {
	login := startOIDCService(t, func(rw http.ResponseWriter, _ *http.Request) { t.Error("AWS was asked"); refuseRenewalResponse(rw) })
	if err := os.RemoveAll(filepath.Dir(login.file)); err != nil {
		t.Fatal(err)
	}
	if _, err := login.retrieve(t.Context()); !needsLogin(err) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Dir(login.file)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder was made: %v", err)
	}
}

// What AWS answers to a renewal, and whether a new login would mend it.
func TestRenewalRefused(t *testing.T) {
	for code, want := range map[string]bool{
		"InvalidGrantException": true, "ExpiredTokenException": true, "InvalidClientException": true, "UnauthorizedClientException": true,
		"SlowDownException": false, "InvalidRequestException": false, "SomethingNew": false,
	} {
		login := startOIDCService(t, func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("X-Amzn-Errortype", code)
			rw.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(rw, `{}`)
		})
		writeToken(t, login, -time.Hour, "token")
		if _, err := login.credentials.Retrieve(t.Context()); err == nil || renewalRefused(err) != want || !strings.Contains(err.Error(), code) {
			t.Errorf("%s: refused: %v: %v", code, renewalRefused(err), err)
		}
	}
}
