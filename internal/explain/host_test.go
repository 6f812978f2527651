package explain

import (
	"errors"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// A host that does not resolve is a probable typo, and not a problem of a proxy.
func TestUnresolvedHost(t *testing.T) {
	lookup := func(host string) error {
		return &exchange.Error{Step: exchange.StepWebIdentity, Retryable: true,
			Message: host + ": dial tcp: lookup " + host + " on 127.0.0.53:53: no such host"}
	}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{lookup("sts.eu-wst-2.amazonaws.com"), "sts.eu-wst-2.amazonaws.com does not resolve, which " +
			"is probably a typo in the region; did you mean eu-west-2?"},
		{lookup("sts.eu-west-2.amazonaws.com"),
			"sts.eu-west-2.amazonaws.com does not resolve: check this machine's DNS"},
		{lookup("locastack"), "locastack does not resolve, which is probably a typo: check the " +
			"setting that names it"},
		{&token.RequestError{CI: "GitHub", Attempts: 5, Retryable: true,
			Why: "proxyconnect tcp: dial tcp: lookup prxy.acme: no such host"},
			"prxy.acme does not resolve: check HTTPS_PROXY for a typo"},
		{errors.New("dial tcp 127.0.0.1:1: connect: connection refused"), ""},
	} {
		if got := Advice(tt.err); got != tt.want || strings.Contains(got, "NO_PROXY") {
			t.Errorf("%v: %q, want %q", tt.err, got, tt.want)
		}
	}
}
