package token

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestInvalidHTTPResponse checks that the error does not quote an invalid response, as net/http's
// error does.
func TestInvalidHTTPResponse(t *testing.T) {
	t.Parallel()
	for name, response := range map[string]string{
		"a malformed status line": "HTTP/1.1 secret-body-line OK\r\n\r\n",
		"not HTTP":                "secret-body-line\r\n\r\n",
		"a malformed header":      "HTTP/1.1 200 OK\r\nsecret-body-line\r\n\r\n",
		"a malformed Location": "HTTP/1.1 302 Found\r\nLocation: http://secret-body-line:%zz/\r\n" +
			"Content-Length: 0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					go func() {
						conn.Read(make([]byte, 4096))
						io.WriteString(conn, response)
						conn.Close()
					}()
				}
			}()
			s, err := identify(t, true, Settings{}, "GITHUB_ACTIONS=true",
				"ACTIONS_ID_TOKEN_REQUEST_URL=http://"+l.Addr().String()+"/x?secret-query",
				"ACTIONS_ID_TOKEN_REQUEST_TOKEN=a-bearer-of-the-job")
			if err != nil {
				t.Fatal(err)
			}
			skipPauses(t, func(t *testing.T, client *http.Client) {
				_, err := s.Token(t.Context(), client, "")
				if err == nil || strings.Contains(err.Error(), "secret") ||
					strings.Contains(err.Error(), "bearer") {
					t.Errorf("%v", err)
				}
			})
		})
	}
}
