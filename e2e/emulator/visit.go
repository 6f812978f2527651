package emulator

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// visit is one request on its way through the emulator, and its answer.
type visit struct {
	http.ResponseWriter
	w    *Server
	r    *http.Request
	at   place
	body []byte // empty for a registry, which reads its own
	form url.Values
	call *Call
}

// ServeHTTP leads a request to the service that its name, or its path on loopback, stands for.
func (w *Server) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect {
		w.connect(rw, r)
		return
	}
	at, ok := locate(r)
	switch {
	case !ok: // a real resolver would not have found the name
		http.Error(rw, "no such host or path in this server: "+r.Host+r.URL.Path, http.StatusMisdirectedRequest)
		return
	case at.service == "emulator":
		w.admin(rw, r, at.path)
		return
	}
	v := &visit{ResponseWriter: rw, w: w, r: r, at: at}
	if at.service != "registry" {
		v.body, _ = io.ReadAll(io.LimitReader(r.Body, 1<<20))
	}
	v.call = v.describe()
	w.record(v.call)
	defer w.over(v.call)
	v.Header().Set("Date", w.now().UTC().Format(http.TimeFormat))
	if v.throttled() {
		return
	}
	if f, ok := w.fault(v.call); ok && v.suffer(f) {
		return
	}
	v.serve()
}

func (v *visit) serve() {
	switch v.at.service {
	case "github", "circleci":
		v.issuer()
	case "github-token":
		v.githubToken()
	case "buildkite":
		v.buildkite()
	case "forgejo":
		v.forgejoToken()
	case "azure":
		v.azure()
	case "sts":
		v.sts()
	case "ecr", "ecr-public":
		v.ecr()
	case "sso":
		v.federation()
	case "sso-oidc":
		v.refreshToken()
	case "signin":
		v.consoleToken()
	case "registry":
		v.registry()
	}
}

// describe makes the call's record out of what can be known before serving it.
func (v *visit) describe() *Call {
	c := &Call{Service: v.at.service, Host: v.r.Host, Path: v.at.path, Op: v.r.Method, Detail: v.at.path, At: time.Now()}
	c.Header = http.Header{"User-Agent": v.r.Header.Values("User-Agent")}
	switch v.at.service {
	case "github", "circleci":
		c.Service, c.Op = "oidc", "discovery"
		if strings.Contains(v.at.path, "jwks") {
			c.Op = "jwks"
		}
	case "github-token", "forgejo":
		c.Service, c.Op, c.Detail = "oidc", "token", v.r.URL.Query().Get("audience")
	case "buildkite":
		var in struct{ Audience string }
		json.Unmarshal(v.body, &in)
		c.Service, c.Op, c.Detail = "oidc", "token", in.Audience
	case "azure":
		c.Service, c.Op, c.Detail = "oidc", "token", v.r.URL.Query().Get("serviceConnectionId")
	case "sts":
		v.form, _ = url.ParseQuery(string(v.body))
		c.Op, c.Detail = v.form.Get("Action"), v.form.Get("RoleArn")
		c.Form = url.Values{}
		for k, s := range v.form {
			if k != "WebIdentityToken" {
				c.Form[k] = s
			}
		}
	case "ecr", "ecr-public":
		_, c.Op, _ = strings.Cut(v.r.Header.Get("X-Amz-Target"), ".")
	case "sso":
		c.Op, c.Detail = "GetRoleCredentials", v.r.URL.Query().Get("role_name")
	case "sso-oidc":
		c.Service, c.Op = "sso", "CreateToken"
	case "signin":
		c.Op = "CreateOAuth2Token"
	}
	return c
}

// WriteHeader sends the status and notes it.
func (v *visit) WriteHeader(status int) {
	v.w.answered(v.call, status)
	v.ResponseWriter.WriteHeader(status)
}

// Write sends the body and, before the first of it, the status 200.
func (v *visit) Write(b []byte) (int, error) {
	v.w.answered(v.call, http.StatusOK)
	return v.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (v *visit) Unwrap() http.ResponseWriter { return v.ResponseWriter }

func (v *visit) caller(arn string) {
	v.w.mu.Lock()
	defer v.w.mu.Unlock()
	v.call.Caller = arn
}

// apiError is a service's refusal.
type apiError struct {
	status        int
	code, message string
}

type stsError struct {
	XMLName   xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
	Type      string   `xml:"Error>Type"`
	Code      string   `xml:"Error>Code"`
	Message   string   `xml:"Error>Message"`
	RequestID string   `xml:"RequestId"`
}

// fail answers with an error in the shape of the service that was asked.
// https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#operation-error-serialization
// https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html#operation-error-serialization
func (v *visit) fail(e apiError) {
	switch v.at.service {
	case "sts":
		kind := "Sender"
		if e.status >= 500 {
			kind = "Receiver"
		}
		v.xml(e.status, stsError{Type: kind, Code: e.code, Message: e.message, RequestID: guid()})
	case "ecr", "ecr-public":
		v.json(e.status, map[string]string{"__type": e.code, "message": e.message})
	case "sso":
		v.Header().Set("X-Amzn-Errortype", e.code)
		v.json(e.status, map[string]string{"message": e.message})
	case "sso-oidc":
		v.Header().Set("X-Amzn-Errortype", e.code)
		v.json(e.status, map[string]string{"error": e.code, "error_description": e.message})
	case "signin":
		v.Header().Set("X-Amzn-Errortype", e.code)
		v.json(e.status, map[string]string{"error": consoleErrors[e.code], "message": e.message})
	case "registry":
		v.json(e.status, map[string]any{"errors": []any{map[string]string{"code": e.code, "message": e.message}}})
	default:
		v.json(e.status, map[string]string{"message": e.message})
	}
}

func (v *visit) xml(status int, value any) {
	id := guid()
	if e, ok := value.(stsError); ok {
		id = e.RequestID
	}
	v.Header().Set("X-Amzn-Requestid", id)
	v.set("Content-Type", "text/xml")
	v.WriteHeader(status)
	xml.NewEncoder(v).Encode(value)
}

func (v *visit) json(status int, value any) {
	kind := "application/json; charset=utf-8"
	if strings.HasPrefix(v.at.service, "ecr") {
		kind = "application/x-amz-json-1.1"
		v.Header().Set("X-Amzn-Requestid", guid())
	}
	v.set("Content-Type", kind)
	v.WriteHeader(status)
	json.NewEncoder(v).Encode(value)
}

// set sets a header that a Fault has not set already.
func (v *visit) set(key, value string) {
	if v.Header().Get(key) == "" {
		v.Header().Set(key, value)
	}
}
