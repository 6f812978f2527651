package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"
)

// checkPassword returns what is wrong with the result of a get that must succeed; nil if nothing is.
func (j *job) checkPassword(a getResult) error {
	password := a.secret()
	switch {
	case a.err != nil || a.stderr != "" || password == "":
		return fmt.Errorf("%v\nstdout %s\nstderr %s", a.err, a.stdout, a.stderr)
	case !j.acceptsPassword(password):
		return errors.New("the registry does not accept the password")
	}
	return nil
}

// secret returns the password of a successful get; "" for any other result.
func (a getResult) secret() string {
	var reply struct{ Username, Secret string }
	if a.err != nil || json.Unmarshal([]byte(a.stdout), &reply) != nil || reply.Username != "AWS" {
		return ""
	}
	return reply.Secret
}

// acceptsPassword reports whether the registry accepts the password.
func (j *job) acceptsPassword(password string) bool {
	tr := j.server.Transport()
	defer tr.CloseIdleConnections()
	r, err := http.NewRequest(http.MethodGet, "https://"+defaultHost+"/v2/", nil)
	if err != nil {
		panic(err)
	}
	r.SetBasicAuth("AWS", password)
	resp, err := tr.RoundTrip(r)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// checkRefusal returns what is wrong with the result of a get that must fail. The message must be one
// line on both streams, without control characters or workflow commands.
func (a getResult) checkRefusal() error {
	line, whole := strings.CutSuffix(a.stdout, "\n")
	switch {
	case a.err == nil:
		return errors.New("it succeeded")
	case a.stdout != a.stderr:
		return fmt.Errorf("stdout %s\nstderr %s", a.stdout, a.stderr)
	case !whole || !strings.HasPrefix(line, "ecr-oidc: ") || strings.Contains(line, "##[") ||
		strings.ContainsFunc(line, invisible):
		return fmt.Errorf("not one sanitized line: %q", a.stdout)
	case len(line) > 1100: // 600 bytes are quoted
		return fmt.Errorf("%d bytes: %s", len(line), line)
	}
	return nil
}

func invisible(r rune) bool {
	return !unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r) || r == '\u2028'
}
