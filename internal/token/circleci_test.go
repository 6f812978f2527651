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

// command puts a circleci command on PATH that keeps its arguments, one per line, and then runs script. It returns the
// file of the arguments.
func installCircleCI(t *testing.T, script string) (argsFile string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("a shell script")
	}
	dir := t.TempDir()
	argsFile = filepath.Join(dir, "asked")
	text := "#!/bin/sh\nfor a in \"$@\"; do printf '%s\\n' \"$a\"; done >>'" + argsFile + "'\n" + script + "\n"
	if err := os.WriteFile(filepath.Join(dir, "circleci"), []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return argsFile
}

func circleciJob(t *testing.T, pairs ...string) Identity {
	t.Helper()
	s, err := identify(t, true, Settings{}, append(pairs, "CIRCLECI=true", "CIRCLE_ORGANIZATION_ID="+organizationID)...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Which token a CircleCI job has, and what its command is asked for when that one does not do.
func TestCircleCI(t *testing.T) {
	good, old := jwtFor(organizationID, time.Hour), jwtFor(organizationID, -time.Hour)
	second := jwtFor(organizationID, 2*time.Hour)
	minted, sts := jwtFor(organizationID, 50*time.Minute), jwtFor("sts.amazonaws.com", 50*time.Minute)
	both, first := jwtFor([]string{"first", "second"}, -time.Hour), jwtFor("first", 50*time.Minute)
	const v1, v2 = "CIRCLE_OIDC_TOKEN=", "CIRCLE_OIDC_TOKEN_V2="
	tests := []struct {
		name     string
		env      []string
		audience string
		renew    bool
		prints   string
		want     string
		asked    string // the audience; "" when the command is not run
	}{
		{"V2", []string{v2 + good}, "", false, minted, good, ""},
		{"V2 before V1", []string{v2 + good, v1 + second}, "", false, minted, good, ""},
		{"V1 where V2 is not there", []string{v1 + good}, "", false, minted, good, ""},
		{"an empty V2 is there", []string{v2, v1 + good}, "", false, minted, minted, organizationID},
		{"neither", nil, "", false, minted, minted, organizationID},
		{"expired", []string{v2 + old}, "", false, minted, minted, organizationID},
		{"expired, of two audiences", []string{v2 + both}, "", false, first, first, "first"},
		{"its own audience", []string{v2 + good}, organizationID, false, minted, good, ""},
		{"another audience", []string{v2 + good}, "sts.amazonaws.com", false, sts, sts, "sts.amazonaws.com"},
		{"an audience that has to be quoted", []string{v2 + good}, `a"b\c`, false, jwtFor(`a"b\c`, time.Hour), "", `a\"b\\c`},
		{"renewed", []string{v2 + good}, "", true, minted, minted, organizationID},
		{"renewed for another audience", []string{v2 + good}, "sts.amazonaws.com", true, sts, sts, "sts.amazonaws.com"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			argsFile := installCircleCI(t, "echo\necho '  "+tt.prints+"'")
			s := circleciJob(t, tt.env...)
			get := s.Token
			if tt.renew {
				get = s.Renew
			}
			got, err := get(t.Context(), nil, tt.audience)
			if err != nil || tt.want != "" && got.Raw != tt.want {
				t.Errorf("%v, %v", got, err)
			}
			if args, want := readIfExists(t, argsFile), "run\noidc\nget\n--claims\n{\"aud\":\""+tt.asked+"\"}\n"; tt.asked == "" && args != "" || tt.asked != "" && args != want {
				t.Errorf("the command was asked %q, want %q", args, want)
			}
		})
	}
}

// Without an organisation's id there is no audience to ask for, and CircleCI's own default holds.
func TestCircleCINoAudience(t *testing.T) {
	argsFile := installCircleCI(t, "echo "+jwtFor(organizationID, time.Hour))
	s, err := identify(t, true, Settings{}, "CIRCLECI=true")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Token(t.Context(), nil, ""); err != nil || readIfExists(t, argsFile) != "run\noidc\nget\n" {
		t.Errorf("the command was asked %q, %v", readIfExists(t, argsFile), err)
	}
}

// The command is not there, fails, prints something else or hangs. What it printed is never shown: it may be a token.
func TestCircleCICommandFails(t *testing.T) {
	old, good := jwtFor(organizationID, -time.Hour), jwtFor(organizationID, time.Hour)
	const secret = "half-a-secret"
	commands := []struct{ name, script, want string }{
		{"absent", "", "circleci is not on PATH"},
		{"fails", "echo " + secret + "\necho 'Error: unknown\n command' >&2\nexit 1", "exit status 1: Error: unknown command"},
		{"fails without a word", "echo " + secret + "\nexit 3", "exit status 3"},
		{"says the token on stderr", "echo bad " + old + " >&2\nexit 1", "exit status 1: bad ***"},
		{"prints something else", "echo " + secret, "the output is not a token"},
		{"prints nothing", "", "the output is not a token"},
		{"prints two", "echo " + good + "\necho " + good, "the output is not a token"},
		{"prints help and succeeds", "echo 'Usage: circleci [command]'", "the output is not a token"},
	}
	for i, c := range commands {
		t.Run(c.name, func(t *testing.T) {
			if i == 0 {
				t.Setenv("PATH", t.TempDir())
			} else {
				installCircleCI(t, c.script)
			}
			// STS decides about a token that only looks expired: the clock may be wrong.
			if got, err := circleciJob(t, "CIRCLE_OIDC_TOKEN_V2="+old).Token(t.Context(), nil, ""); err != nil || got.Raw != old {
				t.Errorf("an expired token: %v, %v", got, err)
			}
			// A token for somebody else is not sent.
			_, err := circleciJob(t, "CIRCLE_OIDC_TOKEN_V2="+good).Token(t.Context(), nil, "sts.amazonaws.com")
			var audience *AudienceError
			if !errors.As(err, &audience) || audience.Want != "sts.amazonaws.com" || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secret) {
				t.Errorf("another audience: %v, want %s", err, c.want)
			}
			// An empty one has nothing to fall back on.
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
			if !errors.As(err, &missing) || !strings.Contains(missing.Token, "CircleCI") || !strings.Contains(err.Error(), "CIRCLE_OIDC_TOKEN_V2 is set but empty") || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secret) {
				t.Errorf("an empty token: %v, want %s", err, c.want)
			}
		})
	}
}

