package emulator

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Targets of the two registry services' only operation here, up to the dot.
const (
	ecrTarget    = "AmazonEC2ContainerRegistry_V20150921"
	publicTarget = "SpencerFrontendService"
)

// grant is what stands behind a password.
type grant struct {
	who     principal
	region  string
	public  bool
	expires time.Time
}

// ecr serves GetAuthorizationToken of Amazon ECR and of ECR Public.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html
// https://docs.aws.amazon.com/AmazonECRPublic/latest/APIReference/API_GetAuthorizationToken.html
func (v *visit) ecr() {
	public := v.at.service == "ecr-public"
	target := ecrTarget
	if public {
		target = publicTarget
	}
	if v.r.Method != http.MethodPost || v.r.Header.Get("X-Amz-Target") != target+".GetAuthorizationToken" {
		v.fail(apiError{http.StatusBadRequest, "UnknownOperationException", ""})
		return
	}
	p, s, ok := v.authenticate()
	if !ok {
		return
	}
	if !v.w.mayLogin(p, v.at.service) {
		action := v.at.service + ":GetAuthorizationToken"
		v.fail(apiError{http.StatusBadRequest, "AccessDeniedException", fmt.Sprintf(
			"User: %s is not authorized to perform: %s on resource: * because no identity-based policy allows the %s action", p.arn, action, action)})
		return
	}
	var in struct{ RegistryIDs []string }
	if err := json.Unmarshal(v.body, &in); err != nil {
		v.fail(apiError{http.StatusBadRequest, "SerializationException", err.Error()})
		return
	}
	password, expires := v.w.password(p, s.region, public)
	data := map[string]any{
		"authorizationToken": base64.StdEncoding.EncodeToString([]byte("AWS:" + password)),
		"expiresAt":          json.Number(fmt.Sprintf("%.3f", float64(expires.UnixMilli())/1000)),
	}
	if public { // one object, and no endpoint
		v.json(http.StatusOK, map[string]any{"authorizationData": data})
		return
	}
	if len(in.RegistryIDs) == 0 {
		in.RegistryIDs = []string{accountOf(p.source)}
	}
	var all []any
	for _, id := range in.RegistryIDs {
		one := map[string]any{"proxyEndpoint": "https://" + id + ".dkr.ecr." + s.region + "." + partitionOf(s.region).dns}
		for k, value := range data {
			one[k] = value
		}
		all = append(all, one)
	}
	v.json(http.StatusOK, map[string]any{"authorizationData": all})
}

// password gives out a new one, in the shape of ECR's.
func (w *Server) password(p principal, region string, public bool) (string, time.Time) {
	expires := w.now().Add(w.opts.PasswordTTL)
	text, err := json.Marshal(map[string]any{
		"payload": randomBase64(960), "datakey": randomBase64(184),
		"version": "2", "type": "DATA_KEY", "expiration": expires.Unix(),
	})
	if err != nil {
		panic(err) // strings and a number
	}
	password := base64.StdEncoding.EncodeToString(text)
	w.mu.Lock()
	defer w.mu.Unlock()
	g := grant{who: p, region: region, public: public, expires: expires}
	// A password of ECR Public has been seen to die with the session that asked
	// for it, long before the time it names:
	// https://github.com/GoogleContainerTools/kaniko/issues/3199
	if public && !p.expires.IsZero() && p.expires.Before(expires) {
		g.expires = p.expires
	}
	w.passwords[password] = g
	return password, expires
}
