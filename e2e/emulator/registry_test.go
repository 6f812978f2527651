package emulator

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// registryClient is a minimal registry client. The one of go-containerregistry would add all of
// docker/cli to go.mod.
type registryClient struct {
	t        *testing.T
	s        *Server
	host     string
	password string // empty: anonymous
	bearer   string
}

// call sends a request. It exchanges the password for a token first if the registry requires one.
func (c *registryClient) call(method, path, body string) (int, string, http.Header) {
	c.t.Helper()
	r := post("https://"+c.host+path, "application/vnd.oci.image.manifest.v1+json", body)
	r.Method = method
	if c.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+c.bearer)
	} else if c.password != "" {
		r.SetBasicAuth("AWS", c.password)
	}
	tr := c.s.Transport()
	defer tr.CloseIdleConnections()
	resp, err := tr.RoundTrip(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(resp.Header.Get("Www-Authenticate"), `Bearer realm="`)
	realm, _, bearer := strings.Cut(rest, `"`)
	if resp.StatusCode != http.StatusUnauthorized || !bearer || c.bearer != "" {
		return resp.StatusCode, string(b), resp.Header
	}
	tokenRequest := get(realm)
	if c.password != "" {
		tokenRequest.SetBasicAuth("AWS", c.password)
	}
	status, answer := send(c.t, c.s, tokenRequest)
	var out struct{ Token string }
	if err := json.Unmarshal([]byte(answer), &out); err != nil || out.Token == "" {
		return status, answer, nil
	}
	c.bearer = out.Token
	return c.call(method, path, body)
}

// push uploads an image of one layer and returns the error response, if any.
func (c *registryClient) push(repo string) string {
	const layer = "{}"
	sum := "sha256:" + sha256Hex([]byte(layer))
	status, body, h := c.call("POST", "/v2/"+repo+"/blobs/uploads/", "")
	if status != http.StatusAccepted {
		return body
	}
	if status, body, _ := c.call("PUT", h.Get("Location")+"?digest="+sum,
		layer); status != http.StatusCreated {
		return body
	}
	if status, body, _ := c.call("PUT", "/v2/"+repo+"/manifests/1",
		manifest(sum)); status != http.StatusCreated {
		return body
	}
	return ""
}

func manifest(sum string) string {
	return `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",` +
		`"config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,"digest":"` + sum +
		`"},"layers":[]}`
}

// pull gets the manifest and returns the error response, if any.
func (c *registryClient) pull(repo string) string {
	if status, body, _ := c.call("GET", "/v2/"+repo+"/manifests/1", ""); status != http.StatusOK {
		return or(body, "?")
	}
	return ""
}

