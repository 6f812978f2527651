package helper

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker-credential-helpers/credentials"
)

const host = "123456789012.dkr.ecr.eu-west-2.amazonaws.com"

// ecrPassword returns a password in ECR's format: base64 of JSON with an expiration.
func ecrPassword(expires time.Time) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil,
		`{"payload":"x","version":"2","type":"DATA_KEY","expiration":%d}`, expires.Unix()))
}

// offlineHelper returns a helper outside a CI, without AWS credentials. It returns only cached logins.
func offlineHelper(t *testing.T) Helper {
	t.Helper()
	none := filepath.Join(t.TempDir(), "none")
	for _, name := range []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
		t.Setenv(name, none)
	}
	return newHelper("ECR_OIDC_CACHE_DIR=" + filepath.Join(t.TempDir(), "c"))
}

func TestStoreGetErase(t *testing.T) {
	h := offlineHelper(t)
	for _, secret := range []string{"first",
		ecrPassword(time.Now().Add(12 * time.Hour))} { // the last login wins
		if err := h.Store(t.Context(),
			&credentials.Credentials{ServerURL: "https://" + host + "/v1/",
				Username: "AWS", Secret: secret}); err != nil {
			t.Fatal(err)
		}
		for _, form := range []string{host, "https://" + host, strings.ToUpper(host),
			host + ":443/x"} {
			if username, got, err := h.Get(t.Context(), form); err != nil ||
				username != "AWS" || got != secret {
				t.Errorf("Get(%s) = %q, %q, %v, want %q", form, username, got, err,
					secret)
			}
		}
	}
	for range 4 { // as docker logout does
		if err := h.Erase(t.Context(), "http://"+host); err != nil {
			t.Fatal(err)
		}
	}
	if _, got, err := h.Get(t.Context(), host); err == nil ||
		credentials.IsErrCredentialsNotFound(err) {
		t.Errorf("after Erase: %q, %v", got, err)
	}
}

// get returns a stored login only for the host that it was stored for.
func TestStoreOneHost(t *testing.T) {
	h := offlineHelper(t)
	if err := h.Store(t.Context(), &credentials.Credentials{ServerURL: "public.ecr.aws",
		Username: "AWS", Secret: "public"}); err != nil {
		t.Fatal(err)
	}
	if _, got, err := h.Get(t.Context(), "public.ecr.aws"); err != nil || got != "public" {
		t.Errorf("Get(public.ecr.aws) = %q, %v", got, err)
	}
	for _, other := range []string{host, "ecr-public.aws.com"} {
		if _, got, err := h.Get(t.Context(), other); err == nil {
			t.Errorf("Get(%s) = %q, want an error", other, got)
		}
	}
	if _, err := os.Stat("public.ecr.aws"); err == nil {
		t.Error("store created a file in the working directory")
	}
}

func TestStoreErrors(t *testing.T) {
	h := offlineHelper(t)
	for _, tt := range []struct {
		name string
		h    Helper
		url  string
		want string
	}{
		{"host not ECR", h, "docker.io", `"docker.io" is not an ECR registry`},
		{"no cache", newHelper("ECR_OIDC_CACHE=off"), host, "storing the login for " +
			host + ": opening the cache: ECR_OIDC_CACHE is off"},
		{"CI without secret", newHelper("GITHUB_ACTIONS=true"), host,
			"no secret to encrypt the cache with"},
		{"wrong setting", newHelper("ECR_OIDC_CACHE=maybe"), host, `ECR_OIDC_CACHE is "maybe"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.h.Store(t.Context(), &credentials.Credentials{ServerURL: tt.url,
				Username: "u", Secret: "the-password"})
			if err == nil || !strings.Contains(err.Error(), tt.want) ||
				strings.Contains(err.Error(), "the-password") {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
	if err := h.Store(t.Context(), &credentials.Credentials{ServerURL: host, Username: "AWS",
		Secret: ecrPassword(time.Now().Add(-time.Hour))}); err == nil ||
		!strings.Contains(err.Error(), "it has expired") {
		t.Errorf("an expired login: %v", err)
	}
}

// For hosts that are not ECR, get returns the "not found" error that clients compare.
func TestGetNotFound(t *testing.T) {
	for _, host := range []string{"docker.io", "https://index.docker.io/v1/",
		"https://not.a.real.registry/url", "public.ecr.aws", host + ".evil.com"} {
		if _, got, err := offlineHelper(t).Get(t.Context(),
			host); !credentials.IsErrCredentialsNotFound(err) {
			t.Errorf("Get(%s) = %q, %v", host, got, err)
		}
	}
	if err := offlineHelper(t).Erase(t.Context(), "docker.io"); err != nil {
		t.Errorf("Erase: %v", err)
	}
	if got, err := offlineHelper(t).List(t.Context()); err != nil || got == nil || len(got) != 0 {
		t.Errorf("List = %v", got)
	}
}

func TestNewEntry(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, tt := range []struct {
		name, secret string
		want         time.Duration
	}{
		{"ECR password", ecrPassword(now.Add(5 * time.Hour)), 5 * time.Hour},
		{"expired ECR password", ecrPassword(now.Add(-5 * time.Hour)), -5 * time.Hour},
		{"expiry after more than 12 hours", ecrPassword(now.Add(500 * time.Hour)),
			12 * time.Hour},
		{"other password", "hunter2", 12 * time.Hour},
		{"base64 of other password", b64("hunter2"), 12 * time.Hour},
		{"JSON without expiry", b64("{}"), 12 * time.Hour},
		{"expiry not a number", b64(`{"expiration":"tomorrow"}`), 12 * time.Hour},
		{"negative expiry", b64(`{"expiration":-1}`), 12 * time.Hour},
		{"empty password", "", 12 * time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := newEntry(&credentials.Credentials{Username: "AWS",
				Secret: tt.secret}, now)
			if got.TTL != tt.want || got.Username != "AWS" || got.Secret != tt.secret ||
				!got.CreatedAt.Equal(now) {
				t.Errorf("%+v, want a TTL of %v", got, tt.want)
			}
		})
	}
}

// TestNewLoginInputWebIdentityRole checks that AWS_ROLE_ARN is used only with the token file that it
// belongs to.
func TestNewLoginInputWebIdentityRole(t *testing.T) {
	const arn = "arn:aws:iam::123456789012:role/pod"
	pair := []string{"AWS_WEB_IDENTITY_TOKEN_FILE=/none", "AWS_ROLE_ARN=" + arn}
	for _, tt := range []struct {
		name string
		env  []string
		want string
	}{
		{"pod", pair, arn},
		{"token of its own", append(pair, "ECR_OIDC_TOKEN=x", "ECR_OIDC_ROLE=ci"),
			"arn:aws:iam::123456789012:role/ci"},
		{"token without a role", append(pair, "ECR_OIDC_TOKEN=x"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := loginInputFor(t, newHelper(tt.env...), host)
			if got := strings.Join(r.Roles.ARNs, " "); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
