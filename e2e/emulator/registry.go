package emulator

import (
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/registry"
)

var repositoryPath = regexp.MustCompile(`^/v2/(.+)/(?:blobs|manifests|tags|referrers)/`)

// registry serves a registry's images to clients with a password of the emulator's ECR.
func (r *request) registry() {
	if r.endpoint.account == "public" && strings.HasPrefix(r.endpoint.path, "/token") {
		r.publicToken()
		return
	}
	g, known, sent := r.lookUpGrant()
	if sent {
		r.recordCredentials(known)
	}
	anonymous := r.endpoint.account == "public" && !sent
	repo := ""
	if m := repositoryPath.FindStringSubmatch(r.endpoint.path); m != nil {
		repo = m[1]
	}
	action := registryAction(r.httpReq.Method, r.endpoint.path)
	switch {
	case !sent:
		r.challenge()
	// ECR responds with 403 and no challenge, so that clients do not retry:
	// https://github.com/awslabs/soci-snapshotter/pull/1196
	case !known, !anonymous && (g.region != r.endpoint.region ||
		g.public != (r.endpoint.account == "public")):
		r.writeError(apiError{http.StatusForbidden, "DENIED", "Your Authorization Token is invalid."})
	case !r.server.now().Before(g.expires):
		r.writeError(apiError{http.StatusForbidden, "DENIED",
			"Your authorization token has expired. Reauthenticate and try again."})
	case repo != "" && !r.server.permits(g, r.endpoint, action, repo):
		permission := repositoryAction(r.endpoint, action)
		r.writeError(apiError{http.StatusForbidden, "DENIED", fmt.Sprintf(
			"User: %s is not authorized to perform: %s on resource: %s "+
				"because no identity-based policy allows the %s action",
			g.principal.arn, permission, repositoryARN(r.endpoint, repo), permission)})
	default:
		r.setCaller(g.principal.arn)
		r.serveImages(repo)
	}
}

// challenge requests authentication. ECR requires the password in every request. ECR Public exchanges
// it for a bearer token, and also issues tokens to anonymous clients.
// https://github.com/aws/containers-roadmap/issues/2835
func (r *request) challenge() {
	challenge := fmt.Sprintf(`Basic realm="https://%s/",service="ecr.amazonaws.com"`, r.httpReq.Host)
	if r.endpoint.account == "public" {
		challenge = fmt.Sprintf(`Bearer realm="https://%s/token/",service="public.ecr.aws",scope="aws"`,
			r.httpReq.Host)
	}
	r.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	r.Header().Set("Www-Authenticate", challenge)
	r.WriteHeader(http.StatusUnauthorized)
	io.WriteString(r, "Not Authorized\n")
}

// recordCredentials records that the request has credentials, and whether they are valid.
func (r *request) recordCredentials(valid bool) {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	r.call.Credentials = "invalid"
	if valid {
		r.call.Credentials = "valid"
	}
}

// lookUpGrant returns what the request's credentials grant. known reports whether the emulator
// issued them, and sent whether the request has any.
func (r *request) lookUpGrant() (g passwordGrant, known, sent bool) {
	password := ""
	if r.endpoint.account == "public" {
		password, sent = strings.CutPrefix(r.httpReq.Header.Get("Authorization"), "Bearer ")
		if text, err := base64.StdEncoding.DecodeString(password); err == nil {
			password = string(text)
		}
		if password == "anonymous" {
			expires := r.server.now().Add(maxSkew)
			return passwordGrant{region: r.endpoint.region, public: true, expires: expires}, true, true
		}
	} else {
		user := ""
		user, password, sent = r.httpReq.BasicAuth()
		if user != "AWS" {
			return g, false, sent
		}
	}
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	g, known = r.server.passwordGrants[password]
	return g, known, sent
}

