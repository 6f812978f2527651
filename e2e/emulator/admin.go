package emulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"
)

// admin serves the API that controls an emulator from another process. It is at https://emulator.test/,
// and on loopback at /_emulator/:
//
//	GET  calls, count?service=S, reset-calls, clear-faults, ca.pem, circleci-token?aud=A
//	POST fail?service=S[&delay=2s] with a Fault, role with a Role,
//	     github with a GitHubJob, circleci with a CircleJob
//
// The last two respond with the job's environment. Its URLs have the services' real host names.
func (s *Server) admin(rw http.ResponseWriter, r *http.Request, path string) {
	var err error
	query := r.URL.Query()
	switch r.Method + " " + path {
	case "GET /calls":
		err = json.NewEncoder(rw).Encode(s.Calls())
	case "GET /count":
		fmt.Fprintln(rw, s.Count(query.Get("service")))
	case "GET /reset-calls":
		s.ResetCalls()
	case "GET /clear-faults":
		s.ClearFaults()
	case "GET /ca.pem":
		rw.Write(s.CAPEM())
	case "GET /circleci-token":
		fmt.Fprintln(rw, s.CircleToken(CircleJob{Audience: query.Get("aud")}))
	case "POST /fail":
		var f Fault
		if err = decode(r.Body, &f); err == nil && query.Has("delay") {
			f.Delay, err = time.ParseDuration(query.Get("delay"))
		}
		if err == nil {
			s.AddFault(query.Get("service"), f)
		}
	case "POST /role":
		var role Role
		err = decode(r.Body, &role)
		for _, text := range []string{role.Trust, role.Policy} {
			if err == nil && text != "" {
				_, err = parsePolicy(text)
			}
		}
		if err == nil {
			s.AddRole(role)
		}
	case "POST /github":
		var j GitHubJob
		if err = decode(r.Body, &j); err == nil {
			rw.Write(EnvFile(s.GitHubRealHost(j)))
		}
	case "POST /circleci":
		var j CircleJob
		if err = decode(r.Body, &j); err == nil {
			rw.Write(EnvFile(s.Circle(j)))
		}
	default:
		err = fmt.Errorf("unknown operation: %s %s", r.Method, path)
	}
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
	}
}

// decode reads one JSON value. It leaves value unchanged if the body is empty.
func decode(r io.Reader, value any) error {
	d := json.NewDecoder(io.LimitReader(r, 1<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(value); err != nil && err != io.EOF {
		return fmt.Errorf("reading the request: %w", err)
	}
	return nil
}

// EnvFile returns an environment as sorted KEY=value lines.
func EnvFile(env map[string]string) []byte {
	var b bytes.Buffer
	for _, k := range slices.Sorted(maps.Keys(env)) {
		fmt.Fprintf(&b, "%s=%s\n", k, env[k])
	}
	return b.Bytes()
}
