package token

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// environment is a token in ECR_OIDC_TOKEN. It seals the cache, since no other job has it.
func environment(env Env, _ Settings) (Source, string) { return firstOf(env, "ECR_OIDC_TOKEN") }

// gitlab is a token in a variable that the job's id_tokens chose: ours, or the conventional name
// for the audience sts.amazonaws.com.
func gitlab(env Env, _ Settings) (Source, string) {
	return firstOf(env, "ECR_OIDC_TOKEN", "STS_AMAZONAWS_COM_ID_TOKEN")
}

// noToken is a source that has no token.
func noToken(Env, Settings) (Source, string) { return Source{}, "" }

// firstOf returns the token in the first of these variables that is set.
func firstOf(env Env, names ...string) (Source, string) {
	for _, name := range names {
		if raw := env.Get(name); raw != "" {
			return static(name, raw, nil), ""
		}
	}
	return Source{}, env.DescribeMissing(names[0])
}

// file is a token in a file, which is read each time because it may be replaced: EKS rotates it,
// and a later build on the same machine writes its own. The token seals the cache, so that a login
// belongs to that token alone.
func file(env Env, settings Settings) (Source, string) {
	path := settings.TokenFile
	if path == "" {
		path = env.Get("AWS_WEB_IDENTITY_TOKEN_FILE")
	}
	if path == "" {
		return Source{}, env.DescribeMissing("ECR_OIDC_TOKEN_FILE")
	}
	raw, err := readFile(path)
	if err != nil {
		err = fmt.Errorf("reading the token file: %w", err)
	}
	return static(path, raw, err), ""
}

// static is a source of one token, or of the error that came instead of it.
func static(origin, raw string, err error) Source {
	return Source{
		Token:  func(context.Context, *http.Client, string) (string, error) { return raw, err },
		Origin: origin, Secret: raw, CacheKeyInput: origin,
	}
}

func readFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	// There is room for white space; Parse refuses what is longer.
	b, err := io.ReadAll(io.LimitReader(f, maxToken+1024))
	if err != nil {
		return "", err
	}
	raw := strings.TrimSpace(string(b))
	if raw == "" {
		return "", fmt.Errorf("%s is empty; what writes the token there has to run before this", path)
	}
	return raw, nil
}
