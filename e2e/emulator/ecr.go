package emulator

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"time"
)

// Prefixes of the X-Amz-Target header, up to the dot.
const (
	ecrTarget    = "AmazonEC2ContainerRegistry_V20150921"
	publicTarget = "SpencerFrontendService"
)

// passwordGrant is what an ECR password grants.
type passwordGrant struct {
	principal principal
	region    string
	public    bool
	expires   time.Time
}

// ecr serves GetAuthorizationToken of Amazon ECR and of ECR Public.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html
// https://docs.aws.amazon.com/AmazonECRPublic/latest/APIReference/API_GetAuthorizationToken.html
func (r *request) ecr() {
	public := r.endpoint.service == "ecr-public"
	target := ecrTarget
	if public {
		target = publicTarget
	}
	if r.httpReq.Method != http.MethodPost ||
		r.httpReq.Header.Get("X-Amz-Target") != target+".GetAuthorizationToken" {
		r.writeError(apiError{http.StatusBadRequest, "UnknownOperationException", ""})
		return
	}
	p, s, ok := r.authenticate()
	if !ok {
		return
	}
	if !r.server.allowsLogin(p, r.endpoint.service) {
		action := r.endpoint.service + ":GetAuthorizationToken"
		r.writeError(apiError{http.StatusBadRequest, "AccessDeniedException", fmt.Sprintf(
			"User: %s is not authorized to perform: %s on resource: * "+
				"because no identity-based policy allows the %s action", p.arn, action, action)})
		return
	}
	var in struct{ RegistryIDs []string }
	if err := json.Unmarshal(r.body, &in); err != nil {
		r.writeError(apiError{http.StatusBadRequest, "SerializationException", err.Error()})
		return
	}
	password, expires := r.server.newPassword(p, s.region, public)
	data := map[string]any{
		"authorizationToken": base64.StdEncoding.EncodeToString([]byte("AWS:" + password)),
		"expiresAt":          json.Number(fmt.Sprintf("%.3f", float64(expires.UnixMilli())/1000)),
	}
	if public { // a single object, without an endpoint
		r.writeJSON(http.StatusOK, map[string]any{"authorizationData": data})
		return
	}
	if len(in.RegistryIDs) == 0 {
		in.RegistryIDs = []string{accountOf(p.source)}
	}
	var registries []any
	for _, id := range in.RegistryIDs {
		registry := maps.Clone(data)
		registry["proxyEndpoint"] = "https://" + id + ".dkr.ecr." + s.region + "." +
			partitionOf(s.region).suffix
		registries = append(registries, registry)
	}
	r.writeJSON(http.StatusOK, map[string]any{"authorizationData": registries})
}

// newPassword issues a password in the format of ECR's.
func (s *Server) newPassword(p principal, region string, public bool) (string, time.Time) {
	expires := s.now().Add(s.opts.PasswordTTL)
	text, err := json.Marshal(map[string]any{
		"payload": randomBase64(960), "datakey": randomBase64(184),
		"version": "2", "type": "DATA_KEY", "expiration": expires.Unix(),
	})
	if err != nil {
		panic(err) // cannot happen: strings and a number
	}
	password := base64.StdEncoding.EncodeToString(text)
	s.mu.Lock()
	defer s.mu.Unlock()
	g := passwordGrant{principal: p, region: region, public: public, expires: expires}
	// Users have observed that a password of ECR Public expires with the session that requested it,
	// long before the expiry in the response:
	// https://github.com/GoogleContainerTools/kaniko/issues/3199
	if public && !p.expires.IsZero() && p.expires.Before(expires) {
		g.expires = p.expires
	}
	s.passwordGrants[password] = g
	return password, expires
}
