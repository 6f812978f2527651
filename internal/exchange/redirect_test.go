package exchange

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sso"
)

// TestRedirectNotFollowed checks that a redirect is not followed. The SDK would send the token of
// an SSO session to the other host.
func TestRedirectNotFollowed(t *testing.T) {
	var elsewhere, requests atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		elsewhere.Add(1)
	}))
	defer other.Close()
	portal := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		http.Redirect(rw, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer portal.Close()
	in := LoginInput{Env: environ(), Debug: func(string, ...any) {}}
	cfg := aws.Config{
		Region: "eu-west-2", HTTPClient: in.httpClient(), BaseEndpoint: aws.String(portal.URL),
		APIOptions: in.apiOptions(),
		Retryer:    retryer(t.Context(), aws.RetryModeStandard, 0),
	}
	_, err := sso.NewFromConfig(cfg).GetRoleCredentials(t.Context(), &sso.GetRoleCredentialsInput{
		AccessToken: aws.String("token"), AccountId: aws.String("123456789012"),
		RoleName: aws.String("x"),
	})
	if err == nil || !strings.Contains(describeSDKError(err), "redirects are not followed") {
		t.Errorf("error %v", err)
	}
	if elsewhere.Load() != 0 || requests.Load() != 1 {
		t.Errorf("%d requests to the other host, %d to the portal; want 0 and 1", elsewhere.Load(),
			requests.Load())
	}
}
