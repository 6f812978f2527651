package exchange

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestResponseWithoutPassword checks that a response without a password is an error.
func TestResponseWithoutPassword(t *testing.T) {
	for _, host := range []string{registryHost, "public.ecr.aws"} {
		for _, body := range []string{
			`{}`, `{"authorizationData": []}`, `{"authorizationData": null}`,
		} {
			if host == "public.ecr.aws" {
				body = strings.ReplaceAll(body, "[]", "{}")
			}
			stsService, _ := startServices(t, serviceOptions{plain: true})
			responses := map[string]string{"": body}
			ecrService := startService(t, serviceOptions{plain: true}, responses)
			r := newTestInput(t, stsService, ecrService)
			t.Setenv("AWS_ENDPOINT_URL_ECR_PUBLIC", ecrService.URL)
			r.Settings.Registry = parseHost(t, host)
			login, err := r.assumeRolesAndGetPassword(t.Context())
			if err == nil || !strings.Contains(err.Error(), "no password") ||
				login.Username != "" {
				t.Errorf("%s, %s: %q, %v", host, body, login.Username, err)
			}
		}
	}
}

// TestTTLByServerTime checks that lifetimes are measured by the clock of AWS. The local clock may be
// wrong.
func TestTTLByServerTime(t *testing.T) {
	date := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	handler := func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Date", date.Format(http.TimeFormat))
		fmt.Fprintf(rw,
			`{"authorizationData": [{"authorizationToken": "QVdTOnBhc3M=", "expiresAt": %d}]}`,
			date.Add(12*time.Hour).Unix())
	}
	stsService, _ := startServices(t, serviceOptions{plain: true})
	ecrService := &service{Server: httptest.NewServer(http.HandlerFunc(handler))}
	t.Cleanup(ecrService.Close)
	login, err := newTestInput(t, stsService, ecrService).assumeRolesAndGetPassword(t.Context())
	if err != nil || login.TTL != 12*time.Hour {
		t.Errorf("%v, %v", login.TTL, err)
	}
}
