package token

import (
	"io"
	"net"
	"strings"
	"testing"
)

// An answer that is not good HTTP is said in our words: net/http's own would quote it.
func TestInvalidHTTPResponse(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"a malformed status line": "HTTP/1.1 secret-body-line OK\r\n\r\n",
		"noise":                   "secret-body-line\r\n\r\n",
		"a malformed header":      "HTTP/1.1 200 OK\r\nsecret-body-line\r\n\r\n",
		"a Location that is none": "HTTP/1.1 302 Found\r\nLocation: http://secret-body-line:%zz/\r\nContent-Length: 0\r\n\r\n",
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
						io.WriteString(conn, answer)
						conn.Close()
					}()
				}
			}()
			s, err := identify(t, true, Settings{}, "GITHUB_ACTIONS=true", "ACTIONS_ID_TOKEN_REQUEST_URL=http://"+l.Addr().String()+"/x?secret-query", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=a-bearer-of-the-job")
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Token(t.Context(), NewClient(nil), "")
			if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "bearer") {
				t.Errorf("%v", err)
			}
		})
	}
}