// publicToken issues the bearer token of ECR Public.
func (r *request) publicToken() {
	user, password, sent := r.httpReq.BasicAuth()
	r.server.mu.Lock()
	g, known := r.server.passwordGrants[password]
	r.server.mu.Unlock()
	switch {
	case !sent:
		password = "anonymous"
	case user != "AWS", !known, !g.public, !r.server.now().Before(g.expires):
		r.writeError(apiError{http.StatusForbidden, "DENIED", "Your Authorization Token is invalid."})
		return
	}
	r.setCaller(g.principal.arn)
	r.writeJSON(http.StatusOK, map[string]string{"token": base64.StdEncoding.EncodeToString([]byte(password))})
}

// registryAction returns the permission that ECR requires for a request.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_InitiateLayerUpload.html and
// similar pages
func registryAction(method, path string) string {
	read := method == http.MethodGet || method == http.MethodHead
	switch {
	case strings.Contains(path, "/blobs/uploads/"):
		switch method {
		case http.MethodPost:
			return "InitiateLayerUpload"
		case http.MethodPut:
			return "CompleteLayerUpload"
		}
		return "UploadLayerPart"
	case strings.Contains(path, "/blobs/") && method == http.MethodHead:
		return "BatchCheckLayerAvailability"
	case strings.Contains(path, "/blobs/") && read:
		return "GetDownloadUrlForLayer"
	case strings.Contains(path, "/tags/"):
		return "ListImages"
	case read:
		return "BatchGetImage"
	case method == http.MethodPut:
		return "PutImage"
	}
	return "BatchDeleteImage"
}

// publicActions are the actions on ECR Public that everyone may perform.
var publicActions = []string{"BatchGetImage", "GetDownloadUrlForLayer", "BatchCheckLayerAvailability",
	"ListImages"}

// permits reports whether a password allows an action on a repository.
func (s *Server) permits(g passwordGrant, e endpoint, action, repo string) bool {
	if e.account == "public" && slices.Contains(publicActions, action) {
		return true
	}
	return g.principal.source != "" && s.allowsRepository(g.principal, action, e, repo)
}

// serveImages serves the images of a registry. In an immutable repository ECR rejects the second push
// of a tag, even with the same digest.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
// https://github.com/aws/containers-roadmap/issues/2179
func (r *request) serveImages(repo string) {
	images := r.server.imageStore(r.endpoint.account, r.endpoint.region)
	_, tag, _ := strings.Cut(r.endpoint.path, "/manifests/")
	if r.httpReq.Method == http.MethodPut && tag != "" && !strings.Contains(tag, ":") {
		images.tagMu.Lock() // serializes pushes of a tag, so that concurrent ones cannot both be the first
		defer images.tagMu.Unlock()
		if images.immutable[repo] && images.hasManifest(r.endpoint.path) {
			r.writeError(apiError{http.StatusBadRequest, "TAG_INVALID", fmt.Sprintf(
				"The image tag '%s' already exists in the '%s' repository "+
					"and cannot be overwritten because the repository is immutable.", tag, repo)})
			return
		}
	}
	images.ServeHTTP(r, r.httpReq)
}

// SetImmutableTags makes the tags of a repository immutable or mutable. By default they are mutable.
func (s *Server) SetImmutableTags(account, region, repository string, immutable bool) {
	images := s.imageStore(account, region)
	images.tagMu.Lock()
	defer images.tagMu.Unlock()
	images.immutable[repository] = immutable
}

// imageStore holds the images of one account in one region.
type imageStore struct {
	http.Handler
	tagMu     sync.Mutex
	immutable map[string]bool // by repository
}

// hasManifest reports whether there is a manifest at a path.
func (s *imageStore) hasManifest(path string) bool {
	response := httptest.NewRecorder()
	s.ServeHTTP(response, httptest.NewRequest(http.MethodHead, path, nil))
	return response.Code == http.StatusOK
}

// imageStore returns the images of one account in one region. All host names of that registry share
// them.
func (s *Server) imageStore(account, region string) *imageStore {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := account + "/" + region
	if s.imageStores[key] == nil {
		images := registry.New(registry.Logger(log.New(io.Discard, "", 0)),
			registry.WithReferrersSupport(true))
		s.imageStores[key] = &imageStore{Handler: images, immutable: map[string]bool{}}
	}
	return s.imageStores[key]
}
