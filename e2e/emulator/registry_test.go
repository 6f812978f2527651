package emulator

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	privateHost = Account + ".dkr.ecr.eu-west-2.amazonaws.com"
	privateAPI  = "https://api.ecr.eu-west-2.amazonaws.com/"
	publicAPI   = "https://api.ecr-public.us-east-1.amazonaws.com/"
)

// login asks ECR for a password; failed, it returns "Type: message".
func login(t *testing.T, w *Server, c credentials, u, scope string) (password, bad string) {
	t.Helper()
	target := ecrTarget
	if strings.HasSuffix(scope, "-public") {
		target = publicTarget
	}
	r := post(u, "application/x-amz-json-1.1", "{}")
	r.Header.Set("X-Amz-Target", target+".GetAuthorizationToken")
	sign(r, c, scope, "{}", w.now())
	_, body := do(t, w, r)
	type data struct {
		AuthorizationToken, ProxyEndpoint string
		ExpiresAt                         float64
	}
	var out struct {
		AuthorizationData json.RawMessage
		Type              string `json:"__type"`
		Message           string `json:"message"`
	}
	if err := json.Unmarshal([]byte(body), &out); err != nil {
		t.Fatal(err, body)
	}
	if out.Type != "" {
		return "", out.Type + ": " + out.Message
	}
	var d data
	raw := strings.TrimSuffix(strings.TrimPrefix(string(out.AuthorizationData), "["), "]")
	if err := json.Unmarshal([]byte(raw), &d); err != nil {
		t.Fatal(err, body)
	}
	if left := time.Unix(int64(d.ExpiresAt), 0).Sub(w.now()); left < 11*time.Hour || left > 12*time.Hour {
		t.Errorf("the password lives %v", left)
	}
	b, err := base64.StdEncoding.DecodeString(d.AuthorizationToken)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(string(b), "AWS:"), ""
}

// session signs in as a role by way of a GitHub job.
func session(t *testing.T, w *Server, role string, params ...string) credentials {
	t.Helper()
	c, bad := web(t, w, role, gitHubToken(t, w, GitHubJob{}), params...)
	if bad != "" {
		t.Fatal(bad)
	}
	return c
}

func TestLogin(t *testing.T) {
	var skew atomic.Int64
	w := start(t, Options{Clock: func() time.Time { return time.Now().Add(time.Duration(skew.Load())) }})
	w.AddRole(Role{ARN: CIRole + "-bare", Trust: GitHubTrust("repo:acme/app:ref:refs/heads/main"), NoLogin: true})
	ci, bare := session(t, w, CIRole), session(t, w, CIRole+"-bare")
	narrow := session(t, w, CIRole, "Policy", `{"Statement": {"Effect": "Allow", "Action": "ecr:BatchGetImage", "Resource": "*"}}`)
	noToken, wrongToken := ci, ci
	noToken.token, wrongToken.token = "", bare.token
	for _, tt := range []struct {
		name       string
		c          credentials
		url, scope string
		want       string
	}{
		{"good", ci, privateAPI, "eu-west-2/ecr", ""},
		{"custom endpoint", ci, w.URL("ecr"), "eu-west-1/ecr", ""},
		{"one for all", ci, w.PlainURL("aws"), "eu-west-1/ecr", ""},
		{"public", ci, publicAPI, "us-east-1/ecr-public", ""},
		{"public, elsewhere", ci, w.URL("ecr-public"), "eu-west-2/ecr-public", "InvalidSignatureException: "},
		{"other region", ci, privateAPI, "eu-west-1/ecr", "InvalidSignatureException: "},
		{"other service", ci, privateAPI, "eu-west-2/sts", "InvalidSignatureException: "},
		{"no session token", noToken, privateAPI, "eu-west-2/ecr", "UnrecognizedClientException: "},
		{"other session's token", wrongToken, privateAPI, "eu-west-2/ecr", "UnrecognizedClientException: "},
		{"no permission", bare, privateAPI, "eu-west-2/ecr",
			"AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/ci-bare/test is not authorized to perform: ecr:GetAuthorizationToken on resource: *"},
		{"session policy", narrow, privateAPI, "eu-west-2/ecr", "AccessDeniedException: "},
		{"not public", bare, publicAPI, "us-east-1/ecr-public", "AccessDeniedException: "},
	} {
		if _, got := login(t, w, tt.c, tt.url, tt.scope); tt.want == "" && got != "" || !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	skew.Store(int64(61 * time.Minute))
	if _, got := login(t, w, ci, privateAPI, "eu-west-2/ecr"); !strings.HasPrefix(got, "ExpiredTokenException: ") {
		t.Errorf("after the session: %q", got)
	}
}

// docker is as much of a registry client as these tests need. (That of
// go-containerregistry would bring all of docker/cli into go.mod.)
type docker struct {
	t        *testing.T
	w        *Server
	host     string
	password string // empty: anonymous
	bearer   string
}

// call makes one request, after an exchange of the password where the host wants a token.
func (d *docker) call(method, path, body string) (int, string, http.Header) {
	d.t.Helper()
	r := post("https://"+d.host+path, "application/vnd.oci.image.manifest.v1+json", body)
	r.Method = method
	if d.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+d.bearer)
	} else if d.password != "" {
		r.SetBasicAuth("AWS", d.password)
	}
	tr := d.w.Transport()
	defer tr.CloseIdleConnections()
	resp, err := tr.RoundTrip(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(resp.Header.Get("Www-Authenticate"), `Bearer realm="`)
	realm, _, bearer := strings.Cut(rest, `"`)
	if resp.StatusCode != http.StatusUnauthorized || !bearer || d.bearer != "" {
		return resp.StatusCode, string(b), resp.Header
	}
	ask := get(realm)
	if d.password != "" {
		ask.SetBasicAuth("AWS", d.password)
	}
	status, answer := do(d.t, d.w, ask)
	var out struct{ Token string }
	if err := json.Unmarshal([]byte(answer), &out); err != nil || out.Token == "" {
		return status, answer, nil
	}
	d.bearer = out.Token
	return d.call(method, path, body)
}

