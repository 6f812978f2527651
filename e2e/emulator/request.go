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

// request is an HTTP request to one of the services, and its response.
type request struct {
	http.ResponseWriter
	server   *Server
	httpReq  *http.Request
	endpoint endpoint
	body     []byte     // at most 1 MiB; nil for registry requests, whose handler reads the body
	form     url.Values // STS parameters
	call     *Call
}

// ServeHTTP routes a request to a service by its host name, or by its path on loopback.
func (s *Server) ServeHTTP(rw http.ResponseWriter, httpReq *http.Request) {
	if httpReq.Method == http.MethodConnect {
		s.connect(rw, httpReq)
		return
	}
	e, ok := endpointOf(httpReq)
	switch {
	case !ok: // outside the tests, DNS would not resolve the name
		http.Error(rw, "unknown host or path: "+httpReq.Host+httpReq.URL.Path, http.StatusMisdirectedRequest)
		return
	case e.service == "emulator":
		s.admin(rw, httpReq, e.path)
		return
	}
	r := &request{ResponseWriter: rw, server: s, httpReq: httpReq, endpoint: e}
	if e.service != "registry" {
		r.body, _ = io.ReadAll(io.LimitReader(httpReq.Body, 1<<20))
	}
	r.call = r.newCall()
	s.addCall(r.call)
	defer s.finish(r.call)
	r.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	if r.throttle() {
		return
	}
	if f, ok := s.takeFault(r.call); ok && r.applyFault(f) {
		return
	}
	r.serve()
}

func (r *request) serve() {
	switch r.endpoint.service {
	case "github", "circleci":
		r.issuer()
	case "github-token":
		r.githubToken()
	case "buildkite":
		r.buildkite()
	case "forgejo":
		r.forgejoToken()
	case "azure":
		r.azure()
	case "sts":
		r.sts()
	case "ecr", "ecr-public":
		r.ecr()
	case "sso":
		r.roleCredentials()
	case "sso-oidc":
		r.createToken()
	case "signin":
		r.createOAuth2Token()
	case "registry":
		r.registry()
	}
}

// newCall returns the record of the request, as far as it is known before the request is served.
func (r *request) newCall() *Call {
	c := &Call{Service: r.endpoint.service, Host: r.httpReq.Host, Path: r.endpoint.path,
		Op: r.httpReq.Method, Detail: r.endpoint.path, At: time.Now()}
	c.Header = http.Header{"User-Agent": r.httpReq.Header.Values("User-Agent")}
	switch r.endpoint.service {
	case "github", "circleci":
		c.Service, c.Op = "oidc", "discovery"
		if strings.Contains(r.endpoint.path, "jwks") {
			c.Op = "jwks"
		}
	case "github-token", "forgejo":
		c.Service, c.Op, c.Detail = "oidc", "token", r.httpReq.URL.Query().Get("audience")
	case "buildkite":
		var in struct{ Audience string }
		json.Unmarshal(r.body, &in)
		c.Service, c.Op, c.Detail = "oidc", "token", in.Audience
	case "azure":
		c.Service, c.Op, c.Detail = "oidc", "token", r.httpReq.URL.Query().Get("serviceConnectionId")
	case "sts":
		r.form, _ = url.ParseQuery(string(r.body))
		c.Op, c.Detail = r.form.Get("Action"), r.form.Get("RoleArn")
		c.Form = url.Values{}
		for k, s := range r.form {
			if k != "WebIdentityToken" {
				c.Form[k] = s
			}
		}
	case "ecr", "ecr-public":
		_, c.Op, _ = strings.Cut(r.httpReq.Header.Get("X-Amz-Target"), ".")
	case "sso":
		c.Op, c.Detail = "GetRoleCredentials", r.httpReq.URL.Query().Get("role_name")
	case "sso-oidc":
		c.Service, c.Op = "sso", "CreateToken"
	case "signin":
		c.Op = "CreateOAuth2Token"
	}
	return c
}

// WriteHeader records and sends the status.
func (r *request) WriteHeader(status int) {
	r.server.setStatus(r.call, status)
	r.ResponseWriter.WriteHeader(status)
}

// Write sends a part of the body. Like http.ResponseWriter, it first sends status 200 if no status
// was sent.
func (r *request) Write(b []byte) (int, error) {
	r.server.setStatus(r.call, http.StatusOK)
	return r.ResponseWriter.Write(b)
}

// Unwrap gives http.ResponseController access to the connection.
func (r *request) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *request) setCaller(arn string) {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	r.call.Caller = arn
}

// apiError is an error response of a service.
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

// writeError writes an error response in the service's format.
// https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#operation-error-serialization
// https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html#operation-error-serialization
func (r *request) writeError(e apiError) {
	switch r.endpoint.service {
	case "sts":
		errorType := "Sender"
		if e.status >= 500 {
			errorType = "Receiver"
		}
		r.writeXML(e.status, stsError{Type: errorType, Code: e.code, Message: e.message,
			RequestID: newUUID()})
	case "ecr", "ecr-public":
		r.writeJSON(e.status, map[string]string{"__type": e.code, "message": e.message})
	case "sso":
		r.Header().Set("X-Amzn-Errortype", e.code)
		r.writeJSON(e.status, map[string]string{"message": e.message})
	case "sso-oidc":
		r.Header().Set("X-Amzn-Errortype", e.code)
		r.writeJSON(e.status, map[string]string{"error": e.code, "error_description": e.message})
	case "signin":
		r.Header().Set("X-Amzn-Errortype", e.code)
		r.writeJSON(e.status, map[string]string{"error": consoleErrors[e.code], "message": e.message})
	case "registry":
		r.writeJSON(e.status, map[string]any{"errors": []any{map[string]string{"code": e.code,
			"message": e.message}}})
	default:
		r.writeJSON(e.status, map[string]string{"message": e.message})
	}
}

func (r *request) writeXML(status int, value any) {
	id := newUUID()
	if e, ok := value.(stsError); ok {
		id = e.RequestID
	}
	r.Header().Set("X-Amzn-Requestid", id)
	r.setDefaultHeader("Content-Type", "text/xml")
	r.WriteHeader(status)
	xml.NewEncoder(r).Encode(value)
}

func (r *request) writeJSON(status int, value any) {
	contentType := "application/json; charset=utf-8"
	if strings.HasPrefix(r.endpoint.service, "ecr") {
		contentType = "application/x-amz-json-1.1"
		r.Header().Set("X-Amzn-Requestid", newUUID())
	}
	r.setDefaultHeader("Content-Type", contentType)
	r.WriteHeader(status)
	json.NewEncoder(r).Encode(value)
}

// setDefaultHeader sets a header unless a Fault has set it.
func (r *request) setDefaultHeader(key, value string) {
	if r.Header().Get(key) == "" {
		r.Header().Set(key, value)
	}
}
