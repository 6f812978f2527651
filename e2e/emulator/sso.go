package emulator

import (
	"encoding/json"
	"net/http"
	"time"
)

// ssoAssignment is the assignment of a role to the user of an access token.
type ssoAssignment struct{ token, account, role string }

// AddSSOAssignment assigns a role in an account to the user of an IAM Identity Center access token.
// roleName is its name in the access portal. The role must be added separately.
func (s *Server) AddSSOAssignment(accessToken, account, roleName, roleARN string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ssoAssignments[ssoAssignment{accessToken, account, roleName}] = roleARN
}

// AddSSORefreshToken adds a refresh token. It can be exchanged once for the access token and the next
// refresh token.
func (s *Server) AddSSORefreshToken(refreshToken, accessToken string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ssoRefreshTokens[refreshToken] = accessToken
}

// roleCredentials serves GetRoleCredentials of the access portal.
// https://docs.aws.amazon.com/singlesignon/latest/PortalAPIReference/API_GetRoleCredentials.html
func (r *request) roleCredentials() {
	if r.httpReq.Method != http.MethodGet || r.endpoint.path != "/federation/credentials" {
		r.writeError(apiError{http.StatusNotFound, "ResourceNotFoundException", "No such operation"})
		return
	}
	query := r.httpReq.URL.Query()
	assignment := ssoAssignment{r.httpReq.Header.Get("X-Amz-Sso_bearer_token"), query.Get("account_id"),
		query.Get("role_name")}
	r.server.mu.Lock()
	role, ok := r.server.ssoAssignments[assignment]
	known := false
	for other := range r.server.ssoAssignments {
		known = known || other.token == assignment.token
	}
	r.server.mu.Unlock()
	switch {
	case !known:
		r.writeError(apiError{http.StatusUnauthorized, "UnauthorizedException",
			"Session token not found or invalid"})
	case !ok:
		r.writeError(apiError{http.StatusForbidden, "ForbiddenException", "No access"})
	default:
		p := r.server.newSession(role, "jane@example.com", time.Hour, nil)
		r.setCaller(p.arn)
		r.writeJSON(http.StatusOK, map[string]any{"roleCredentials": map[string]any{
			"accessKeyId": p.keyID, "secretAccessKey": p.secret, "sessionToken": p.token,
			"expiration": p.expires.UnixMilli(),
		}})
	}
}

// createToken serves CreateToken of IAM Identity Center's OIDC service, for refresh tokens only. The
// documentation does not state that a refresh token can be used only once; RFC 9700, section 2.2.2,
// requires it for tokens that are not bound to their client.
// https://docs.aws.amazon.com/singlesignon/latest/OIDCAPIReference/API_CreateToken.html
func (r *request) createToken() {
	var in struct{ ClientID, ClientSecret, GrantType, RefreshToken string }
	if err := json.Unmarshal(r.body, &in); err != nil || r.endpoint.path != "/token" {
		r.writeError(apiError{http.StatusBadRequest, "InvalidRequestException", "Invalid request"})
		return
	}
	if in.ClientID == "" || in.ClientSecret == "" {
		r.writeError(apiError{http.StatusUnauthorized, "InvalidClientException", "Invalid client provided"})
		return
	}
	access, next, ok := r.server.redeemRefreshToken(in.RefreshToken)
	if in.GrantType != "refresh_token" || !ok {
		r.writeError(apiError{http.StatusBadRequest, "InvalidGrantException", "Invalid refresh token provided"})
		return
	}
	r.writeJSON(http.StatusOK, map[string]any{
		"accessToken": access, "expiresIn": 28800, "tokenType": "Bearer", "refreshToken": next,
	})
}

// redeemRefreshToken deletes a refresh token, and returns its access token and the next refresh token.
func (s *Server) redeemRefreshToken(token string) (access, next string, ok bool) {
	next = randomBase64(60)
	s.mu.Lock()
	defer s.mu.Unlock()
	if access, ok = s.ssoRefreshTokens[token]; ok {
		delete(s.ssoRefreshTokens, token)
		s.ssoRefreshTokens[next] = access
	}
	return access, next, ok
}