func TestRegistry(t *testing.T) {
	var skew atomic.Int64
	s := start(t, Options{Clock: func() time.Time { return time.Now().Add(time.Duration(skew.Load())) }})
	s.AddRole(Role{ARN: CIRole + "-reader", Trust: GitHubTrust("repo:acme/app:ref:refs/heads/main"),
		Pull: []string{"app", SpokeAccount + ":shared/*"}})
	s.AddRole(Role{ARN: CIRole + "-public", Trust: GitHubTrust("repo:acme/app:ref:refs/heads/main"),
		PublicLogin: true, Push: []string{"acme/*"}})
	must := func(c credentials, u, scope string) string {
		p, bad := getPassword(t, s, c, u, scope)
		if bad != "" {
			t.Fatal(bad)
		}
		return p
	}
	ci := gitHubSession(t, s, CIRole)
	password := must(ci, privateAPI, "eu-west-2/ecr")
	otherRegion := must(ci, s.URL("ecr"), "eu-west-1/ecr")
	reader := must(gitHubSession(t, s, CIRole+"-reader"), privateAPI, "eu-west-2/ecr")
	public := must(gitHubSession(t, s, CIRole+"-public"), publicAPI, "us-east-1/ecr-public")
	spoke, bad := assume(t, s, ci, "Action", "AssumeRole", "RoleArn", SpokeRole)
	if bad != "" {
		t.Fatal(bad)
	}
	spokePassword := must(spoke, privateAPI, "eu-west-2/ecr")
	const spokeHost = SpokeAccount + ".dkr.ecr.eu-west-2.amazonaws.com"
	for _, tt := range []struct{ name, host, repo, password, want string }{
		{"good", privateHost, "app", password, ""},
		{"unknown password", privateHost, "app", "c2VjcmV0", "DENIED"},
		{"other region's password", privateHost, "app", otherRegion, "DENIED"},
		{"public password", privateHost, "app", public, "DENIED"},
		{"other repository", privateHost, "web", password, "DENIED"},
		{"reader", privateHost, "app", reader,
			"is not authorized to perform: ecr:InitiateLayerUpload " +
				"on resource: arn:aws:ecr:eu-west-2:123456789012:repository/app"},
		{"other account", spokeHost, "app", password, "DENIED"},
		{"other account's password", spokeHost, "shared/x", spokePassword, ""},
		{"public", "public.ecr.aws", "acme/app", public, ""},
		{"public, other alias", "public.ecr.aws", "evil/app", public, "DENIED"},
		{"public, private password", "public.ecr.aws", "acme/app", password, "DENIED"},
		{"public, anonymous", "public.ecr.aws", "acme/app", "", "DENIED"},
	} {
		d := &registryClient{t: t, s: s, host: tt.host, password: tt.password}
		if got := d.push(tt.repo); tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("pushing, %s: %q, want %q", tt.name, got, tt.want)
		}
	}
	pull := func(host, repo, password string) string {
		t.Helper()
		return (&registryClient{t: t, s: s, host: host, password: password}).pull(repo)
	}
	for _, tt := range []struct{ name, host, repo, password, want string }{
		{"own", privateHost, "app", password, ""},
		{"dual-stack name", Account + ".dkr-ecr.eu-west-2.on.aws", "app", password, ""},
		{"reader", privateHost, "app", reader, ""},
		{"reader, other account", spokeHost, "shared/x", reader, ""},
		{"other region", Account + ".dkr.ecr.eu-west-1.amazonaws.com", "app", otherRegion, "NAME_UNKNOWN"},
		{"other account", spokeHost, "app", spokePassword, "NAME_UNKNOWN"},
		{"anonymous", privateHost, "app", "", "Not Authorized"},
		{"anonymous, public", "public.ecr.aws", "acme/app", "", ""},
	} {
		if got := pull(tt.host, tt.repo, tt.password); tt.want == "" && got != "" ||
			!strings.Contains(got, tt.want) {
			t.Errorf("pulling, %s: %q, want %q", tt.name, got, tt.want)
		}
	}
	skew.Store(int64(2 * time.Hour)) // the session has expired: ECR's password remains valid, ECR Public's does not
	if got := pull(privateHost, "app", password); got != "" {
		t.Error(got)
	}
	if got := pull("public.ecr.aws", "acme/app", public); !strings.Contains(got, "invalid") {
		t.Errorf("a public password after its session: %q", got)
	}
	skew.Store(int64(12*time.Hour + time.Minute))
	if got := pull(privateHost, "app", password); !strings.Contains(got, "expired") {
		t.Errorf("after 12 hours: %q", got)
	}
}

// TestImmutableTags checks that a tag of an immutable repository can be pushed once, and that other
// tags, repositories and registries are not affected.
func TestImmutableTags(t *testing.T) {
	s := start(t, Options{})
	s.AddRole(Role{ARN: CIRole, Trust: GitHubTrust("repo:acme/app:ref:refs/heads/main"),
		Push: []string{"*:*"}, Pull: []string{"*:*"}})
	password, bad := getPassword(t, s, gitHubSession(t, s, CIRole), privateAPI, "eu-west-2/ecr")
	if bad != "" {
		t.Fatal(bad)
	}
	d := &registryClient{t: t, s: s, host: privateHost, password: password}
	const refusal = `{"code":"TAG_INVALID","message":"The image tag '1' already exists in the 'app' repository ` +
		`and cannot be overwritten because the repository is immutable."}`
	refused := func(what, got string) {
		t.Helper()
		if !strings.Contains(got, refusal) {
			t.Errorf("%s: %q, want %s", what, got, refusal)
		}
	}
	accepted := func(what, got string) {
		t.Helper()
		if got != "" {
			t.Errorf("%s: %q", what, got)
		}
	}
	put := func(ref, body string) string {
		t.Helper()
		if status, answer, _ := d.call("PUT", "/v2/app/manifests/"+ref, body); status != http.StatusCreated {
			return answer
		}
		return ""
	}
	empty := "sha256:" + sha256Hex([]byte("{}"))
	other := strings.Replace(manifest(empty), `"schemaVersion":2`,
		`"schemaVersion":2,"annotations":{"a":"b"}`, 1)

	accepted("mutable repository, twice", d.push("app")+d.push("app"))
	s.SetImmutableTags(Account, "eu-west-2", "app", true)
	refused("the same digest", d.push("app"))
	refused("another digest", put("1", other))
	accepted("another tag, once", put("2", other))
	accepted("by digest, twice", put("sha256:"+sha256Hex([]byte(other)),
		other)+put("sha256:"+sha256Hex([]byte(other)), other))
	accepted("another repository", d.push("web")+d.push("web"))
	accepted("pulling", d.pull("app"))
	d.host = SpokeAccount + ".dkr.ecr.eu-west-2.amazonaws.com"
	accepted("another account", d.push("app")+d.push("app"))
	d.host = privateHost
	s.SetImmutableTags(Account, "eu-west-2", "app", false)
	accepted("mutable again", d.push("app"))
}

