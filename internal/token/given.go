package token

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// variable is a token that stands in the environment: what a user or GitLab's id_tokens put there. The first of names
// that has one is taken. It seals the cache, since no other job has it.
func variable(env Env, names ...string) candidate {
	c := candidate{missing: env.Without(names[0])}
	for _, name := range names {
		raw := env.Get(name)
		if raw == "" {
			continue
		}
		c.missing, c.from, c.secret = "", name, raw
		c.fetch = func(context.Context, *http.Client, string) (string, error) { return raw, nil }
		break
	}
	return c
}

// file is a token in a file, which is read each time because it may be replaced (EKS rotates it, and a later build on the
// same machine writes its own). The token seals the cache, so that a login belongs to that token alone.
func file(env Env, choice Choice) candidate {
	path := choice.TokenFile
	if path == "" {
		path = env.Get("AWS_WEB_IDENTITY_TOKEN_FILE")
	}
	c := candidate{from: path}
	if path == "" {
		c.missing = env.Without("ECR_OIDC_TOKEN_FILE")
		return c
	}
	raw, err := readFile(path)
	if err != nil {
		err = fmt.Errorf("reading the token file: %w", err)
	}
	c.secret = raw
	c.fetch = func(context.Context, *http.Client, string) (string, error) { return raw, err }
	return c
}

func readFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, longest+1024)) // with room for white space; Parse refuses what is longer
	if err != nil {
		return "", err
	}
	raw := strings.TrimSpace(string(b))
	if raw == "" {
		return "", fmt.Errorf("%s is empty; what writes the token there has to run before this", path)
	}
	return raw, nil
}
