package token

import (
	"net/url"
	"strings"
)

// Secrets returns the values of all variables that hold a secret, which must be redacted in whatever is printed.
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
