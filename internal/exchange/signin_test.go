package exchange

import (
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
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"
)

// oidcService answers CreateToken with what answer says, and returns the login that asks it.
func oidcService(t *testing.T, answer http.HandlerFunc) *signIn {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	cfg := aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(server.URL)}
	login, err := ssoSignIn(cfg, &awsconfig.SSOSession{Name: "acme", SSORegion: "eu-west-2"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(login.file), 0o700); err != nil {
		t.Fatal(err)
	}
	return login
}

// leave writes an SSO token that lives for that long.
func leave(t *testing.T, login *signIn, life time.Duration, refreshToken string) {
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

func refuse(rw http.ResponseWriter) {
	rw.Header().Set("X-Amzn-Errortype", "InvalidGrantException")
	rw.WriteHeader(http.StatusBadRequest)
	fmt.Fprint(rw, `{"error": "invalid_grant"}`)
}

// A token that is good, or past renewing, is looked at and nothing is left beside it. On Windows a look takes the lock.
func TestNothingToRenew(t *testing.T) {
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
		login := oidcService(t, func(rw http.ResponseWriter, _ *http.Request) { t.Errorf("%s: AWS was asked", name); refuse(rw) })
		leave(t, login, tt.life, tt.refreshToken)
		if err := login.fresh(t.Context()); (err == nil) != tt.good || !tt.good && !loginOver(err) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(login.file + ".lock"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: a lock was made: %v", name, err)
		}
	}
}

// Another program, which does not know our lock, has spent the refresh token and writes the new one down only after we
// were refused: its token is taken.
func TestAnotherProgramWasFaster(t *testing.T) {
	var login *signIn
	var others sync.WaitGroup
	login = oidcService(t, func(rw http.ResponseWriter, _ *http.Request) {
		refuse(rw)
		others.Go(func() {
			time.Sleep(pause * 3 / 2)
			leave(t, login, time.Hour, "next")
		})
	})
	leave(t, login, -time.Hour, "spent")
	if err := login.fresh(t.Context()); err != nil {
		t.Error(err)
	}
	others.Wait()
}

// A file that somebody is writing in place is read again.
func TestTornToken(t *testing.T) {
	login := oidcService(t, func(rw http.ResponseWriter, _ *http.Request) { t.Error("AWS was asked"); refuse(rw) })
	if err := os.WriteFile(login.file, []byte(`{"accessToken": "half`), 0o600); err != nil {
		t.Fatal(err)
	}
	var others sync.WaitGroup
	others.Go(func() {
		time.Sleep(pause / 2)
		leave(t, login, time.Hour, "next")
	})
	if err := login.fresh(t.Context()); err != nil {
		t.Error(err)
	}
	others.Wait()
}

// A refresh that stays refused is said after a second at most, having asked AWS once.
func TestRefusedForGood(t *testing.T) {
	var asked atomic.Int32
	login := oidcService(t, func(rw http.ResponseWriter, _ *http.Request) { asked.Add(1); refuse(rw) })
	leave(t, login, -time.Hour, "spent")
	start := time.Now()
	err := login.fresh(t.Context())
	if took := time.Since(start); !refused(err) || asked.Load() != 1 || took > looks*pause+3*time.Second {
		t.Errorf("%v after %v and %d requests", err, took, asked.Load())
	}
}

// Without a folder there is no login, and none is made.
func TestNoLogin(t *testing.T) {
	login := oidcService(t, func(rw http.ResponseWriter, _ *http.Request) { t.Error("AWS was asked"); refuse(rw) })
	if err := os.RemoveAll(filepath.Dir(login.file)); err != nil {
		t.Fatal(err)
	}
	if err := login.fresh(t.Context()); !loginOver(err) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Dir(login.file)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder was made: %v", err)
	}
}

// What AWS answers to a renewal, and whether a new login would mend it.
func TestRefusedRenewal(t *testing.T) {
	for code, want := range map[string]bool{
		"InvalidGrantException": true, "ExpiredTokenException": true, "InvalidClientException": true, "UnauthorizedClientException": true,
		"SlowDownException": false, "InvalidRequestException": false, "SomethingNew": false,
	} {
		login := oidcService(t, func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("X-Amzn-Errortype", code)
			rw.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(rw, `{}`)
		})
		leave(t, login, -time.Hour, "token")
		if err := login.renew(t.Context()); err == nil || refused(err) != want || !strings.Contains(err.Error(), code) {
			t.Errorf("%s: refused: %v: %v", code, refused(err), err)
		}
	}
	if _, err := (nobody{}).CreateToken(t.Context(), &ssooidc.CreateTokenInput{}); refused(err) || !errors.Is(err, errExpired) {
		t.Errorf("nobody: %v", err)
	}
}
