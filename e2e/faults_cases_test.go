package e2e

import (
	"runtime"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// A faultCase is a fault of a service or of the network, and what the program does about it.
type faultCase struct {
	name     string
	fault    emulator.Fault
	stream   string                 // repeated without end after the body
	endpoint func(*faultRun) string // instead of a fault: the URL of the service

	retryable bool // the program retries
	slow      bool // each request runs into a timeout of the program, six seconds
	failures  int  // after which a retryable fault ends; 0: two, and one if it is slow

	oidc, sts, ecr string // the error message when the fault persists; "" if the service has no such fault
	requests       int    // until the program fails; 0: one if the fault is not retryable, else the default number
}

const (
	// halfSecret is in responses that no message may quote.
	halfSecret = "half-a-secret"

	// hostileText is text that a terminal, a log or the GitHub runner would interpret.
	hostileText = "one\r\n::set-output name=x::y\n::add-mask::z\n##[error]two\x1b[31m\x1b]0;t\a\u202e\u2066\u200b\x00\x7f\u0085end"
	sanitized   = "one ::set-output name=x::y ::add-mask::z # #[error]two"

	// manyRequests is as many as the time limit allows.
	manyRequests = -1
)

func faultCases() []faultCase {
	const (
		late   = "no response in time"
		early  = "the connection was closed before the response was complete"
		notAWS = "the response is not from AWS (is there a proxy in between?)"
		noJSON = "the response is not JSON (is there a proxy in between?)"
		long   = "the response is longer than "
		empty  = "the response of ECR contains no password"
		bearer = ": redirects are not followed"
	)
	refused, reset := "connection refused", "connection reset by peer"
	if runtime.GOOS == "windows" {
		refused, reset = "actively refused it", "forcibly closed"
	}
	page := []byte("<!DOCTYPE html><html><head><title>Log in</title></head><body>" + halfSecret + "</body></html>")
	return []faultCase{
		// The connection fails, or closes early.
		{name: "connection refused", endpoint: (*faultRun).closedPort, retryable: true,
			oidc: refused, sts: refused, ecr: refused},
		{name: "reset", fault: emulator.Fault{Reset: true}, retryable: true,
			oidc: reset, sts: reset, ecr: reset},
		{name: "cut off", fault: emulator.Fault{Truncate: 40}, retryable: true,
			oidc: early, sts: early, ecr: early},
		{name: "500, cut off",
			fault: emulator.Fault{Status: 500, Body: page, Truncate: 40}, retryable: true,
			oidc: early, sts: early, ecr: early},
		{name: "certificate of an unknown CA", endpoint: (*faultRun).untrusted,
			oidc: "certificate signed by unknown authority",
			sts:  "certificate signed by unknown authority",
			ecr:  "certificate signed by unknown authority"},
		{name: "certificate for another name", endpoint: (*faultRun).misnamed,
			oidc: "not localhost", sts: "not localhost", ecr: "not localhost"},

		// No complete response arrives.
		{name: "hangs", fault: emulator.Fault{Hang: true}, retryable: true, slow: true,
			oidc: late, sts: late, ecr: late},
		{name: "hangs after its headers",
			fault: emulator.Fault{HangAfterHeaders: true}, retryable: true, slow: true,
			oidc: late, sts: late, ecr: late},
		{name: "drips",
			fault: emulator.Fault{Drip: 100 * time.Millisecond}, retryable: true, slow: true,
			oidc: late, sts: late, ecr: late},

		// The service refuses.
		{name: "400",
			fault: emulator.Fault{Status: 400, Code: "ValidationError",
				Message: "1 validation error"},
			oidc: "HTTP 400 Bad Request", sts: "ValidationError: 1 validation error",
			ecr: "ValidationError: 1 validation error"},
		{name: "401", fault: emulator.Fault{Status: 401, Body: []byte(halfSecret)},
			oidc: "HTTP 401 Unauthorized", sts: "HTTP 401", ecr: "HTTP 401"},
		{name: "403, a proxy's page",
			fault: emulator.Fault{Status: 403, Body: page, ContentType: "text/html"},
			oidc:  "HTTP 403 Forbidden", sts: "HTTP 403", ecr: "HTTP 403"},
		{name: "404", fault: emulator.Fault{Status: 404, Body: []byte(halfSecret)},
			oidc: "HTTP 404 Not Found", sts: "HTTP 404", ecr: "HTTP 404"},
		{name: "AccessDenied",
			fault: emulator.Fault{Status: 403, Code: "AccessDenied",
				Message: "Not authorized to perform sts:AssumeRoleWithWebIdentity"},
			sts: "AccessDenied"},
		{name: "AccessDeniedException",
			fault: emulator.Fault{Code: "AccessDeniedException",
				Message: "User is not authorized"},
			ecr: "AccessDeniedException: User is not authorized"},
		{name: "InvalidIdentityToken",
			fault: emulator.Fault{Code: "InvalidIdentityToken",
				Message: "Incorrect token audience"},
			sts: "InvalidIdentityToken: Incorrect token audience"},
		{name: "IDPRejectedClaim",
			fault: emulator.Fault{Status: 403, Code: "IDPRejectedClaim",
				Message: "the issuer said no"},
			sts: "IDPRejectedClaim: the issuer said no"},
		{name: "RegionDisabledException",
			fault: emulator.Fault{Status: 403, Code: "RegionDisabledException",
				Message: "STS is not activated"},
			sts: "RegionDisabledException: STS is not activated"},
		{name: "UnrecognizedClientException",
			fault: emulator.Fault{Code: "UnrecognizedClientException",
				Message: "The security token included in the request is invalid."},
			ecr: "UnrecognizedClientException: The security token"},

		// The service fails for now.
		{name: "500",
			fault: emulator.Fault{Status: 500, Body: []byte(halfSecret)}, retryable: true,
			oidc: "HTTP 500 Internal Server Error", sts: "HTTP 500", ecr: "HTTP 500"},
		{name: "502, a proxy's page",
			fault: emulator.Fault{Status: 502,
				Body: page, ContentType: "text/html"}, retryable: true,
			oidc: "HTTP 502 Bad Gateway", sts: "HTTP 502", ecr: "HTTP 502"},
		{name: "503",
			fault: emulator.Fault{Status: 503, Code: "ServiceUnavailable",
				Message: "try later"}, retryable: true,
			oidc: "HTTP 503 Service Unavailable", sts: "ServiceUnavailable: try later",
			ecr: "ServiceUnavailable: try later"},
		{name: "504, empty",
			fault: emulator.Fault{Status: 504, Body: []byte{}}, retryable: true,
			oidc: "HTTP 504 Gateway Timeout", sts: "HTTP 504", ecr: "HTTP 504"},
		{name: "429",
			fault: emulator.Fault{Status: 429, Body: []byte(halfSecret)}, retryable: true,
			oidc: "HTTP 429 Too Many Requests"},
		{name: "429, Retry-After 1",
			fault: emulator.Fault{Status: 429,
				Header: map[string]string{"Retry-After": "1"}},
			retryable: true,
			oidc:      "HTTP 429 Too Many Requests: retry after 1s"},
		{name: "429, Retry-After 60",
			fault: emulator.Fault{Status: 429,
				Header: map[string]string{"Retry-After": "60"}},
			oidc: "HTTP 429 Too Many Requests: retry after 1m0s"},
		{name: "403, the job is pending",
			fault: emulator.Fault{Status: 403,
				Body: []byte("Can't issue ID_TOKEN for job in Pending state " + halfSecret)},
			retryable: true,
			oidc:      "HTTP 403: the job is not registered as running yet"},
		{name: "Throttling",
			fault: emulator.Fault{Code: "Throttling",
				Message: "Rate exceeded"}, retryable: true, requests: manyRequests,
			sts: "Throttling: Rate exceeded"},
		{name: "ThrottlingException",
			fault: emulator.Fault{Code: "ThrottlingException",
				Message: "Rate exceeded"}, retryable: true, requests: manyRequests,
			ecr: "ThrottlingException: Rate exceeded"},
		{name: "IDPCommunicationError",
			fault: emulator.Fault{Code: "IDPCommunicationError",
				Message: "An error occurred communicating with the identity provider"},
			retryable: true,
			sts:       "IDPCommunicationError: An error occurred"},
		{name: "the keys of the issuer are not available",
			fault: emulator.Fault{Code: "InvalidIdentityToken",
				Message: "Couldn't retrieve verification key from your identity provider"},
			retryable: true,
			sts:       "InvalidIdentityToken: Couldn't retrieve verification key"},
		{name: "the token has expired",
			fault: emulator.Fault{Code: "ExpiredTokenException",
				Message: "Token expired"}, retryable: true, failures: 1, requests: 2,
			sts: "ExpiredTokenException: Token expired"},

		// The response is not what the protocol defines.
		{name: "a login page", fault: emulator.Fault{Body: page, ContentType: "text/html"},
			oidc: noJSON, sts: notAWS, ecr: notAWS},
		{name: "an empty body", fault: emulator.Fault{Body: []byte{}},
			oidc: noJSON, sts: "the response of STS contains no credentials",
			ecr: empty},
		{name: "204", fault: emulator.Fault{Status: 204, Body: []byte{}},
			oidc: "HTTP 204 No Content", sts: "the response of STS contains no credentials",
			ecr: empty},
		{name: "half of the body",
			fault: emulator.Fault{Body: []byte(`{"value": "` + halfSecret)},
			oidc:  noJSON, ecr: notAWS},
		{name: "half of the body",
			fault: emulator.Fault{Body: []byte("<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult>" + halfSecret)},
			sts:   notAWS},
		{name: "a list for an object",
			fault: emulator.Fault{Body: []byte(`["` + halfSecret + `"]`)},
			oidc:  noJSON, sts: "the response of STS contains no credentials", ecr: notAWS},
		{name: "a number for a text",
			fault: emulator.Fault{Body: []byte(`{"value": 5, "x": "` + halfSecret + `"}`)},
			oidc:  `the response has no field "value"`},
		{name: "a number for a text",
			fault: emulator.Fault{Body: []byte(`{"authorizationData": [{"authorizationToken": 5, "proxyEndpoint": "` + halfSecret + `"}]}`)},
			ecr:   notAWS},
		{name: "a text for a list",
			fault: emulator.Fault{Body: []byte(`{"authorizationData": "` + halfSecret + `"}`)},
			ecr:   notAWS},
		{name: "a text for a date",
			fault: emulator.Fault{Body: []byte("<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><Expiration>" + halfSecret + "</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>")},
			sts:   notAWS},
		{name: "a malformed token",
			fault: emulator.Fault{Body: []byte(`{"value": "` + halfSecret + `"}`)},
			oidc:  "it is not a JWT (from GitHub)"},
		{name: "a malformed password",
			fault: emulator.Fault{Body: []byte(`{"authorizationData": [{"authorizationToken": "` + halfSecret + `", "expiresAt": 1e10}]}`)},
			ecr:   empty},
		{name: "redirect",
			fault: emulator.Fault{Status: 302,
				Header: map[string]string{"Location": "elsewhere"}},
			oidc: "HTTP 302 Found" + bearer, sts: "HTTP 302", ecr: "HTTP 302"},
		{name: "redirect that keeps the body",
			fault: emulator.Fault{Status: 307,
				Header: map[string]string{"Location": "elsewhere"}},
			oidc: "HTTP 307 Temporary Redirect" + bearer, sts: "HTTP 307",
			ecr: "HTTP 307"},

		// The response does not end.
		{name: "endless response",
			fault: emulator.Fault{Body: []byte(`{"value": "`)}, stream: halfSecret,
			oidc: long},
		{name: "endless response",
			fault:  emulator.Fault{Body: []byte(`{"authorizationData": [{"authorizationToken": "`)},
			stream: halfSecret,
			ecr:    long},
		{name: "endless response",
			fault:  emulator.Fault{Body: []byte("<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><X>")},
			stream: halfSecret,
			sts:    long},
		{name: "endless blanks", stream: " ", oidc: long, sts: long, ecr: long},
		{name: "400, endless", fault: emulator.Fault{Status: 400}, stream: halfSecret,
			oidc: "HTTP 400 Bad Request", sts: long, ecr: long},
		{name: "500, endless",
			fault: emulator.Fault{Status: 500}, stream: halfSecret, retryable: true,
			oidc: "HTTP 500 Internal Server Error", sts: long, ecr: long},

		// The response contains control characters and workflow commands.
		{name: "hostile text",
			fault: emulator.Fault{Status: 400, Body: []byte(hostileText + halfSecret)},
			oidc:  "HTTP 400 Bad Request", sts: "HTTP 400", ecr: "HTTP 400"},
		{name: "hostile message",
			fault: emulator.Fault{Code: "ValidationError",
				Message: hostileText + strings.Repeat("x", 5000)},
			oidc: "HTTP 400 Bad Request", sts: "ValidationError: " + sanitized,
			ecr: "ValidationError: " + sanitized},
		{name: "hostile code",
			fault: emulator.Fault{Code: hostileText + strings.Repeat("x", 5000),
				Message: hostileText},
			sts: sanitized, ecr: "one"},
	}
}
