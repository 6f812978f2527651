package token

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

const organizationID = "6b1e7f4e-6a44-4c55-9d0c-2b6f0c8e2d11"

// installCircleCI puts a circleci command on PATH. The command appends its arguments to a file, one
// per line, and then runs script. installCircleCI returns the path of that file.
func installCircleCI(t *testing.T, script string) (argsFile string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the command is a shell script")
	}
	dir := t.TempDir()
	argsFile = filepath.Join(dir, "args")
	text := "#!/bin/sh\nfor a in \"$@\"; do printf '%s\\n' \"$a\"; done >>'" + argsFile + "'\n" +
		script + "\n"
	if err := os.WriteFile(filepath.Join(dir, "circleci"), []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return argsFile
}

// circleciJob returns the identity of a CircleCI job with these variables.
func circleciJob(t *testing.T, pairs ...string) Identity {
	t.Helper()
	s, err := identify(t, true, Settings{},
		append(pairs, "CIRCLECI=true", "CIRCLE_ORGANIZATION_ID="+organizationID)...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestCircleCI checks which token a CircleCI job uses, and which audience it requests from the
// circleci command.
func TestCircleCI(t *testing.T) {
	good, old := jwtFor(organizationID, time.Hour), jwtFor(organizationID, -time.Hour)
	second := jwtFor(organizationID, 2*time.Hour)
	issued, sts := jwtFor(organizationID, 50*time.Minute), jwtFor("sts.amazonaws.com", 50*time.Minute)
	both, first := jwtFor([]string{"first", "second"}, -time.Hour), jwtFor("first", 50*time.Minute)
	const v1, v2 = "CIRCLE_OIDC_TOKEN=", "CIRCLE_OIDC_TOKEN_V2="
	tests := []struct {
		name     string
		env      []string
		audience string
		renew    bool
		output   string // the token that the command prints
		want     string

		// wantAudience is the audience of the command's request; "" when the command does not run.
		wantAudience string
	}{
		{"V2", []string{v2 + good}, "", false, issued, good, ""},
		{"V2 before V1", []string{v2 + good, v1 + second}, "", false, issued, good, ""},
		{"V1 without V2", []string{v1 + good}, "", false, issued, good, ""},
		{"empty V2 with V1", []string{v2, v1 + good}, "", false, issued, issued, organizationID},
		{"neither", nil, "", false, issued, issued, organizationID},
		{"expired", []string{v2 + old}, "", false, issued, issued, organizationID},
		{"expired, two audiences", []string{v2 + both}, "", false, first, first, "first"},
		{"the token's own audience", []string{v2 + good}, organizationID, false, issued, good, ""},
		{"another audience", []string{v2 + good}, "sts.amazonaws.com", false, sts, sts,
			"sts.amazonaws.com"},
		{"audience with quotes", []string{v2 + good}, `a"b\c`, false, jwtFor(`a"b\c`, time.Hour),
			"", `a\"b\\c`},
		{"renew", []string{v2 + good}, "", true, issued, issued, organizationID},
		{"renew for another audience", []string{v2 + good}, "sts.amazonaws.com", true, sts, sts,
			"sts.amazonaws.com"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			argsFile := installCircleCI(t, "echo\necho '  "+tt.output+"'")
			s := circleciJob(t, tt.env...)
			get := s.Token
			if tt.renew {
				get = s.Renew
			}
			got, err := get(t.Context(), nil, tt.audience)
			if err != nil || tt.want != "" && got.Raw != tt.want {
				t.Errorf("%v, %v", got, err)
			}
			args, want := readIfExists(t, argsFile), ""
			if tt.wantAudience != "" {
				want = "run\noidc\nget\n--claims\n{\"aud\":\"" + tt.wantAudience + "\"}\n"
			}
			if args != want {
				t.Errorf("arguments %q, want %q", args, want)
			}
		})
	}
}

// TestCircleCINoAudience checks that, without an organization's id, no audience is requested.
// CircleCI then uses its default.
func TestCircleCINoAudience(t *testing.T) {
	argsFile := installCircleCI(t, "echo "+jwtFor(organizationID, time.Hour))
	s, err := identify(t, true, Settings{}, "CIRCLECI=true")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Token(t.Context(), nil, ""); err != nil ||
		readIfExists(t, argsFile) != "run\noidc\nget\n" {
		t.Errorf("arguments %q, error %v", readIfExists(t, argsFile), err)
	}
}

// TestCircleCICommandFails checks the errors of a command that is missing, fails or prints no
// token. The error must not contain the output, which may be a token.
func TestCircleCICommandFails(t *testing.T) {
	old, good := jwtFor(organizationID, -time.Hour), jwtFor(organizationID, time.Hour)
	const secret = "half-a-secret"
	commands := []struct{ name, script, want string }{
		{"absent", "", "circleci is not on PATH"},
		{"fails", "echo " + secret + "\necho 'Error: unknown\n command' >&2\nexit 1",
			"exit status 1: Error: unknown command"},
		{"fails without output", "echo " + secret + "\nexit 3", "exit status 3"},
		{"token on stderr", "echo bad " + old + " >&2\nexit 1", "exit status 1: bad ***"},
		{"prints no token", "echo " + secret, "the output is not a token"},
		{"prints nothing", "", "the output is not a token"},
		{"prints two tokens", "echo " + good + "\necho " + good, "the output is not a token"},
		{"prints help and succeeds", "echo 'Usage: circleci [command]'",
			"the output is not a token"},
	}
	for i, c := range commands {
		t.Run(c.name, func(t *testing.T) {
			if i == 0 {
				t.Setenv("PATH", t.TempDir())
			} else {
				installCircleCI(t, c.script)
			}
			// A token that is expired by the local clock is sent to STS: the clock may
			// be wrong.
			id := circleciJob(t, "CIRCLE_OIDC_TOKEN_V2="+old)
			if got, err := id.Token(t.Context(), nil, ""); err != nil || got.Raw != old {
				t.Errorf("an expired token: %v, %v", got, err)
			}
			// A token with the wrong audience is not sent.
			_, err := circleciJob(t, "CIRCLE_OIDC_TOKEN_V2="+good).Token(t.Context(), nil,
				"sts.amazonaws.com")
			var audience *AudienceError
			if !errors.As(err, &audience) || audience.Want != "sts.amazonaws.com" ||
				!strings.Contains(err.Error(), c.want) ||
				strings.Contains(err.Error(), secret) {
				t.Errorf("another audience: %v, want %s", err, c.want)
			}
			// Without a token in the variable there is no alternative.
			s, err := identify(t, true, Settings{}, "CIRCLECI=true", "CIRCLE_OIDC_TOKEN_V2=")
			if i == 0 {
				var missing *MissingError
				if !errors.As(err, &missing) {
					t.Errorf("an empty token: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Token(t.Context(), nil, "")
			var missing *MissingError
			if !errors.As(err, &missing) || !strings.Contains(missing.TokenName, "CircleCI") ||
				!strings.Contains(err.Error(), "CIRCLE_OIDC_TOKEN_V2 is set but empty") ||
				!strings.Contains(err.Error(), c.want) ||
				strings.Contains(err.Error(), secret) {
				t.Errorf("an empty token: %v, want %s", err, c.want)
			}
		})
	}
}

// TestCircleCICommandHangs checks that Token returns when ctx ends, even if the command or a child
// of it that has its output open is still running.
func TestCircleCICommandHangs(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a command that hangs (-short)")
	}
	pid := filepath.Join(t.TempDir(), "pid")
	for name, script := range map[string]string{
		"the command": "exec sleep 60",
		"its child":   "sleep 60 &\necho $! >'" + pid + "'\nwait",
	} {
		t.Run(name, func(t *testing.T) {
			installCircleCI(t, script)
			t.Cleanup(func() {
				n, err := strconv.Atoi(strings.TrimSpace(readIfExists(t, pid)))
				if err == nil {
					if p, err := os.FindProcess(n); err == nil {
						p.Kill()
					}
				}
			})
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			start := time.Now()
			_, err := circleciJob(t, "CIRCLE_OIDC_TOKEN_V2=").Token(ctx, nil, "")
			if err == nil || !strings.Contains(err.Error(), "no response in time") ||
				time.Since(start) > 10*time.Second {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		})
	}
}

// TestCircleCIInvalidToken checks that an invalid token in the variable is an error, and that no
// other token is issued.
func TestCircleCIInvalidToken(t *testing.T) {
	argsFile := installCircleCI(t, "echo "+jwtFor(organizationID, time.Hour))
	_, err := circleciJob(t, "CIRCLE_OIDC_TOKEN_V2=ghs_16C7e42F292c6912").Token(t.Context(),
		http.DefaultClient, "")
	if err == nil || !strings.Contains(err.Error(), "not a JWT (from CIRCLE_OIDC_TOKEN_V2)") ||
		strings.Contains(err.Error(), "ghs_") || readIfExists(t, argsFile) != "" {
		t.Errorf("error %v, arguments %q", err, readIfExists(t, argsFile))
	}
}

// readIfExists returns the content of a file, or "" when it does not exist.
func readIfExists(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(b)
}
