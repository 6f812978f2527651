// Package repository checks the access of a login to a repository with the registry's HTTP API.
package repository

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

const (
	requestTimeout  = 6 * time.Second // for one request, including its response
	maxResponseSize = 64 << 10        // maximum number of bytes of a response that are read
)

// absentDigest is a digest that no manifest has. A registry returns MANIFEST_UNKNOWN for it if the
// login can pull from the repository. The alternatives do not work: listing tags requires
// ecr:ListImages, which a role for pulls does not need, and the response to HEAD has no error code.
var absentDigest = "sha256:" + strings.Repeat("0", 64)

// Repository is a repository, and a login for its registry.
type Repository struct {
	Registry registry.Registry
	Name     string // such as "team/app"
	Username string
	Password string
	Client   *http.Client // see NewClient
}

// NewClient returns a client for registries. It trusts roots, or the system's roots if roots is nil. It
// uses the proxy of the environment. It does not follow redirects, because the requests contain the
// password.
func NewClient(roots *x509.CertPool) *http.Client { return token.NewClient(roots) }

// CheckPull returns nil if the login can read manifests of the repository. It returns *Error if the
// registry refuses, and another error if it cannot reach the registry. It makes one request, or two
// for public.ecr.aws. It changes nothing, and does not fill a pull-through cache
// (aws/containers-roadmap#2837).
func (r Repository) CheckPull(ctx context.Context) error {
	authorization, err := r.authorize(ctx, "pull")
	if err != nil {
		return err
	}
	manifest := "https://" + r.Registry.Host + "/v2/" + r.Name + "/manifests/" + absentDigest
	resp, err := r.send(ctx, http.MethodGet, manifest, authorization)
	switch {
	case err != nil:
		return err
	case resp.code == "MANIFEST_UNKNOWN", resp.status == http.StatusOK:
		return nil
	}
	return r.refused("pull", resp)
}

// CheckPush returns nil if the login can start an upload to the repository. It starts an upload and
// cancels it. It makes two requests, or three for public.ecr.aws. Its errors are those of CheckPull.
// The result proves the permission ecr:InitiateLayerUpload. It does not prove ecr:PutImage, or that a
// tag can be overwritten.
func (r Repository) CheckPush(ctx context.Context) error {
	authorization, err := r.authorize(ctx, "pull,push")
	if err != nil {
		return err
	}
	start := "https://" + r.Registry.Host + "/v2/" + r.Name + "/blobs/uploads/"
	resp, err := r.send(ctx, http.MethodPost, start, authorization)
	switch {
	case err != nil:
		return err
	case resp.status != http.StatusAccepted:
		return r.refused("push", resp)
	}
	r.cancel(ctx, start, resp.location, authorization)
	return nil
}

// cancel cancels an upload. It ignores the result, because ECR removes incomplete uploads. It sends no
// request to a host other than the registry, because the request contains the password.
func (r Repository) cancel(ctx context.Context, start, location, authorization string) {
	base, err := url.Parse(start)
	if err != nil {
		return
	}
	upload, err := base.Parse(location)
	if err != nil || location == "" || upload.Scheme != "https" || upload.Host != r.Registry.Host {
		return
	}
	_, _ = r.send(ctx, http.MethodDelete, upload.String(), authorization)
}

// authorize returns the Authorization header for requests to the repository. ECR accepts the
// password itself. public.ecr.aws exchanges it for a token with a scope
// (https://distribution.github.io/distribution/spec/auth/token).
func (r Repository) authorize(ctx context.Context, actions string) (string, error) {
	req := http.Request{Header: http.Header{}}
	req.SetBasicAuth(r.Username, r.Password)
	basic := req.Header.Get("Authorization")
	if !r.Registry.Public {
		return basic, nil
	}
	query := url.Values{"service": {r.Registry.Host}, "scope": {"repository:" + r.Name + ":" + actions}}
	resp, err := r.send(ctx, http.MethodGet, "https://"+r.Registry.Host+"/token/?"+query.Encode(), basic)
	switch {
	case err != nil:
		return "", err
	case resp.status != http.StatusOK || resp.token == "":
		return "", r.refused("pull", resp)
	}
	return "Bearer " + resp.token, nil
}

// response contains the parts of a registry's response that this package uses.
type response struct {
	status        int
	code, message string // of the first error; "" if there is none
	location      string
	token         string
}

// send sends a request with an empty body and reads the response.
func (r Repository) send(ctx context.Context, method, target, authorization string) (response, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(nil))
	if err != nil {
		return response{}, err
	}
	req.Header.Set("Authorization", authorization)
	req.Header.Set("User-Agent", "docker-credential-ecr-oidc")
	resp, err := r.Client.Do(req)
	if err != nil {
		return response{}, fmt.Errorf("sending a request to %s: %w", r.Registry.Host, cause(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponseSize))
	if err != nil {
		return response{}, fmt.Errorf("reading the response of %s: %w", r.Registry.Host, cause(err))
	}
	var parsed struct {
		Token  string
		Errors []struct{ Code, Message string }
	}
	_ = json.Unmarshal(body, &parsed) // without JSON, the status is enough
	read := response{
		status: resp.StatusCode, location: resp.Header.Get("Location"), token: parsed.Token,
	}
	if len(parsed.Errors) > 0 {
		read.code, read.message = parsed.Errors[0].Code, parsed.Errors[0].Message
	}
	return read, nil
}

func (r Repository) refused(access string, resp response) *Error {
	return &Error{
		Registry: r.Registry, Repository: r.Name, Access: access,
		Status: resp.status, Code: resp.code, Message: resp.message,
	}
}

// name matches the name of a repository. A public name includes the alias
// (https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html).
var name = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)

// IsName reports whether text is a valid name of a repository.
func IsName(text string) bool { return len(text) <= 256 && name.MatchString(text) }
