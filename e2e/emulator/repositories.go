package emulator

import (
	"net/http"
	"net/http/httptest"
	"strings"
)

// AddRepository creates a repository with one manifest. Others are created by their first push.
func (s *Server) AddRepository(account, region, name string) {
	r := httptest.NewRequest(http.MethodPut, "/v2/"+name+"/manifests/empty", strings.NewReader("{}"))
	r.Header.Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
	s.imageStore(account, region).ServeHTTP(httptest.NewRecorder(), r)
}
