package token

import (
	"cmp"
	"net/url"
	"strings"
)

// Secrets returns the values of all variables that contain a secret, and the passwords in URLs.
// They must be redacted in all output.
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

// chainSecret returns the secrets that the SDK's chain may use to get credentials: the secret
// access key, a web identity's token and a container's token. It returns "" when none of them is
// set. The cache is encrypted with them, so that a process with other secrets cannot decrypt the
// login. The secret access key is not included for a profile in s, which overrides the keys in the
// environment (aws-sdk-go-v2 config/resolve_credentials.go). AWS_PROFILE does not override them.
func chainSecret(env Env, s Settings) string {
	secrets := []string{env.Get("AWS_CONTAINER_AUTHORIZATION_TOKEN")}
	if id, secret := env.AccessKey(); id != "" && s.Profile == "" {
		secrets = append(secrets, secret)
	}
	files := []string{"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"}
	for _, name := range files {
		if path := env.Get(name); path != "" {
			content, _ := readTokenFile(path) // the chain cannot read it either
			secrets = append(secrets, content)
		}
	}
	return strings.TrimSpace(strings.Join(secrets, " "))
}

// AccessKey returns the access key in the environment, from the variables that the SDK reads
// (aws-sdk-go-v2 config/env_config.go). Either part may be "".
func (e Env) AccessKey() (id, secret string) {
	return cmp.Or(e.Get("AWS_ACCESS_KEY_ID"), e.Get("AWS_ACCESS_KEY")),
		cmp.Or(e.Get("AWS_SECRET_ACCESS_KEY"), e.Get("AWS_SECRET_KEY"))
}

// urlPasswords returns the passwords in the URLs of proxies and endpoints, both as written and with
// percent-encoding decoded. It includes those in invalid URLs, because an error may quote them.
func urlPasswords(env Env) (found []string) {
	names := []string{
		"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy",
		"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS",
		"AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL_ECR_PUBLIC",
		"AWS_ENDPOINT_URL_SSO", "AWS_ENDPOINT_URL_SSO_OIDC", "AWS_ENDPOINT_URL_SIGNIN",
	}
	for _, p := range providers() {
		names = append(names, p.URL)
	}
	for _, name := range names {
		_, rest, ok := strings.Cut(env.Get(name), "://")
		if !ok {
			rest = env.Get(name) // a proxy's URL may have no scheme
		}
		_, password, _ := strings.Cut(rest[:max(strings.LastIndex(rest, "@"), 0)], ":")
		if password == "" {
			continue
		}
		found = append(found, password)
		if decoded, err := url.PathUnescape(password); err == nil && decoded != password {
			found = append(found, decoded)
		}
	}
	return found
}
