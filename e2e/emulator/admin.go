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

// admin lets a shell steer an emulator that runs as a process of its own, at
// https://emulator.test/ or under /_emulator/ on loopback:
//
//	GET  calls, count?service=S, reset-calls, clear-faults, ca.pem, circleci-token?aud=A
//	POST fail?service=S[&delay=2s] a Fault; role a Role; github a GitHubJob; circleci a CircleJob
//
// The last two answer with the job's environment, with real host names.
func (w *Server) admin(rw http.ResponseWriter, r *http.Request, path string) {
	var err error
	query := r.URL.Query()
	switch r.Method + " " + path {
	case "GET /calls":
		err = json.NewEncoder(rw).Encode(w.Calls())
	case "GET /count":
		fmt.Fprintln(rw, w.Count(query.Get("service")))
	case "GET /reset-calls":
		w.ResetCalls()
	case "GET /clear-faults":
		w.ClearFaults()
	case "GET /ca.pem":
		rw.Write(w.CAPEM())
	case "GET /circleci-token":
		fmt.Fprintln(rw, w.CircleToken(CircleJob{Audience: query.Get("aud")}))
	case "POST /fail":
		var f Fault
		if err = decode(r.Body, &f); err == nil && query.Has("delay") {
			f.Delay, err = time.ParseDuration(query.Get("delay"))
		}
		if err == nil {
			w.Fail(query.Get("service"), f)
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
			w.AddRole(role)
		}
	case "POST /github":
		var j GitHubJob
		if err = decode(r.Body, &j); err == nil {
			rw.Write(EnvFile(w.GitHubRealHost(j)))
		}
	case "POST /circleci":
		var j CircleJob
		if err = decode(r.Body, &j); err == nil {
			rw.Write(EnvFile(w.Circle(j)))
		}
	default:
		err = fmt.Errorf("no such thing: %s %s", r.Method, path)
	}
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
	}
}

// decode reads one JSON value; an empty body leaves it as it is.
func decode(r io.Reader, value any) error {
	d := json.NewDecoder(io.LimitReader(r, 1<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(value); err != nil && err != io.EOF {
		return fmt.Errorf("reading request: %w", err)
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
