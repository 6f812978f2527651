package token

import (
	"cmp"
	"net/url"
	"strings"
)

// Secrets returns the values of all variables that hold a secret, which must be redacted in
// whatever is printed.
func (e Env) Secrets() []string {
	var found []string
	for _, p := range providers() {
		for _, name := range p.Secrets {
			if value := e.Get(name); value != "" {
				found = append(found, value)
			}
		}
	}
	return append(found, urlPasswords(e)...)
}

// chainSecret returns the secrets from which the SDK's chain may get credentials, "" when there are
// none: the secret access key, a web identity's token and a container's token. They seal the cache,
// so that a process with other ones never finds a login of these. A profile named in code goes
// before the keys (aws-sdk-go-v2 config/resolve_credentials.go); AWS_PROFILE does not.
func chainSecret(env Env, s Settings) string {
	secrets := []string{env.Get("AWS_CONTAINER_AUTHORIZATION_TOKEN")}
	if id, secret := env.AccessKey(); id != "" && s.Profile == "" {
		secrets = append(secrets, secret)
	}
	for _, name := range []string{"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"} {
		if path := env.Get(name); path != "" {
			content, _ := readFile(path) // what cannot be read gives the chain no credentials
			secrets = append(secrets, content)
		}
	}
	return strings.TrimSpace(strings.Join(secrets, " "))
}

// AccessKey returns the access key in the environment, under the names that the SDK reads (aws-sdk-go-v2
// config/env_config.go).
func (e Env) AccessKey() (id, secret string) {
	return cmp.Or(e.Get("AWS_ACCESS_KEY_ID"), e.Get("AWS_ACCESS_KEY")),
		cmp.Or(e.Get("AWS_SECRET_ACCESS_KEY"), e.Get("AWS_SECRET_KEY"))
}

// urlPasswords returns the passwords in the URLs of proxies and endpoints, as they are written and
// as they are sent. It reads URLs that do not parse, too: an error may quote them.
func urlPasswords(env Env) (found []string) {
	names := []string{
		"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy",
		"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL_ECR_PUBLIC",
		"AWS_ENDPOINT_URL_SSO", "AWS_ENDPOINT_URL_SSO_OIDC", "AWS_ENDPOINT_URL_SIGNIN",
	}
	for _, p := range providers() {
		names = append(names, p.URL)
	}
	for _, name := range names {
		_, rest, ok := strings.Cut(env.Get(name), "://")
		if !ok {
			rest = env.Get(name) // a proxy needs no scheme
		}
		_, password, _ := strings.Cut(rest[:max(strings.LastIndex(rest, "@"), 0)], ":")
		if password == "" {
			continue
		}
		found = append(found, password)
		if sent, err := url.PathUnescape(password); err == nil && sent != password {
			found = append(found, sent)
		}
	}
	return found
}
