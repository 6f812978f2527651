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

// Signature Version 4, from its description alone:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

const (
	stampLayout = "20060102T150405Z"
	maxSkew     = 15 * time.Minute
)

// signature is an Authorization header taken apart.
type signature struct {
	keyID, date, region, service string
	headers                      []string // the signed ones
	value                        string
	stamp                        string // X-Amz-Date
	at                           time.Time
}

// refusal is why a signature is not accepted; each protocol has its own codes for it.
type refusal struct {
	why     why
	message string
}

type why int

const (
	missing    why = iota // no signature
	incomplete            // not a signature
	unknown               // no such key
	mismatch              // wrong secret, scope, time or a changed request
	expired               // the session is over
)

func parseSignature(h http.Header) (s signature, bad *refusal) {
	auth := h.Get("Authorization")
	if auth == "" {
		return s, &refusal{missing, "Request is missing Authentication Token"}
	}
	rest, ok := strings.CutPrefix(auth, "AWS4-HMAC-SHA256 ")
	fields := map[string]string{}
	for f := range strings.SplitSeq(rest, ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(f), "=")
		fields[k] = v
	}
	scope := strings.Split(fields["Credential"], "/")
	if !ok || len(scope) != 5 || scope[4] != "aws4_request" || fields["SignedHeaders"] == "" || fields["Signature"] == "" {
		return s, &refusal{incomplete, "Authorization header requires 'Credential', 'Signature' and 'SignedHeaders' parameters."}
	}
	s = signature{keyID: scope[0], date: scope[1], region: scope[2], service: scope[3], value: fields["Signature"],
		headers: strings.Split(fields["SignedHeaders"], ";"), stamp: h.Get("X-Amz-Date")}
	at, err := time.Parse(stampLayout, s.stamp)
	if err != nil || s.stamp[:8] != s.date {
		return s, &refusal{mismatch, fmt.Sprintf("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s'.", s.date, s.stamp)}
	}
	s.at = at
	return s, nil
}

// covers reports whether host and every x-amz- header are signed, as they have to be.
func (s signature) covers(h http.Header) bool {
	for k := range h {
		k = strings.ToLower(k)
		if strings.HasPrefix(k, "x-amz-") && !slices.Contains(s.headers, k) {
			return false
		}
	}
	return slices.Contains(s.headers, "host")
}

// sum computes what the signature should be.
func (s signature) sum(secret string, r *http.Request, body []byte) string {
	scope := strings.Join([]string{s.date, s.region, s.service, "aws4_request"}, "/")
	text := "AWS4-HMAC-SHA256\n" + s.stamp + "\n" + scope + "\n" + hash([]byte(canonical(r, s.headers, body)))
	key := []byte("AWS4" + secret)
	for _, part := range []string{s.date, s.region, s.service, "aws4_request"} {
		key = mac(key, part)
	}
	return hex.EncodeToString(mac(key, text))
}

func canonical(r *http.Request, headers []string, body []byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n%s\n", r.Method, canonicalPath(r.URL.EscapedPath()), canonicalQuery(r.URL.Query()))
	for _, k := range headers {
		value := strings.Join(r.Header.Values(k), ",")
		switch k {
		case "host": // net/http moves these two out of the header
			value = r.Host
		case "content-length":
			value = fmt.Sprint(len(body))
		}
		fmt.Fprintf(&b, "%s:%s\n", k, strings.Join(strings.Fields(value), " "))
	}
	fmt.Fprintf(&b, "\n%s\n%s", strings.Join(headers, ";"), hash(body))
	return b.String()
}

// canonicalPath is normalised and then, for all services but S3, encoded once
// more than the path that was sent.
func canonicalPath(sent string) string {
	clean := path.Clean("/" + sent)
	if strings.HasSuffix(sent, "/") && clean != "/" {
		clean += "/"
	}
	return strings.ReplaceAll(encode(clean), "%2F", "/")
}

func canonicalQuery(q map[string][]string) string {
	var pairs []string
	for k, values := range q {
		for _, v := range values {
			pairs = append(pairs, encode(k)+"="+encode(v))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// encode is RFC 3986's percent-encoding of all but the unreserved characters.
func encode(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-_.~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
