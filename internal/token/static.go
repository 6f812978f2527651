package token

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// environment returns the token source for a token in ECR_OIDC_TOKEN. No other job has the token,
// so the cache is encrypted with it.
func environment(env Env, _ Settings) (TokenSource, string) {
	return fromVariables(env, "ECR_OIDC_TOKEN")
}

// gitlab returns the token source for GitLab. The job's id_tokens name the variable of the token.
// The supported names are ECR_OIDC_TOKEN and the conventional name for the audience
// sts.amazonaws.com.
func gitlab(env Env, _ Settings) (TokenSource, string) {
	return fromVariables(env, "ECR_OIDC_TOKEN", "STS_AMAZONAWS_COM_ID_TOKEN")
}

// noToken returns the zero TokenSource, for AWS credentials.
func noToken(Env, Settings) (TokenSource, string) { return TokenSource{}, "" }

// fromVariables returns the token source for the token in the first of these variables that is
// not empty.
func fromVariables(env Env, names ...string) (TokenSource, string) {
	for _, name := range names {
		if raw := env.Get(name); raw != "" {
			return staticTokenSource(name, raw, nil), ""
		}
	}
	return TokenSource{}, env.DescribeMissing(names[0])
}

// file returns the token source for a token in a file. Each get reads the file, because it may
// have been replaced: EKS rotates it, and a later build on the same machine writes its own. The
// cache is encrypted with the token, so that no other token finds the login.
func file(env Env, settings Settings) (TokenSource, string) {
	path := settings.TokenFile
	if path == "" {
		path = env.Get("AWS_WEB_IDENTITY_TOKEN_FILE")
	}
	if path == "" {
		return TokenSource{}, env.DescribeMissing("ECR_OIDC_TOKEN_FILE")
	}
	raw, err := readTokenFile(path)
	if err != nil {
		err = fmt.Errorf("reading the token file: %w", err)
	}
	return staticTokenSource(path, raw, err), ""
}

// staticTokenSource returns a token source whose Token returns raw and err.
func staticTokenSource(origin, raw string, err error) TokenSource {
	return TokenSource{
		Token:  func(context.Context, *http.Client, string) (string, error) { return raw, err },
		Origin: origin, CacheSecret: raw, CacheKeyInput: origin,
	}
}

// readTokenFile returns the content of a file without leading and trailing white space. An empty
// file is an error.
func readTokenFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	// The limit leaves room for white space. Parse rejects a token that is too long.
	b, err := io.ReadAll(io.LimitReader(f, maxToken+1024))
	if err != nil {
		return "", err
	}
	raw := strings.TrimSpace(string(b))
	if raw == "" {
		return "", fmt.Errorf("%s is empty; write the token to it before Docker runs", path)
	}
	return raw, nil
}
