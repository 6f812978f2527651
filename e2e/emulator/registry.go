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

// registry serves images to those whose password came from the emulator's ECR.
func (v *visit) registry() {
	if v.at.account == "public" && strings.HasPrefix(v.at.path, "/token") {
		v.publicToken()
		return
	}
	g, known, sent := v.login()
	if sent {
		v.sent(known)
	}
	anonymous := v.at.account == "public" && !sent
	repo := ""
	if m := repositoryPath.FindStringSubmatch(v.at.path); m != nil {
		repo = m[1]
	}
	what := registryAction(v.r.Method, v.at.path)
	switch {
	case !sent:
		v.challenge()
	// Refused with 403 and no challenge, so that clients do not ask again:
	// https://github.com/awslabs/soci-snapshotter/pull/1196
	case !known, !anonymous && (g.region != v.at.region || g.public != (v.at.account == "public")):
		v.fail(apiError{http.StatusForbidden, "DENIED", "Your Authorization Token is invalid."})
	case !v.w.now().Before(g.expires):
		v.fail(apiError{http.StatusForbidden, "DENIED", "Your authorization token has expired. Reauthenticate and try again."})
	case repo != "" && !v.w.permits(g, v.at, what, repo):
		action := repositoryAction(v.at, what)
		v.fail(apiError{http.StatusForbidden, "DENIED", fmt.Sprintf(
			"User: %s is not authorized to perform: %s on resource: %s because no identity-based policy allows the %s action",
			g.who.arn, action, repositoryARN(v.at, repo), action)})
	default:
		v.caller(g.who.arn)
		v.images(repo)
	}
}

// challenge asks for a password. ECR wants it in every request; ECR Public
// exchanges it for a bearer token, and has one for those without password too.
// https://github.com/aws/containers-roadmap/issues/2835
func (v *visit) challenge() {
	kind := fmt.Sprintf(`Basic realm="https://%s/",service="ecr.amazonaws.com"`, v.r.Host)
	if v.at.account == "public" {
		kind = fmt.Sprintf(`Bearer realm="https://%s/token/",service="public.ecr.aws",scope="aws"`, v.r.Host)
	}
	v.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	v.Header().Set("Www-Authenticate", kind)
	v.WriteHeader(http.StatusUnauthorized)
	io.WriteString(v, "Not Authorized\n")
}

// sent notes that credentials came with the request, and whether they are some
// that the emulator gave out.
func (v *visit) sent(known bool) {
	v.w.mu.Lock()
	defer v.w.mu.Unlock()
	v.call.Credentials = "invalid"
	if known {
		v.call.Credentials = "valid"
	}
}

// login finds what stands behind the request's credentials.
func (v *visit) login() (g grant, known, sent bool) {
	password := ""
	if v.at.account == "public" {
		password, sent = strings.CutPrefix(v.r.Header.Get("Authorization"), "Bearer ")
		if text, err := base64.StdEncoding.DecodeString(password); err == nil {
			password = string(text)
		}
		if password == "anonymous" {
			return grant{region: v.at.region, public: true, expires: v.w.now().Add(maxSkew)}, true, true
		}
	} else {
		user := ""
		user, password, sent = v.r.BasicAuth()
		if user != "AWS" {
			return g, false, sent
		}
	}
	v.w.mu.Lock()
	defer v.w.mu.Unlock()
	g, known = v.w.passwords[password]
	return g, known, sent
}

func (v *visit) publicToken() {
	user, password, sent := v.r.BasicAuth()
	v.w.mu.Lock()
	g, known := v.w.passwords[password]
	v.w.mu.Unlock()
	switch {
	case !sent:
		password = "anonymous"
	case user != "AWS", !known, !g.public, !v.w.now().Before(g.expires):
		v.fail(apiError{http.StatusForbidden, "DENIED", "Your Authorization Token is invalid."})
		return
	}
	v.caller(g.who.arn)
	v.json(http.StatusOK, map[string]string{"token": base64.StdEncoding.EncodeToString([]byte(password))})
}

// registryAction is the permission that ECR wants for a request.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_InitiateLayerUpload.html and the others of that name
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

// permits reports whether whoever logged in may do this to a repository. Images
// of ECR Public are everyone's to pull.
func (w *Server) permits(g grant, at place, what, repo string) bool {
	if at.account == "public" && slices.Contains([]string{"BatchGetImage", "GetDownloadUrlForLayer", "BatchCheckLayerAvailability", "ListImages"}, what) {
		return true
	}
	return g.who.source != "" && w.mayUse(g.who, what, at, repo)
}

// images serves the images of the registry that was asked. A tag of an immutable
// repository is pushed once: ECR refuses the next one, of the same digest too.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
// https://github.com/aws/containers-roadmap/issues/2179
func (v *visit) images(repo string) {
	s := v.w.store(v.at.account, v.at.region)
	_, tag, _ := strings.Cut(v.at.path, "/manifests/")
	if v.r.Method == http.MethodPut && tag != "" && !strings.Contains(tag, ":") {
		s.tagging.Lock() // one at a time, so that of two pushes one is the second
		defer s.tagging.Unlock()
		if s.immutable[repo] && s.has(v.at.path) {
			v.fail(apiError{http.StatusBadRequest, "TAG_INVALID", fmt.Sprintf(
				"The image tag '%s' already exists in the '%s' repository and cannot be overwritten because the repository is immutable.", tag, repo)})
			return
		}
	}
	s.ServeHTTP(v, v.r)
}

// SetImmutableTags makes the tags of one repository immutable, or mutable again, as
// they are by default.
func (w *Server) SetImmutableTags(account, region, repository string, immutable bool) {
	s := w.store(account, region)
	s.tagging.Lock()
	defer s.tagging.Unlock()
	s.immutable[repository] = immutable
}

// store is the images of one account in one region.
type store struct {
	http.Handler
	tagging   sync.Mutex
	immutable map[string]bool // by repository
}

// has reports whether there is a manifest at a path.
func (s *store) has(path string) bool {
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, httptest.NewRequest(http.MethodHead, path, nil))
	return answer.Code == http.StatusOK
}

// store returns the images of one account in one region, by whichever of its
// names they are asked for.
func (w *Server) store(account, region string) *store {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := account + "/" + region
	if w.stores[key] == nil {
		images := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))
		w.stores[key] = &store{Handler: images, immutable: map[string]bool{}}
	}
	return w.stores[key]
}
