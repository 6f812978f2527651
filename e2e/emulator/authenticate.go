package emulator

import (
	"crypto/hmac"
	"fmt"
	"net/http"
	"time"
)

// authenticate returns the principal that signed the request, and the signature. If the signature is
// invalid, it sends the error and reports false.
func (r *request) authenticate() (principal, signature, bool) {
	s, bad := parseSignature(r.httpReq.Header)
	if bad == nil {
		bad = r.checkScope(s)
	}
	if bad == nil {
		bad = checkTime(s.signedAt, r.server.now())
	}
	r.server.mu.Lock()
	p, known := r.server.principals[s.keyID]
	r.server.mu.Unlock()
	if bad == nil {
		bad = r.checkSignature(s, p, known)
	}
	if bad != nil {
		r.writeSignatureError(*bad)
		return p, s, false
	}
	r.setCaller(p.arn)
	return p, s, true
}

func (r *request) checkScope(s signature) *signatureError {
	if s.service != r.endpoint.service {
		return &signatureError{signatureMismatch,
			fmt.Sprintf("Credential should be scoped to correct service: '%s'.", r.endpoint.service)}
	}
	region := r.endpoint.region
	if r.endpoint.service == "ecr-public" {
		region = "us-east-1" // its only region: https://docs.aws.amazon.com/general/latest/gr/ecr-public.html
	}
	if region != "" && s.region != region {
		return &signatureError{signatureMismatch,
			fmt.Sprintf("Credential should be scoped to a valid region, not '%s'.", s.region)}
	}
	return nil
}

func checkTime(signedAt, now time.Time) *signatureError {
	now = now.UTC()
	format := func(t time.Time) string { return t.Format(amzDateLayout) }
	switch {
	case signedAt.Before(now.Add(-maxSkew)):
		return &signatureError{signatureMismatch, fmt.Sprintf(
			"Signature expired: %s is now earlier than %s (%s - 15 min.)",
			format(signedAt), format(now.Add(-maxSkew)), format(now))}
	case signedAt.After(now.Add(maxSkew)):
		return &signatureError{signatureMismatch, fmt.Sprintf(
			"Signature not yet current: %s is still later than %s (%s + 15 min.)",
			format(signedAt), format(now.Add(maxSkew)), format(now))}
	}
	return nil
}

func (r *request) checkSignature(s signature, p principal, known bool) *signatureError {
	sent := r.httpReq.Header.Get("X-Amz-Content-Sha256")
	want := s.compute(p.secret, r.httpReq, r.body)
	switch {
	case !known, r.httpReq.Header.Get("X-Amz-Security-Token") != p.token:
		return &signatureError{unknownKey, "The security token included in the request is invalid."}
	case !s.covers(r.httpReq.Header):
		return &signatureError{signatureMismatch,
			"'Host' and every 'X-Amz-' header must be a 'SignedHeader' in the AWS Authorization."}
	case sent != "" && sent != sha256Hex(r.body), !hmac.Equal([]byte(s.value), []byte(want)):
		return &signatureError{signatureMismatch,
			"The request signature we calculated does not match the signature you provided. " +
				"Check your AWS Secret Access Key and signing method. Consult the service documentation for details."}
	case !p.expires.IsZero() && !r.server.now().Before(p.expires):
		return &signatureError{expiredSession, "The security token included in the request is expired"}
	}
	return nil
}

// writeSignatureError sends a signature error with the code of the service's protocol.
// https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/CommonErrors.html
func (r *request) writeSignatureError(bad signatureError) {
	queryErrors := map[reason]apiError{
		missingSignature:    {http.StatusForbidden, "MissingAuthenticationToken", ""},
		incompleteSignature: {http.StatusBadRequest, "IncompleteSignature", ""},
		unknownKey:          {http.StatusForbidden, "InvalidClientTokenId", ""},
		signatureMismatch:   {http.StatusForbidden, "SignatureDoesNotMatch", ""},
		expiredSession:      {http.StatusForbidden, "ExpiredToken", ""},
	}
	// The JSON services respond with 400 to all of these, although their documentation differs.
	jsonErrors := map[reason]apiError{
		missingSignature:    {http.StatusBadRequest, "MissingAuthenticationTokenException", ""},
		incompleteSignature: {http.StatusBadRequest, "IncompleteSignatureException", ""},
		unknownKey:          {http.StatusBadRequest, "UnrecognizedClientException", ""},
		signatureMismatch:   {http.StatusBadRequest, "InvalidSignatureException", ""},
		expiredSession:      {http.StatusBadRequest, "ExpiredTokenException", ""},
	}
	e := jsonErrors[bad.reason]
	if r.endpoint.service == "sts" {
		e = queryErrors[bad.reason]
	}
	e.message = bad.message
	r.writeError(e)
}
