package emulator

import (
	"crypto/hmac"
	"fmt"
	"net/http"
	"time"
)

// authenticate finds out who signed the request. On failure it has answered.
func (v *visit) authenticate() (principal, signature, bool) {
	s, bad := parseSignature(v.r.Header)
	if bad == nil {
		bad = v.checkScope(s)
	}
	if bad == nil {
		bad = checkTime(s.at, v.w.now())
	}
	v.w.mu.Lock()
	p, known := v.w.keys[s.keyID]
	v.w.mu.Unlock()
	if bad == nil {
		bad = v.checkSignature(s, p, known)
	}
	if bad != nil {
		v.refuse(*bad)
		return p, s, false
	}
	v.caller(p.arn)
	return p, s, true
}

func (v *visit) checkScope(s signature) *refusal {
	if s.service != v.at.service {
		return &refusal{mismatch, fmt.Sprintf("Credential should be scoped to correct service: '%s'.", v.at.service)}
	}
	region := v.at.region
	if v.at.service == "ecr-public" { // there is no other: https://docs.aws.amazon.com/general/latest/gr/ecr-public.html
		region = "us-east-1"
	}
	if region != "" && s.region != region {
		return &refusal{mismatch, fmt.Sprintf("Credential should be scoped to a valid region, not '%s'.", s.region)}
	}
	return nil
}

func checkTime(at, now time.Time) *refusal {
	now = now.UTC()
	stamp := func(t time.Time) string { return t.Format(stampLayout) }
	switch {
	case at.Before(now.Add(-maxSkew)):
		return &refusal{mismatch, fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - 15 min.)",
			stamp(at), stamp(now.Add(-maxSkew)), stamp(now))}
	case at.After(now.Add(maxSkew)):
		return &refusal{mismatch, fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + 15 min.)",
			stamp(at), stamp(now.Add(maxSkew)), stamp(now))}
	}
	return nil
}

func (v *visit) checkSignature(s signature, p principal, known bool) *refusal {
	sent := v.r.Header.Get("X-Amz-Content-Sha256")
	right := s.sum(p.secret, v.r, v.body)
	switch {
	case !known, v.r.Header.Get("X-Amz-Security-Token") != p.token:
		return &refusal{unknown, "The security token included in the request is invalid."}
	case !s.covers(v.r.Header):
		return &refusal{mismatch, "'Host' and every 'X-Amz-' header must be a 'SignedHeader' in the AWS Authorization."}
	case sent != "" && sent != hash(v.body), !hmac.Equal([]byte(s.value), []byte(right)):
		return &refusal{mismatch, "The request signature we calculated does not match the signature you provided. " +
			"Check your AWS Secret Access Key and signing method. Consult the service documentation for details."}
	case !p.expires.IsZero() && !v.w.now().Before(p.expires):
		return &refusal{expired, "The security token included in the request is expired"}
	}
	return nil
}

// refuse answers in the codes of the service's protocol.
// https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/CommonErrors.html
func (v *visit) refuse(r refusal) {
	query := map[why]apiError{
		missing:    {http.StatusForbidden, "MissingAuthenticationToken", ""},
		incomplete: {http.StatusBadRequest, "IncompleteSignature", ""},
		unknown:    {http.StatusForbidden, "InvalidClientTokenId", ""},
		mismatch:   {http.StatusForbidden, "SignatureDoesNotMatch", ""},
		expired:    {http.StatusForbidden, "ExpiredToken", ""},
	}
	// The JSON services answer 400 to all of these, whatever their pages say.
	json := map[why]apiError{
		missing:    {http.StatusBadRequest, "MissingAuthenticationTokenException", ""},
		incomplete: {http.StatusBadRequest, "IncompleteSignatureException", ""},
		unknown:    {http.StatusBadRequest, "UnrecognizedClientException", ""},
		mismatch:   {http.StatusBadRequest, "InvalidSignatureException", ""},
		expired:    {http.StatusBadRequest, "ExpiredTokenException", ""},
	}
	e := json[r.why]
	if v.at.service == "sts" {
		e = query[r.why]
	}
	e.message = r.message
	v.fail(e)
}
