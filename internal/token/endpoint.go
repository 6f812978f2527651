package token

import (
	"errors"
	"net"
	"net/url"
	"strings"
)

// ErrClearText is the error of ParseEndpoint for a URL that would send a secret over the network in
// clear text.
var ErrClearText = errors.New("it must be an https URL")

// ParseEndpoint parses the URL of a service that receives a secret. The URL must use https or name
// this machine (loopback); for any other, ParseEndpoint returns the URL together with ErrClearText.
// The error does not quote the URL, which may contain a password.
func ParseEndpoint(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "":
		return nil, errors.New("it is not a URL")
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return u, nil
	}
	return u, ErrClearText
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
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
