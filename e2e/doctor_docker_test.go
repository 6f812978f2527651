package e2e

import (
	"encoding/base64"
	"path/filepath"
	"testing"
)

// Docker's configuration, its version, and PATH.
func TestDoctorDocker(t *testing.T) {
	config := func(text string) arrange {
		return func(t *testing.T, j *job) []string { j.writeDockerConfig(t, text); return nil }
	}
	version := func(v string) arrange {
		return func(t *testing.T, j *job) []string { j.installDocker(t, v); return nil }
	}
	authConfig := func(text string) arrange {
		return func(t *testing.T, j *job) []string { j.env["DOCKER_AUTH_CONFIG"] = text; return nil }
	}
	login := `{"auth": "` + base64.StdEncoding.EncodeToString([]byte("AWS:marked-password")) + `"}`
	credHelpers := `"credHelpers": {"` + defaultHost + `": "ecr-oidc"}`
	others := `"credHelpers": {"` + defaultHost + `": "ecr-login"}`
	const controls = `x\u001b[2J\n::error::y\u202e##[add-mask]z`
	testReports(t, "docker.txt", []string{"docker", "PATH"}, []reportCase{
		{name: "credHelpers entry", arrange: version("29.0.0")},
		{name: "no entry", arrange: config(`{"credHelpers": {"ghcr.io": "gh"}}`)},
		{name: "no entry, credsStore", arrange: config(`{"credsStore": "desktop"}`)},
		{name: "entry of another helper", arrange: config(`{` + others + `}`)},
		{name: "credsStore of this helper", arrange: config(`{"credsStore": "ecr-oidc"}`)},
		{name: "credsStore of this helper, entry of another helper",
			arrange: config(`{"credsStore": "ecr-oidc", ` + others + `}`)},
		{name: "login in auths",
			arrange: config(`{` + credHelpers + `, "auths": {"https://` + defaultHost + `": ` + login + `}}`)},
		{name: "empty entry in auths",
			arrange: config(`{` + credHelpers + `, "auths": {"` + defaultHost + `": {}}}`)},
		{name: "no file", arrange: func(t *testing.T, j *job) []string {
			j.env["DOCKER_CONFIG"] = filepath.Join(j.dir, "none")
			return nil
		}},
		{name: "empty file", arrange: config("")},
		{name: "syntax error", arrange: config("{\n\"credHelpers\": {},\n}")},
		{name: "credHelpers of another type", arrange: config(`{"credHelpers": ["ecr-oidc"]}`)},
		{name: "directory instead of a file", arrange: func(t *testing.T, j *job) []string {
			j.env["DOCKER_CONFIG"] = filepath.Join(j.dir, "odd")
			j.writeFile(t, "odd/config.json/x", "")
			return nil
		}},
		{name: "DOCKER_AUTH_CONFIG",
			arrange: authConfig(`{"auths": {"` + defaultHost + `": ` + login + `}}`)},
		{name: "DOCKER_AUTH_CONFIG for another registry",
			arrange: authConfig(`{"auths": {"ghcr.io": ` + login + `}}`)},
		{name: "control characters",
			arrange: config(`{"credHelpers": {"` + defaultHost + `": "` + controls + `"}}`)},
		{name: "not on PATH", arrange: func(t *testing.T, j *job) []string {
			j.installDocker(t, "29.0.0")
			j.env["PATH"] = filepath.Join(j.dir, "bin")
			return nil
		}},
		{name: "Docker 28.5", arrange: version("28.5.1")},
		{name: "Docker 28.4", arrange: version("28.4.0")},
		{name: "Docker 20.10", arrange: version("20.10.25+dfsg1")},
		{name: "no Docker", arrange: version("")},
	})
}
