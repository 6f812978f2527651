package emulator

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TestAzureTokenEndpoint checks the tokens and the errors of the documented token endpoint.
func TestAzureTokenEndpoint(t *testing.T) {
	s := start(t, Options{})
	job := s.Azure(AzureJob{Connection: "ecr-push"})
	access, url := job["SYSTEM_ACCESSTOKEN"], job["SYSTEM_OIDCREQUESTURI"]
	const version, connection = "?api-version=7.1", "?api-version=7.1&serviceConnectionId="
	push, pull := job["AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"], azureID("acme", "shop", "ecr-pull")
	without := func(header string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Del(header) }
	}
	for _, tt := range []struct {
		name, url, query, access string
		change                   func(*http.Request)
		want                     int
		sub                      string
	}{
		{"the pipeline", url, version, access, nil, 200, "p://acme/shop/app"},
		{"a connection", url, connection + push, access, nil, 200, "sc://acme/shop/ecr-push"},
		{"a connection's name", url, connection + "ecr-push", access, nil, 200, "p://acme/shop/app"},
		{"a connection of another stage", url, connection + pull, access, nil, 404, ""},
		{"an invalid token", url, version, "x", nil, 401, ""},
		{"no token", url, version, "", nil, 401, ""},
		{"an invalid token, redirect not suppressed", url, version, "x", without("X-TFS-FedAuthRedirect"),
			302, ""},
		{"redirect not suppressed", url, version, access, without("X-TFS-FedAuthRedirect"), 200,
			"p://acme/shop/app"},
		{"another job", s.Azure(AzureJob{})["SYSTEM_OIDCREQUESTURI"], version, access, nil, 404, ""},
		{"no version", url, "", access, nil, 400, ""},
		{"another method", url, version, access, func(r *http.Request) { r.Method = "GET" }, 405, ""},
		{"no content type", url, version, access, without("Content-Type"), 415, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := post(tt.url+tt.query, "application/json", "")
			r.Header.Set("Authorization", "Bearer "+tt.access)
			r.Header.Set("X-TFS-FedAuthRedirect", "Suppress")
			if tt.change != nil {
				tt.change(r)
			}
			tr := s.Transport()
			defer tr.CloseIdleConnections()
			resp, err := tr.RoundTrip(r) // RoundTrip does not follow redirects
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != tt.want {
				t.Fatalf("HTTP %s, want %d", resp.Status, tt.want)
			}
			if tt.want == 302 && !strings.Contains(resp.Header.Get("Location"), "/_signin?") {
				t.Errorf("Location: %q", resp.Header.Get("Location"))
			}
			if tt.want != 200 {
				return
			}
			c := azureClaims(t, resp)
			if c["iss"] != AzureIssuer("acme") || c["aud"] != "api://AzureADTokenExchange" ||
				c["sub"] != tt.sub {
				t.Errorf("claims %v", c)
			}
			if _, ok := c["rpo_ref"]; ok != strings.HasPrefix(tt.sub, "p:") {
				t.Errorf("only the pipeline's token names the branch: %v", c)
			}
		})
	}
}

// TestEntraToken checks Entra's token against the example in Teleport's RFD 211, which has other IDs.
func TestEntraToken(t *testing.T) {
	if got := azureBase64("499b84ac-1321-427f-aa17-267ca6975798"); got != "rISbSSETf0KqFyZ8ppdXmA" {
		t.Errorf("the encoded ID of Azure DevOps is %q", got)
	}
	s := start(t, Options{})
	job := s.Azure(AzureJob{Connection: "ecr-push", Entra: true})
	connection := job["AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"]
	url := job["SYSTEM_OIDCREQUESTURI"] + "?api-version=7.1&serviceConnectionId=" + connection
	r := post(url, "application/json", "")
	r.Header.Set("Authorization", "Bearer "+job["SYSTEM_ACCESSTOKEN"])
	tr := s.Transport()
	defer tr.CloseIdleConnections()
	resp, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	c := azureClaims(t, resp)
	if c["iss"] != EntraIssuer || c["aud"] != EntraAudience || c["azp"] != EntraAuthorizedParty {
		t.Errorf("claims %v", c)
	}
	end := "/a/rISbSSETf0KqFyZ8ppdXmA/sc/" + job["SYSTEM_COLLECTIONID"] + "/" + connection
	sub, _ := c["sub"].(string)
	if !strings.HasPrefix(sub, "/eid1/c/pub/t/") || !strings.HasSuffix(sub, end) {
		t.Errorf("subject %q", sub)
	}
	iat, _ := c.GetIssuedAt()
	exp, _ := c.GetExpirationTime()
	if life := exp.Sub(iat.Time); life != 24*time.Hour+5*time.Minute {
		t.Errorf("the token is valid for %v", life)
	}
}

func azureClaims(t *testing.T, resp *http.Response) jwt.MapClaims {
	t.Helper()
	var answer struct {
		OIDCToken string `json:"oidcToken"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	c := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(answer.OIDCToken, c); err != nil {
		t.Fatal(err)
	}
	return c
}