// A command that hangs, or whose child keeps its output open, is left alone when ctx ends.
func TestCircleCICommandHangs(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	for name, script := range map[string]string{
		"itself":  "exec sleep 60",
		"a child": "sleep 60 &\necho $! >'" + pid + "'\nwait",
	} {
		t.Run(name, func(t *testing.T) {
			installCircleCI(t, script)
			t.Cleanup(func() {
				if n, err := strconv.Atoi(strings.TrimSpace(readIfExists(t, pid))); err == nil {
					if p, err := os.FindProcess(n); err == nil {
						p.Kill()
					}
				}
			})
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			start := time.Now()
			_, err := circleciJob(t, "CIRCLE_OIDC_TOKEN_V2=").Token(ctx, nil, "")
			if err == nil || !strings.Contains(err.Error(), "no response in time") || time.Since(start) > 10*time.Second {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		})
	}
}

// A variable that holds no token is said, not papered over.
func TestCircleCIInvalidToken(t *testing.T) {
	argsFile := installCircleCI(t, "echo "+jwtFor(organizationID, time.Hour))
	_, err := circleciJob(t, "CIRCLE_OIDC_TOKEN_V2=ghs_16C7e42F292c6912").Token(t.Context(), http.DefaultClient, "")
	if err == nil || !strings.Contains(err.Error(), "not a JWT (from CIRCLE_OIDC_TOKEN_V2)") || strings.Contains(err.Error(), "ghs_") || readIfExists(t, argsFile) != "" {
		t.Errorf("%v, the command was asked %q", err, readIfExists(t, argsFile))
	}
}

func readIfExists(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(b)
}
