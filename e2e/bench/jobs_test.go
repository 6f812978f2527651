package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// TestMain lets this test's own binary be the meter, and the helper that answers what the variable ANSWER says.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == metering {
		os.Exit(meter(os.Args[2], os.Args[3:]...))
	}
	answer, ok := os.LookupEnv("ANSWER")
	if !ok {
		os.Exit(m.Run())
	}
	host, _ := io.ReadAll(os.Stdin)
	fmt.Print(strings.ReplaceAll(answer, "HOST", string(host)))
	if answer == "refused" {
		os.Exit(1)
	}
}

func helper(t *testing.T, env ...string) job {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return job{binary: self, env: append(env, "SystemRoot="+os.Getenv("SystemRoot"))}
}

// Only an answer with a password in it counts as one.
func TestGet(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ answer, want string }{
		{`{"Username":"AWS","Secret":"of HOST"}`, ""},
		{`{"Username":"AWS","Secret":""}`, "no login in its answer"},
		{`{}`, "no login in its answer"},
		{``, "no login in its answer"},
		{"refused", "exit status 1: refused"},
	} {
		l, err := helper(t, "ANSWER="+tt.answer).get(t.Context(), "example.com")
		switch {
		case tt.want == "" && (err != nil || l.Secret != "of example.com"):
			t.Errorf("%s: %+v, %v", tt.answer, l, err)
		case tt.want != "" && (err == nil || !strings.HasSuffix(err.Error(), tt.want)):
			t.Errorf("%s: %v, want %s", tt.answer, err, tt.want)
		}
	}
}

// The meter is between us and a helper without either noticing, and says what the helper's memory was.
func TestMeter(t *testing.T) {
	t.Parallel()
	j := helper(t, "ANSWER=answer to HOST")
	stdout, stderr, err := j.run(t.Context(), "example.com", j.binary, metering, j.binary, "get")
	if err != nil || stdout != "answer to example.com" {
		t.Fatalf("%q, %q, %v", stdout, stderr, err)
	}
	n, err := strconv.ParseInt(stderr, 10, 64)
	if err != nil || runtime.GOOS != "windows" && (n < 1<<20 || n > 1<<30) {
		t.Errorf("%q bytes, %v", stderr, err)
	}
	j.env[0] = "ANSWER=refused"
	if _, _, err := j.run(t.Context(), "", j.binary, metering, j.binary, "get"); err == nil {
		t.Error("the helper failed, and the meter did not")
	}
}

// A job's environment is all that its program sees, and no two jobs share a home.
func TestJobsAreApart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w, err := startEmulator("", dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	b := &bench{dir: dir, server: w}
	homes := map[string]bool{}
	for _, j := range []job{b.github(), b.github(), b.githubRoles(), b.circleci(), b.keys(), b.peerOIDC(), b.peerKeys(peer)} {
		proxied := false
		for _, pair := range j.env {
			name, value, _ := strings.Cut(pair, "=")
			switch name {
			case "HOME":
				homes[value] = true
			case "HTTPS_PROXY":
				proxied = true
			}
		}
		if !proxied {
			t.Error("without a wire a job needs the emulator's proxy")
		}
	}
	if len(homes) != 7 {
		t.Errorf("homes: %v", homes)
	}
}