// TestIdentityPolicy checks that an identity policy replaces the role's other permissions.
func TestIdentityPolicy(t *testing.T) {
	s := start(t, Options{})
	policy := func(actions ...string) string {
		b, err := json.Marshal(actions)
		if err != nil {
			t.Fatal(err)
		}
		return `{"Version": "2012-10-17", "Statement": [
			{"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
			{"Effect": "Allow", "Action": ` + string(b) + `,
				"Resource": "arn:aws:ecr:eu-west-2:123456789012:repository/app"}
		]}`
	}
	push := []string{"ecr:InitiateLayerUpload", "ecr:CompleteLayerUpload", "ecr:PutImage",
		"ecr:BatchGetImage"}
	as := func(text string) *registryClient {
		t.Helper()
		// The policy overrides the other fields.
		s.AddRole(Role{ARN: CIRole, Trust: GitHubTrust("repo:acme/app:ref:refs/heads/main"), Policy: text,
			Push: []string{"*:*"}, Pull: []string{"*:*"}, PublicLogin: true})
		password, bad := getPassword(t, s, gitHubSession(t, s, CIRole), privateAPI, "eu-west-2/ecr")
		if bad != "" {
			t.Fatal(bad)
		}
		return &registryClient{t: t, s: s, host: privateHost, password: password}
	}
	d := as(policy(push...))
	if got := d.push("app") + d.pull("app"); got != "" {
		t.Error(got)
	}
	if got := d.push("web"); !strings.Contains(got,
		"ecr:InitiateLayerUpload on resource: arn:aws:ecr:eu-west-2:123456789012:repository/web") {
		t.Errorf("another repository: %q", got)
	}
	d.host = SpokeAccount + ".dkr.ecr.eu-west-2.amazonaws.com"
	if got := d.push("app"); !strings.Contains(got, "DENIED") {
		t.Errorf("another account: %q", got)
	}
	for i, missing := range push {
		d := as(policy(slices.Delete(slices.Clone(push), i, i+1)...))
		if got := d.push("app") + d.pull("app"); !strings.Contains(got,
			"not authorized to perform: "+missing+" on resource") {
			t.Errorf("without %s: %q", missing, got)
		}
	}
	s.AddRole(Role{ARN: CIRole, Trust: GitHubTrust("repo:acme/app:ref:refs/heads/main"),
		Policy: `{"Statement": {"Effect": "Allow", "Action": "ecr:PutImage", "Resource": "*"}}`})
	if _, bad := getPassword(t, s, gitHubSession(t, s, CIRole), privateAPI,
		"eu-west-2/ecr"); !strings.HasPrefix(bad, "AccessDeniedException: ") {
		t.Errorf("without GetAuthorizationToken: %q", bad)
	}
}

func TestRegistryAction(t *testing.T) {
	for _, tt := range []struct{ method, path, want string }{
		{"HEAD", "/v2/a/b/manifests/v1", "BatchGetImage"},
		{"GET", "/v2/a/manifests/sha256:0", "BatchGetImage"},
		{"GET", "/v2/a/referrers/sha256:0", "BatchGetImage"},
		{"PUT", "/v2/a/manifests/v1", "PutImage"},
		{"DELETE", "/v2/a/manifests/v1", "BatchDeleteImage"},
		{"HEAD", "/v2/a/blobs/sha256:0", "BatchCheckLayerAvailability"},
		{"GET", "/v2/a/blobs/sha256:0", "GetDownloadUrlForLayer"},
		{"POST", "/v2/a/blobs/uploads/", "InitiateLayerUpload"},
		{"PATCH", "/v2/a/blobs/uploads/1", "UploadLayerPart"},
		{"GET", "/v2/a/blobs/uploads/1", "UploadLayerPart"},
		{"PUT", "/v2/a/blobs/uploads/1", "CompleteLayerUpload"},
		{"GET", "/v2/a/tags/list", "ListImages"},
	} {
		if got := registryAction(tt.method, tt.path); got != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.method, tt.path, got, tt.want)
		}
	}
}
