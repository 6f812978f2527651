package emulator

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// webIdentity is the unsigned way into a role: with a token of somebody whom
// the role's account knows as an OpenID Connect provider.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
func (v *visit) webIdentity() {
	role, trust, life, ok := v.asked()
	if !ok {
		return
	}
	raw := v.form.Get("WebIdentityToken")
	if len(raw) < 4 || len(raw) > 20000 {
		v.invalid("1 validation error detected: Value at 'webIdentityToken' failed to satisfy constraint: Member must have length between 4 and 20000")
		return
	}
	claims := jwt.MapClaims{}
	parser := jwt.NewParser(jwt.WithoutClaimsValidation(), jwt.WithValidMethods([]string{"RS256"}))
	if _, _, err := parser.ParseUnverified(raw, claims); err != nil {
		v.badToken("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
		return
	}
	account := accountOf(v.form.Get("RoleArn"))
	issuer, _ := claims["iss"].(string)
	clients, ok := v.w.provider(account, issuer)
	if role.ARN != "" && !ok {
		v.badToken("No OpenIDConnect provider found in your account for " + issuer)
		return
	}
	if role.ARN != "" && !v.checkToken(parser, raw, claims, clients) {
		return
	}
	provider := providerARN(role.ARN, issuer)
	switch {
	case !trust.allows(question{
		action: "sts:AssumeRoleWithWebIdentity", who: map[string][]string{"Federated": {provider}}, context: conditionKeys(issuer, claims),
	}):
		v.fail(apiError{http.StatusForbidden, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"})
	case life > role.MaxSession:
		v.invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	default:
		subject, _ := claims.GetSubject()
		audience := audienceOf(claims)
		v.session(role, life, assumedResult{Subject: subject, Audience: strings.Join(audience, ","), Provider: provider})
	}
}

// provider returns the client ids of an account's provider for an issuer.
func (w *Server) provider(account, issuer string) ([]string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	host, secure := strings.CutPrefix(issuer, "https://")
	clients, ok := w.providers[account][host]
	return clients, ok && secure
}

// checkToken verifies signature, times and audience. On failure it has answered.
func (v *visit) checkToken(parser *jwt.Parser, raw string, claims jwt.MapClaims, clients []string) bool {
	issuer, _ := claims["iss"].(string)
	key := keyOf(issuer)
	known := false
	_, err := parser.Parse(raw, func(t *jwt.Token) (any, error) {
		known = t.Header["kid"] == kid(key)
		return key.Public(), nil
	})
	now := v.w.now()
	expires, _ := claims.GetExpirationTime()
	before, _ := claims.GetNotBefore()
	audience := audienceOf(claims)
	switch {
	case !known:
		v.badToken("Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements")
	case err != nil: // AWS's words for this are not published
		v.badToken("The web identity token that was passed could not be validated: invalid signature")
	case expires == nil:
		v.badToken("Missing a required claim: exp")
	case !now.Before(expires.Time):
		v.fail(apiError{http.StatusBadRequest, "ExpiredTokenException", fmt.Sprintf(
			"Token expired: current date/time %d must be before the expiration date/time %d", now.Unix(), expires.Unix())})
	case before != nil && now.Before(before.Time):
		v.badToken("The web identity token that was passed is not valid yet")
	case !slices.ContainsFunc(audience, func(a string) bool { return slices.Contains(clients, a) }):
		v.badToken("Incorrect token audience")
	default:
		return true
	}
	return false
}

// audienceOf returns what AWS takes for a token's audience: azp, if the token has that claim,
// otherwise aud. AWS documents this for Google, and
// https://github.com/aws/aws-sdk-net/issues/3071 reports it for tokens of Entra's version 2.0.
func audienceOf(claims jwt.MapClaims) []string {
	if azp, ok := claims["azp"].(string); ok {
		return []string{azp}
	}
	audience, _ := claims.GetAudience()
	return audience
}

func (v *visit) badToken(message string) {
	v.fail(apiError{http.StatusBadRequest, "InvalidIdentityToken", message})
}

// Admits reports whether a role's trust policy admits a token with these claims, as the emulator's STS evaluates it, apart
// from all else that STS checks. It is for tests that compare another evaluation of policies with this one.
func Admits(trust, role string, claims map[string]any) (bool, error) {
	p, err := parsePolicy(trust)
	if err != nil {
		return false, err
	}
	issuer, _ := claims["iss"].(string)
	return p.allows(question{
		action: "sts:AssumeRoleWithWebIdentity", who: map[string][]string{"Federated": {providerARN(role, issuer)}}, context: conditionKeys(issuer, claims),
	}), nil
}

// providerARN names an issuer's provider in a role's account.
func providerARN(role, issuer string) string {
	return fmt.Sprintf("arn:%s:iam::%s:oidc-provider/%s", arnPart(role, 1), accountOf(role), strings.TrimPrefix(issuer, "https://"))
}

// conditionKeys are the claims that a trust policy can see: of every issuer the
// subject and the audience, of GitHub and CircleCI some more since January 2026.
// All other claims are not there for AWS, whatever the token holds.
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
			for _, one := range c {
				keys[key] = append(keys[key], fmt.Sprint(one))
			}
		}
	}
	if _, ok := claims["azp"]; ok {
		keys[strings.ToLower(strings.TrimPrefix(issuer, "https://"))+":aud"] = audienceOf(claims)
	}
	return keys
}
