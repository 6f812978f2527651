package emulator

import (
	"encoding/json"
	"net/http"
	"time"
)

// ssoGrant is a person's right to a role in an account.
type ssoGrant struct{ token, account, role string }

// AddSSOAssignment lets the bearer of an IAM Identity Center access token have a role's
// credentials under the name that the account's portal shows. Add the role too.
func (w *Server) AddSSOAssignment(accessToken, account, roleName, roleARN string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sso[ssoGrant{accessToken, account, roleName}] = roleARN
}

// AddSSORefreshToken lets a refresh token be exchanged, once, for an access token and
// the next refresh token.
func (w *Server) AddSSORefreshToken(refreshToken, accessToken string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refresh[refreshToken] = accessToken
}

// federation is the portal's GetRoleCredentials.
// https://docs.aws.amazon.com/singlesignon/latest/PortalAPIReference/API_GetRoleCredentials.html
func (v *visit) federation() {
	if v.r.Method != http.MethodGet || v.at.path != "/federation/credentials" {
		v.fail(apiError{http.StatusNotFound, "ResourceNotFoundException", "No such operation"})
		return
	}
	query := v.r.URL.Query()
	g := ssoGrant{v.r.Header.Get("X-Amz-Sso_bearer_token"), query.Get("account_id"), query.Get("role_name")}
	v.w.mu.Lock()
	role, ok := v.w.sso[g]
	known := false
	for other := range v.w.sso {
		known = known || other.token == g.token
	}
	v.w.mu.Unlock()
	switch {
	case !known:
		v.fail(apiError{http.StatusUnauthorized, "UnauthorizedException", "Session token not found or invalid"})
	case !ok:
		v.fail(apiError{http.StatusForbidden, "ForbiddenException", "No access"})
	default:
		p := v.w.open(role, "jane@example.com", time.Hour, nil)
		v.caller(p.arn)
		v.json(http.StatusOK, map[string]any{"roleCredentials": map[string]any{
			"accessKeyId": p.keyID, "secretAccessKey": p.secret, "sessionToken": p.token, "expiration": p.expires.UnixMilli(),
		}})
	}
}

// refreshToken is CreateToken of the OIDC service, for refresh tokens only. That
// one is good once is not in the document; RFC 9700, section 2.2.2, demands it of
// tokens that are not bound to their client.
// https://docs.aws.amazon.com/singlesignon/latest/OIDCAPIReference/API_CreateToken.html
func (v *visit) refreshToken() {
	var in struct{ ClientID, ClientSecret, GrantType, RefreshToken string }
	if err := json.Unmarshal(v.body, &in); err != nil || v.at.path != "/token" {
		v.fail(apiError{http.StatusBadRequest, "InvalidRequestException", "Invalid request"})
		return
	}
	if in.ClientID == "" || in.ClientSecret == "" {
		v.fail(apiError{http.StatusUnauthorized, "InvalidClientException", "Invalid client provided"})
		return
	}
	access, next, ok := v.w.spend(in.RefreshToken)
	if in.GrantType != "refresh_token" || !ok {
		v.fail(apiError{http.StatusBadRequest, "InvalidGrantException", "Invalid refresh token provided"})
		return
	}
	v.json(http.StatusOK, map[string]any{
		"accessToken": access, "expiresIn": 28800, "tokenType": "Bearer", "refreshToken": next,
	})
}

// spend takes a refresh token away and returns what it was good for.
func (w *Server) spend(token string) (access, next string, ok bool) {
	next = randomBase64(60)
	w.mu.Lock()
	defer w.mu.Unlock()
	if access, ok = w.refresh[token]; ok {
		delete(w.refresh, token)
		w.refresh[next] = access
	}
	return access, next, ok
}
