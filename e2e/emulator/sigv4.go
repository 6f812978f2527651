package emulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
)

// Signature Version 4, implemented from its description:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

const (
	amzDateLayout = "20060102T150405Z"
	maxSkew       = 15 * time.Minute
)

// signature is a parsed Authorization header.
type signature struct {
	keyID, date, region, service string
	headers                      []string // names of the signed headers
	value                        string
	amzDate                      string // the X-Amz-Date header
	signedAt                     time.Time
}

// signatureError is the reason why a signature is rejected. Each protocol has its own code for it.
type signatureError struct {
	reason  reason
	message string
}

type reason int

const (
	missingSignature reason = iota
	incompleteSignature
	unknownKey
	signatureMismatch // wrong secret, scope or time, or a modified request
	expiredSession
)

func parseSignature(h http.Header) (s signature, bad *signatureError) {
	auth := h.Get("Authorization")
	if auth == "" {
		return s, &signatureError{missingSignature, "Request is missing Authentication Token"}
	}
	rest, ok := strings.CutPrefix(auth, "AWS4-HMAC-SHA256 ")
	fields := map[string]string{}
	for f := range strings.SplitSeq(rest, ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(f), "=")
		fields[k] = v
	}
	scope := strings.Split(fields["Credential"], "/")
	if !ok || len(scope) != 5 || scope[4] != "aws4_request" ||
		fields["SignedHeaders"] == "" || fields["Signature"] == "" {
		return s, &signatureError{incompleteSignature,
			"Authorization header requires 'Credential', 'Signature' and 'SignedHeaders' parameters."}
	}
	s = signature{keyID: scope[0], date: scope[1], region: scope[2], service: scope[3],
		value:   fields["Signature"],
		headers: strings.Split(fields["SignedHeaders"], ";"), amzDate: h.Get("X-Amz-Date")}
	at, err := time.Parse(amzDateLayout, s.amzDate)
	if err != nil || s.amzDate[:8] != s.date {
		return s, &signatureError{signatureMismatch, fmt.Sprintf("Date in Credential scope does not match "+
			"YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s'.", s.date, s.amzDate)}
	}
	s.signedAt = at
	return s, nil
}

// covers reports whether Host and every X-Amz- header are signed, as AWS requires.
func (s signature) covers(h http.Header) bool {
	for k := range h {
		k = strings.ToLower(k)
		if strings.HasPrefix(k, "x-amz-") && !slices.Contains(s.headers, k) {
			return false
		}
	}
	return slices.Contains(s.headers, "host")
}

// compute returns the signature of a request with a secret access key.
func (s signature) compute(secret string, r *http.Request, body []byte) string {
	scope := strings.Join([]string{s.date, s.region, s.service, "aws4_request"}, "/")
	text := "AWS4-HMAC-SHA256\n" + s.amzDate + "\n" + scope + "\n" + sha256Hex([]byte(canonicalRequest(r,
		s.headers, body)))
	key := []byte("AWS4" + secret)
	for _, part := range []string{s.date, s.region, s.service, "aws4_request"} {
		key = hmacSHA256(key, part)
	}
	return hex.EncodeToString(hmacSHA256(key, text))
}

func canonicalRequest(r *http.Request, headers []string, body []byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n%s\n", r.Method, canonicalPath(r.URL.EscapedPath()),
		canonicalQuery(r.URL.Query()))
	for _, k := range headers {
		value := strings.Join(r.Header.Values(k), ",")
		switch k {
		case "host": // net/http removes these two from the header
			value = r.Host
		case "content-length":
			value = fmt.Sprint(len(body))
		}
		fmt.Fprintf(&b, "%s:%s\n", k, strings.Join(strings.Fields(value), " "))
	}
	fmt.Fprintf(&b, "\n%s\n%s", strings.Join(headers, ";"), sha256Hex(body))
	return b.String()
}

// canonicalPath returns a path normalized and URI-encoded. AWS encodes the path twice for all services
// except S3, so the encoded path of the request is encoded again.
func canonicalPath(sent string) string {
	clean := path.Clean("/" + sent)
	if strings.HasSuffix(sent, "/") && clean != "/" {
		clean += "/"
	}
	return strings.ReplaceAll(uriEncode(clean), "%2F", "/")
}

func canonicalQuery(q map[string][]string) string {
	var pairs []string
	for k, values := range q {
		for _, v := range values {
			pairs = append(pairs, uriEncode(k)+"="+uriEncode(v))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// uriEncode encodes all characters except the unreserved ones of RFC 3986.
func uriEncode(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' ||
			strings.IndexByte("-_.~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func sha256Hex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func hmacSHA256(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