// push uploads an image of one layer and returns what went wrong.
func (d *docker) push(repo string) string {
	const layer = "{}"
	sum := "sha256:" + sha256Hex([]byte(layer))
	status, body, h := d.call("POST", "/v2/"+repo+"/blobs/uploads/", "")
	if status != http.StatusAccepted {
		return body
	}
	if status, body, _ := d.call("PUT", h.Get("Location")+"?digest="+sum, layer); status != http.StatusCreated {
		return body
	}
	if status, body, _ := d.call("PUT", "/v2/"+repo+"/manifests/1", manifest(sum)); status != http.StatusCreated {
		return body
	}
	return ""
}

func manifest(sum string) string {
	return `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,"digest":"` +
		sum + `"},"layers":[]}`
}

// pull fetches the manifest back and returns what went wrong.
func (d *docker) pull(repo string) string {
	if status, body, _ := d.call("GET", "/v2/"+repo+"/manifests/1", ""); status != http.StatusOK {
		return or(body, "?")
	}
	return ""
}

func TestRegistry(t *testing.T) {
	var skew atomic.Int64
	w := start(t, Options{Clock: func() time.Time { return time.Now().Add(time.Duration(skew.Load())) }})
	w.AddRole(Role{ARN: CIRole + "-reader", Trust: GitHubTrust("repo:acme/app:ref:refs/heads/main"),
		Pull: []string{"app", SpokeAccount + ":shared/*"}})
	w.AddRole(Role{ARN: CIRole + "-public", Trust: GitHubTrust("repo:acme/app:ref:refs/heads/main"), PublicLogin: true, Push: []string{"acme/*"}})
	must := func(c credentials, u, scope string) string {
		p, bad := login(t, w, c, u, scope)
		if bad != "" {
			t.Fatal(bad)
		}
		return p
	}
	ci := session(t, w, CIRole)
	password := must(ci, privateAPI, "eu-west-2/ecr")
	irish := must(ci, w.URL("ecr"), "eu-west-1/ecr")
	reader := must(session(t, w, CIRole+"-reader"), privateAPI, "eu-west-2/ecr")
	public := must(session(t, w, CIRole+"-public"), publicAPI, "us-east-1/ecr-public")
	spoke, bad := assume(t, w, ci, "Action", "AssumeRole", "RoleArn", SpokeRole)
	if bad != "" {
		t.Fatal(bad)
	}
	spokePassword := must(spoke, privateAPI, "eu-west-2/ecr")
	const spokeHost = SpokeAccount + ".dkr.ecr.eu-west-2.amazonaws.com"
	for _, tt := range []struct{ name, host, repo, password, want string }{
		{"good", privateHost, "app", password, ""},
		{"foreign password", privateHost, "app", "c2VjcmV0", "DENIED"},
		{"other region's password", privateHost, "app", irish, "DENIED"},
		{"public password", privateHost, "app", public, "DENIED"},
		{"other repository", privateHost, "web", password, "DENIED"},
		{"reader", privateHost, "app", reader, "is not authorized to perform: ecr:InitiateLayerUpload on resource: arn:aws:ecr:eu-west-2:123456789012:repository/app"},
		{"other account", spokeHost, "app", password, "DENIED"},
		{"other account's own", spokeHost, "shared/x", spokePassword, ""},
		{"public", "public.ecr.aws", "acme/app", public, ""},
		{"public, other alias", "public.ecr.aws", "evil/app", public, "DENIED"},
		{"public, private password", "public.ecr.aws", "acme/app", password, "DENIED"},
		{"public, anonymous", "public.ecr.aws", "acme/app", "", "DENIED"},
	} {
		d := &docker{t: t, w: w, host: tt.host, password: tt.password}
		if got := d.push(tt.repo); tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("pushing, %s: %q, want %q", tt.name, got, tt.want)
		}
	}
	pull := func(host, repo, password string) string {
		t.Helper()
		return (&docker{t: t, w: w, host: host, password: password}).pull(repo)
	}
	for _, tt := range []struct{ name, host, repo, password, want string }{
		{"own", privateHost, "app", password, ""},
		{"by the other name", Account + ".dkr-ecr.eu-west-2.on.aws", "app", password, ""},
		{"reader", privateHost, "app", reader, ""},
		{"reader, other account", spokeHost, "shared/x", reader, ""},
		{"regions are apart", Account + ".dkr.ecr.eu-west-1.amazonaws.com", "app", irish, "NAME_UNKNOWN"},
		{"accounts are apart", spokeHost, "app", spokePassword, "NAME_UNKNOWN"},
		{"anonymous", privateHost, "app", "", "Not Authorized"},
		{"anonymous, public", "public.ecr.aws", "acme/app", "", ""},
	} {
		if got := pull(tt.host, tt.repo, tt.password); tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("pulling, %s: %q, want %q", tt.name, got, tt.want)
		}
	}
	skew.Store(int64(2 * time.Hour)) // the session is over: ECR's password outlives it, ECR Public's does not
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

