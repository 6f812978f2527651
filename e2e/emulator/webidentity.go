package emulator

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// webIdentity serves AssumeRoleWithWebIdentity. The request is not signed; the token must be from an
// OpenID Connect provider of the role's account.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
func (r *request) webIdentity() {
	role, trust, ttl, ok := r.roleParameters()
	if !ok {
		return
	}
	raw := r.form.Get("WebIdentityToken")
	if len(raw) < 4 || len(raw) > 20000 {
		r.writeValidationError("1 validation error detected: " +
			"Value at 'webIdentityToken' failed to satisfy constraint: " +
			"Member must have length between 4 and 20000")
		return
	}
	claims := jwt.MapClaims{}
	parser := jwt.NewParser(jwt.WithoutClaimsValidation(), jwt.WithValidMethods([]string{"RS256"}))
	if _, _, err := parser.ParseUnverified(raw, claims); err != nil {
		r.writeTokenError("The ID Token provided is not a valid JWT. " +
			"(You may see this error if you sent an Access Token)")
		return
	}
	account := accountOf(r.form.Get("RoleArn"))
	issuer, _ := claims["iss"].(string)
	clients, ok := r.server.provider(account, issuer)
	if role.ARN != "" && !ok {
		r.writeTokenError("No OpenIDConnect provider found in your account for " + issuer)
		return
	}
	if role.ARN != "" && !r.checkToken(parser, raw, claims, clients) {
		return
	}
	provider := providerARN(role.ARN, issuer)
	switch {
	case !trust.allows(policyRequest{
		action:     "sts:AssumeRoleWithWebIdentity",
		principals: map[string][]string{"Federated": {provider}},
		context:    conditionKeys(issuer, claims),
	}):
		r.writeError(apiError{http.StatusForbidden, "AccessDenied",
			"Not authorized to perform sts:AssumeRoleWithWebIdentity"})
	case ttl > role.MaxSession:
		r.writeValidationError("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	default:
		subject, _ := claims.GetSubject()
		audience := audienceOf(claims)
		r.startSession(role, ttl, assumeRoleResult{Subject: subject,
			Audience: strings.Join(audience, ","), Provider: provider})
	}
}

// provider returns the client IDs of an account's OpenID Connect provider, and whether there is one.
func (s *Server) provider(account, issuer string) ([]string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	host, secure := strings.CutPrefix(issuer, "https://")
	clients, ok := s.providers[account][host]
	return clients, ok && secure
}

// checkToken verifies a token's signature, times and audience. If one is invalid, it sends the
// error and reports false.
func (r *request) checkToken(parser *jwt.Parser, raw string, claims jwt.MapClaims, clients []string) bool {
	issuer, _ := claims["iss"].(string)
	key := issuerKey(issuer)
	known := false
	_, err := parser.Parse(raw, func(t *jwt.Token) (any, error) {
		known = t.Header["kid"] == kid(key)
		return key.Public(), nil
	})
	now := r.server.now()
	expires, _ := claims.GetExpirationTime()
	notBefore, _ := claims.GetNotBefore()
	audience := audienceOf(claims)
	switch {
	case !known:
		r.writeTokenError("Couldn't retrieve verification key from your identity provider,  " +
			"please reference AssumeRoleWithWebIdentity documentation for requirements")
	case err != nil: // AWS does not document its message for this error
		r.writeTokenError("The web identity token that was passed could not be validated: invalid signature")
	case expires == nil:
		r.writeTokenError("Missing a required claim: exp")
	case !now.Before(expires.Time):
		r.writeError(apiError{http.StatusBadRequest, "ExpiredTokenException", fmt.Sprintf(
			"Token expired: current date/time %d must be before the expiration date/time %d", now.Unix(),
			expires.Unix())})
	case notBefore != nil && now.Before(notBefore.Time):
		r.writeTokenError("The web identity token that was passed is not valid yet")
	case !slices.ContainsFunc(audience, func(a string) bool { return slices.Contains(clients, a) }):
		r.writeTokenError("Incorrect token audience")
	default:
		return true
	}
	return false
}

// audienceOf returns the audience that AWS evaluates: azp if the token has that claim, otherwise
// aud. AWS documents this for Google. https://github.com/aws/aws-sdk-net/issues/3071 reports it for
// version 2.0 tokens of Entra.
func audienceOf(claims jwt.MapClaims) []string {
	if azp, ok := claims["azp"].(string); ok {
		return []string{azp}
	}
	audience, _ := claims.GetAudience()
	return audience
}

func (r *request) writeTokenError(message string) {
	r.writeError(apiError{http.StatusBadRequest, "InvalidIdentityToken", message})
}

// Admits reports whether a role's trust policy admits a token with these claims. It evaluates only the
// policy, as the emulator's STS does, and serves tests that compare another evaluation with this one.
// It returns an error if the emulator cannot evaluate the policy.
func Admits(trust, role string, claims map[string]any) (bool, error) {
	p, err := parsePolicy(trust)
	if err != nil {
		return false, err
	}
	issuer, _ := claims["iss"].(string)
	return p.allows(policyRequest{
		action:     "sts:AssumeRoleWithWebIdentity",
		principals: map[string][]string{"Federated": {providerARN(role, issuer)}},
		context:    conditionKeys(issuer, claims),
	}), nil
}

// providerARN returns the ARN of an issuer's provider in a role's account.
func providerARN(role, issuer string) string {
	return "arn:" + arnPart(role, 1) + ":iam::" + accountOf(role) + ":oidc-provider/" +
		strings.TrimPrefix(issuer, "https://")
}

// conditionKeys returns the condition keys that AWS derives from a token: the same few claims for every
// issuer, and since January 2026 more for GitHub and CircleCI. Trust policies cannot use other claims.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif
func conditionKeys(issuer string, claims jwt.MapClaims) map[string][]string {
	names := []string{"sub", "aud", "amr", "email"}
	switch {
	case strings.HasPrefix(issuer, GitHubIssuer):
		names = append(names, "actor", "actor_id", "job_workflow_ref", "repository", "repository_id",
			"repository_owner_id", "workflow", "ref", "environment", "enterprise_id")
	case strings.HasPrefix(issuer, circleIssuer):
		names = append(names, circleHost+"/project-id")
	}
	keys := map[string][]string{}
	for _, n := range names {
		key := strings.ToLower(strings.TrimPrefix(issuer, "https://") + ":" + n)
		switch c := claims[n].(type) {
		case string:
			keys[key] = []string{c}
		case []any:
			for _, value := range c {
				keys[key] = append(keys[key], fmt.Sprint(value))
			}
		}
	}
	if _, ok := claims["azp"]; ok {
		keys[strings.ToLower(strings.TrimPrefix(issuer, "https://"))+":aud"] = audienceOf(claims)
	}
	return keys
}
