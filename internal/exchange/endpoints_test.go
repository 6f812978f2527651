package exchange

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// TestEndpoints checks that Endpoints returns the URLs that Login uses: the variant of the
// registry's host, a custom endpoint, or the endpoint of a profile for an "aws" identity. It makes
// no request and runs no command.
func TestEndpoints(t *testing.T) {
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		requests.Add(1)
	}))
	defer server.Close()
	dir := t.TempDir()
	marker := filepath.Join(dir, "ran")
	profiles := filepath.Join(dir, "config")
	if err := os.WriteFile(profiles, []byte(`
[profile custom]
credential_process = touch `+marker+`
endpoint_url = https://general.example
services = own
[services own]
ecr =
  endpoint_url = https://ecr.example/custom/
[profile sso]
sso_session = acme
sso_account_id = 123456789012
sso_role_name = x
[sso-session acme]
sso_start_url = `+server.URL+`
sso_region = eu-west-2
`), 0o600); err != nil {
		t.Fatal(err)
	}
	const (
		plain  = "123456789012.dkr.ecr.eu-west-2.amazonaws.com"
		dual   = "123456789012.dkr-ecr.eu-west-2.on.aws"
		usFIPS = "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com"
		usBoth = "123456789012.dkr-ecr-fips.us-west-2.on.aws"
		euFIPS = "123456789012.dkr.ecr-fips.eu-west-2.amazonaws.com"
		gov    = "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com"
		china  = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"
		public = "public.ecr.aws"
	)
	github := []string{"ACTIONS_ID_TOKEN_REQUEST_URL=" + server.URL, "ACTIONS_ID_TOKEN_REQUEST_TOKEN=x"}
	keys := []string{"GITHUB_ACTIONS=true", "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE",
		"AWS_SECRET_ACCESS_KEY=x"}
	for _, tt := range []struct {
		name, host string
		env        []string
		noRole     bool
		sts, ecr   string
		wrong      string
	}{
		{name: "plain", host: plain, env: github, sts: "https://sts.eu-west-2.amazonaws.com/",
			ecr: "https://api.ecr.eu-west-2.amazonaws.com/"},
		{name: "keys alone", host: plain, env: keys, sts: "https://sts.eu-west-2.amazonaws.com/",
			ecr: "https://api.ecr.eu-west-2.amazonaws.com/"},
		{name: "keys alone, without a role", host: plain, env: keys, noRole: true,
			ecr: "https://api.ecr.eu-west-2.amazonaws.com/"},
		{name: "no role, FIPS without an STS endpoint", host: euFIPS,
			env:    append(keys, "AWS_ENDPOINT_URL_ECR="+server.URL+"/ecr"),
			noRole: true, ecr: server.URL + "/ecr"},
		{name: "role, FIPS without an STS endpoint", host: euFIPS,
			env:   append(keys, "AWS_ENDPOINT_URL_ECR="+server.URL+"/ecr"),
			wrong: "AWS has no FIPS endpoint"},
		{name: "a profile without a role", host: plain, env: []string{"ECR_OIDC_PROFILE=custom"},
			noRole: true, ecr: "https://ecr.example/custom/"},
		{name: "dual-stack", host: dual, env: github, sts: "https://sts.eu-west-2.api.aws/",
			ecr: "https://ecr.eu-west-2.api.aws/"},
		{name: "FIPS", host: usFIPS, env: github, sts: "https://sts-fips.us-east-1.amazonaws.com/",
			ecr: "https://api.ecr-fips.us-east-1.amazonaws.com/"},
		{name: "FIPS and dual-stack", host: usBoth, env: github,
			sts: "https://sts-fips.us-west-2.api.aws/",
			ecr: "https://ecr-fips.us-west-2.api.aws/"},
		{name: "FIPS from a variable", host: "123456789012.dkr.ecr.us-east-1.amazonaws.com",
			env: append(github, "AWS_USE_FIPS_ENDPOINT=true"),
			sts: "https://sts-fips.us-east-1.amazonaws.com/",
			ecr: "https://api.ecr-fips.us-east-1.amazonaws.com/"},
		{name: "FIPS in a region without it", host: plain,
			env: append(github, "AWS_USE_FIPS_ENDPOINT=true"), wrong: "AWS has no FIPS endpoint"},
		{name: "GovCloud", host: gov, env: github, sts: "https://sts.us-gov-west-1.amazonaws.com/",
			ecr: "https://api.ecr.us-gov-west-1.amazonaws.com/"},
		{name: "China", host: china, env: github, sts: "https://sts.cn-north-1.amazonaws.com.cn/",
			ecr: "https://api.ecr.cn-north-1.amazonaws.com.cn/"},
		{name: "public", host: public, env: github, sts: "https://sts.us-east-1.amazonaws.com/",
			ecr: "https://api.ecr-public.us-east-1.amazonaws.com/"},
		{name: "custom", host: plain,
			env: append(github, "AWS_ENDPOINT_URL="+server.URL+"/all",
				"AWS_ENDPOINT_URL_STS="+server.URL+"/sts"),
			sts: server.URL + "/sts", ecr: server.URL + "/all"},
		{name: "custom, with a password and a query", host: plain,
			env: append(github,
				"AWS_ENDPOINT_URL=https://user:password@proxy.example/all?key=secret"),
			sts: "https://proxy.example/all", ecr: "https://proxy.example/all"},
		{name: "invalid AWS variable", host: plain, env: append(github, "AWS_RETRY_MODE=often"),
			wrong: "reading AWS's environment variables"},
		{name: "a profile", host: plain, env: []string{"ECR_OIDC_PROFILE=custom"},
			sts: "https://general.example/", ecr: "https://ecr.example/custom/"},
		{name: "a profile with SSO", host: plain, env: []string{"AWS_PROFILE=sso"},
			sts: "https://sts.eu-west-2.amazonaws.com/",
			ecr: "https://api.ecr.eu-west-2.amazonaws.com/"},
		{name: "missing profile", host: plain, env: []string{"ECR_OIDC_PROFILE=none"},
			wrong: `profile "none" (from ECR_OIDC_PROFILE) is in neither`},
		{name: "no profile, no keys", host: plain, sts: "https://sts.eu-west-2.amazonaws.com/",
			ecr: "https://api.ecr.eu-west-2.amazonaws.com/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.env = append(tt.env, "AWS_CONFIG_FILE="+profiles,
				"AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(dir, "none"),
				"AWS_EC2_METADATA_SERVICE_ENDPOINT="+server.URL)
			vars := map[string]string{}
			for _, pair := range tt.env {
				name, value, _ := strings.Cut(pair, "=")
				t.Setenv(name, value) // the SDK reads the process's environment
				vars[name] = value
			}
			env := token.Env(func(name string) (string, bool) {
				value, set := vars[name]
				return value, set
			})
			settings := token.Settings{Profile: vars["ECR_OIDC_PROFILE"],
				ProfileFrom: "ECR_OIDC_PROFILE", HasRole: vars["AWS_ACCESS_KEY_ID"] == ""}
			id, err := token.Identify(env, settings)
			if err != nil {
				t.Fatal(err)
			}
			in := LoginInput{
				Settings: config.Settings{Registry: parseHost(t, tt.host),
					Identity: settings, SessionName: "test"},
				Roles: config.RoleChain{ARNs: []string{role}}, Identity: id, Env: env,
				Debug: func(string, ...any) {},
			}
			if tt.noRole {
				in.Roles.ARNs = nil
			}
			sts, ecr, err := Endpoints(t.Context(), in)
			if sts != tt.sts || ecr != tt.ecr || (err == nil) != (tt.wrong == "") ||
				err != nil && !strings.Contains(err.Error(), tt.wrong) {
				t.Errorf("%q, %q, %v; want %q, %q, %q", sts, ecr, err, tt.sts, tt.ecr,
					tt.wrong)
			}
		})
	}
	if _, err := os.Stat(marker); err == nil || requests.Load() != 0 {
		t.Errorf("command run: %v; %d requests", err == nil, requests.Load())
	}
}