// A tag of an immutable repository is pushed once, of whatever digest; other repositories, registries and names are free.
func TestImmutableTags(t *testing.T) {
	w := start(t, Options{})
	w.AddRole(Role{ARN: CIRole, Trust: GitHubTrust("repo:acme/app:ref:refs/heads/main"), Push: []string{"*:*"}, Pull: []string{"*:*"}})
	password, bad := login(t, w, session(t, w, CIRole), privateAPI, "eu-west-2/ecr")
	if bad != "" {
		t.Fatal(bad)
	}
	d := &docker{t: t, w: w, host: privateHost, password: password}
	const refusal = `{"code":"TAG_INVALID","message":"The image tag '1' already exists in the 'app' repository and cannot be overwritten because the repository is immutable."}`
	refused := func(what, got string) {
		t.Helper()
		if !strings.Contains(got, refusal) {
			t.Errorf("%s: %q, want %s", what, got, refusal)
		}
	}
	free := func(what, got string) {
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
	other := strings.Replace(manifest(empty), `"schemaVersion":2`, `"schemaVersion":2,"annotations":{"a":"b"}`, 1)

	free("a mutable one", d.push("app")+d.push("app"))
	w.SetImmutableTags(Account, "eu-west-2", "app", true)
	refused("the same digest", d.push("app"))
	refused("another digest", put("1", other))
	free("another tag, once", put("2", other))
	free("by digest, twice", put("sha256:"+sha256Hex([]byte(other)), other)+put("sha256:"+sha256Hex([]byte(other)), other))
	free("another repository", d.push("web")+d.push("web"))
	free("pulling", d.pull("app"))
	d.host = SpokeAccount + ".dkr.ecr.eu-west-2.amazonaws.com"
	free("another account", d.push("app")+d.push("app"))
	d.host = privateHost
	w.SetImmutableTags(Account, "eu-west-2", "app", false)
	free("mutable again", d.push("app"))
}

// A role with an identity policy may do what that says, and nothing else.
func TestIdentityPolicy(t *testing.T) {
	w := start(t, Options{})
	policy := func(actions ...string) string {
		b, err := json.Marshal(actions)
		if err != nil {
			t.Fatal(err)
		}
		return `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
			{"Effect": "Allow", "Action": ` + string(b) + `, "Resource": "arn:aws:ecr:eu-west-2:123456789012:repository/app"}]}`
	}
	push := []string{"ecr:InitiateLayerUpload", "ecr:CompleteLayerUpload", "ecr:PutImage", "ecr:BatchGetImage"}
	as := func(text string) *docker {
		t.Helper()
		// Push and Pull are there to be overruled.
		w.AddRole(Role{ARN: CIRole, Trust: GitHubTrust("repo:acme/app:ref:refs/heads/main"), Policy: text, Push: []string{"*:*"}, Pull: []string{"*:*"}, PublicLogin: true})
		password, bad := login(t, w, session(t, w, CIRole), privateAPI, "eu-west-2/ecr")
		if bad != "" {
			t.Fatal(bad)
		}
		return &docker{t: t, w: w, host: privateHost, password: password}
	}
	d := as(policy(push...))
	if got := d.push("app") + d.pull("app"); got != "" {
		t.Error(got)
	}
	if got := d.push("web"); !strings.Contains(got, "ecr:InitiateLayerUpload on resource: arn:aws:ecr:eu-west-2:123456789012:repository/web") {
		t.Errorf("another repository: %q", got)
	}
	d.host = SpokeAccount + ".dkr.ecr.eu-west-2.amazonaws.com"
	if got := d.push("app"); !strings.Contains(got, "DENIED") {
		t.Errorf("another account: %q", got)
	}
	for i, missing := range push {
		d := as(policy(slices.Delete(slices.Clone(push), i, i+1)...))
		if got := d.push("app") + d.pull("app"); !strings.Contains(got, "not authorized to perform: "+missing+" on resource") {
			t.Errorf("without %s: %q", missing, got)
		}
	}
	w.AddRole(Role{ARN: CIRole, Trust: GitHubTrust("repo:acme/app:ref:refs/heads/main"), Policy: `{"Statement": {"Effect": "Allow", "Action": "ecr:PutImage", "Resource": "*"}}`})
	if _, bad := login(t, w, session(t, w, CIRole), privateAPI, "eu-west-2/ecr"); !strings.HasPrefix(bad, "AccessDeniedException: ") {
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

func TestSSO(t *testing.T) {
	w := start(t, Options{})
	w.AddSSOAssignment("access", Account, "Developer", CIRole)
	const u = "https://portal.sso.eu-west-2.amazonaws.com/federation/credentials?account_id=" + Account + "&role_name="
	for _, tt := range []struct {
		url, token string
		want       int
	}{
		{u + "Developer", "access", http.StatusOK},
		{u + "Admin", "access", http.StatusForbidden},
		{u + "Developer", "old", http.StatusUnauthorized},
	} {
		status, body := do(t, w, get(tt.url, "x-amz-sso_bearer_token", tt.token))
		if status != tt.want {
			t.Errorf("%s: %d %s", tt.url, status, body)
		}
		var out struct {
			RoleCredentials struct{ AccessKeyID, SecretAccessKey, SessionToken string }
		}
		if err := json.Unmarshal([]byte(body), &out); err != nil {
			t.Fatal(err)
		}
		if c := out.RoleCredentials; status == 200 {
			login(t, w, credentials{c.AccessKeyID, c.SecretAccessKey, c.SessionToken}, privateAPI, "eu-west-2/ecr")
		}
	}
}
