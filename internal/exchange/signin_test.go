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

// startOIDCService starts an SSO OIDC service that handles CreateToken, and returns a session that
// it renews.
func startOIDCService(t *testing.T, handler http.HandlerFunc) signIn {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	file, err := ssocreds.StandardCachedTokenFilepath("acme")
	if err != nil {
		t.Fatal(err)
	}
	provider := ssocreds.NewSSOTokenProvider(ssooidc.NewFromConfig(aws.Config{
		Region: "eu-west-2", BaseEndpoint: aws.String(server.URL),
		APIOptions: []func(*middleware.Stack) error{disableRenewal},
	}), file)
	signInSession := signIn{file,
		aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
			token, err := provider.RetrieveBearerToken(ctx)
			return aws.Credentials{SessionToken: token.Value}, err
		})}
	if err := os.MkdirAll(filepath.Dir(signInSession.file), 0o700); err != nil {
		t.Fatal(err)
	}
	return signInSession
}

// writeToken writes an SSO token that expires after ttl.
func writeToken(t *testing.T, signInSession signIn, ttl time.Duration, refreshToken string) {
	b, err := json.Marshal(map[string]string{
		"accessToken": "x", "expiresAt": time.Now().Add(ttl).UTC().Format(time.RFC3339),
		"clientId": "id", "clientSecret": "secret", "refreshToken": refreshToken,
	})
	if err == nil {
		err = os.WriteFile(signInSession.file+".new", b, 0o600)
	}
	if err == nil {
		err = os.Rename(signInSession.file+".new", signInSession.file)
	}
	if err != nil {
		t.Error(err)
	}
}

// writeRefusal writes the response for a refresh token that was used before.
func writeRefusal(rw http.ResponseWriter) {
	rw.Header().Set("X-Amzn-Errortype", "InvalidGrantException")
	rw.WriteHeader(http.StatusBadRequest)
	fmt.Fprint(rw, `{"error": "invalid_grant"}`)
}

// TestRetrieveWithoutLock checks that a token that is valid or cannot be renewed is read without
// the lock.
func TestRetrieveWithoutLock(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("every read takes the lock on Windows")
	}
	for name, tt := range map[string]struct {
		ttl          time.Duration
		refreshToken string
		valid        bool
	}{
		"valid":                  {time.Hour, "next", true},
		"valid, not renewable":   {time.Hour, "", true},
		"expired, not renewable": {-time.Hour, "", false},
	} {
		signInSession := startOIDCService(t, func(rw http.ResponseWriter, _ *http.Request) {
			t.Errorf("%s: AWS received a request", name)
			writeRefusal(rw)
		})
		writeToken(t, signInSession, tt.ttl, tt.refreshToken)
		_, err := signInSession.retrieve(t.Context())
		if (err == nil) != tt.valid || !tt.valid && !mustSignIn(err) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(signInSession.file + ".lock"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: a lock file was created: %v", name, err)
		}
	}
}

// TestRenewedByAnotherProgram checks that the token of another program is used. That program does
// not use the lock, has used the refresh token, and writes the new token only after AWS has refused
// the renewal here.
func TestRenewedByAnotherProgram(t *testing.T) {
	var signInSession signIn
	var others sync.WaitGroup
	signInSession = startOIDCService(t, func(rw http.ResponseWriter, _ *http.Request) {
		writeRefusal(rw)
		others.Go(func() {
			time.Sleep(rereadDelay / 2)
			writeToken(t, signInSession, time.Hour, "next")
		})
	})
	writeToken(t, signInSession, -time.Hour, "spent")
	if _, err := signInSession.retrieve(t.Context()); err != nil {
		t.Errorf("retrieve: %v", err)
	}
	others.Wait()
}

// TestNoRenewalWithoutLock checks that an expired token is not renewed when the lock file cannot be
// created, and that a valid token is used.
func TestNoRenewalWithoutLock(t *testing.T) {
	signInSession := startOIDCService(t, func(rw http.ResponseWriter, _ *http.Request) {
		t.Error("AWS received a request")
		writeRefusal(rw)
	})
	if err := os.Mkdir(signInSession.file+".lock", 0o700); err != nil {
		t.Fatal(err)
	}
	writeToken(t, signInSession, time.Hour, "next")
	if _, err := signInSession.retrieve(t.Context()); err != nil {
		t.Errorf("retrieve: %v", err)
	}
	writeToken(t, signInSession, -time.Hour, "next")
	var expired *renewalError
	if _, err := signInSession.retrieve(t.Context()); !errors.As(err, &expired) {
		t.Errorf("retrieve: %v, want a *renewalError", err)
	}
}

// TestPartiallyWrittenToken checks that a file that another process is writing is read again.
func TestPartiallyWrittenToken(t *testing.T) {
	signInSession := startOIDCService(t, func(rw http.ResponseWriter, _ *http.Request) {
		t.Error("AWS received a request")
		writeRefusal(rw)
	})
	if err := os.WriteFile(signInSession.file, []byte(`{"accessToken": "half`), 0o600); err != nil {
		t.Fatal(err)
	}
	var others sync.WaitGroup
	others.Go(func() {
		time.Sleep(rereadDelay / 2)
		writeToken(t, signInSession, time.Hour, "next")
	})
	if _, err := signInSession.retrieve(t.Context()); err != nil {
		t.Errorf("retrieve: %v", err)
	}
	others.Wait()
}

// TestRenewalRefusedOnce checks that a refused renewal is not requested a second time, and is
// reported after rereadDelay.
func TestRenewalRefusedOnce(t *testing.T) {
	var requests atomic.Int32
	signInSession := startOIDCService(t, func(rw http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		writeRefusal(rw)
	})
	writeToken(t, signInSession, -time.Hour, "spent")
	start := time.Now()
	_, err := signInSession.retrieve(t.Context())
	if took := time.Since(start); !renewalRefused(err) || requests.Load() != 1 ||
		took > rereadDelay+3*time.Second {
		t.Errorf("%v after %v and %d requests", err, took, requests.Load())
	}
}

// TestNoTokenFile checks that a missing directory is reported as a missing session, and is not
// created.
func TestNoTokenFile(t *testing.T) {
	signInSession := startOIDCService(t, func(rw http.ResponseWriter, _ *http.Request) {
		t.Error("AWS received a request")
		writeRefusal(rw)
	})
	if err := os.RemoveAll(filepath.Dir(signInSession.file)); err != nil {
		t.Fatal(err)
	}
	if _, err := signInSession.retrieve(t.Context()); !mustSignIn(err) {
		t.Errorf("retrieve: %v, want an error for which mustSignIn is true", err)
	}
	if _, err := os.Stat(filepath.Dir(signInSession.file)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory was created: %v", err)
	}
}

// TestRenewalRefused checks for which errors of AWS the user must sign in again.
func TestRenewalRefused(t *testing.T) {
	for code, want := range map[string]bool{
		"InvalidGrantException": true, "ExpiredTokenException": true,
		"InvalidClientException": true, "UnauthorizedClientException": true,
		"SlowDownException": false, "InvalidRequestException": false, "SomethingNew": false,
	} {
		signInSession := startOIDCService(t, func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("X-Amzn-Errortype", code)
			rw.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(rw, `{}`)
		})
		writeToken(t, signInSession, -time.Hour, "token")
		if _, err := signInSession.credentials.Retrieve(t.Context()); err == nil ||
			renewalRefused(err) != want || !strings.Contains(err.Error(), code) {
			t.Errorf("%s: refused: %v: %v", code, renewalRefused(err), err)
		}
	}
}
