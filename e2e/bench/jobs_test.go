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

// TestMain runs the test binary as a meter, or as a helper that prints the variable OUTPUT, if its
// arguments or variables request that.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == meterArg {
		os.Exit(meter(os.Args[2], os.Args[3:]...))
	}
	output, ok := os.LookupEnv("OUTPUT")
	if !ok {
		os.Exit(m.Run())
	}
	host, _ := io.ReadAll(os.Stdin)
	fmt.Print(strings.ReplaceAll(output, "HOST", string(host)))
	if output == "refused" {
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

// TestGet checks that output without a password is an error.
func TestGet(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ output, want string }{
		{`{"Username":"AWS","Secret":"of HOST"}`, ""},
		{`{"Username":"AWS","Secret":""}`, "no login in its output"},
		{`{}`, "no login in its output"},
		{``, "no login in its output"},
		{"refused", "exit status 1: refused"},
	} {
		l, err := helper(t, "OUTPUT="+tt.output).get(t.Context(), "example.com")
		switch {
		case tt.want == "" && (err != nil || l.Secret != "of example.com"):
			t.Errorf("%s: %+v, %v", tt.output, l, err)
		case tt.want != "" && (err == nil || !strings.HasSuffix(err.Error(), tt.want)):
			t.Errorf("%s: %v, want %s", tt.output, err, tt.want)
		}
	}
}

// TestMeter checks that the meter passes on stdin, stdout and the exit code, and reports the memory.
func TestMeter(t *testing.T) {
	t.Parallel()
	j := helper(t, "OUTPUT=output for HOST")
	stdout, stderr, err := j.run(t.Context(), "example.com", j.binary, meterArg, j.binary, "get")
	if err != nil || stdout != "output for example.com" {
		t.Fatalf("%q, %q, %v", stdout, stderr, err)
	}
	n, err := strconv.ParseInt(stderr, 10, 64)
	if err != nil || runtime.GOOS != "windows" && (n < 1<<20 || n > 1<<30) {
		t.Errorf("%q bytes, %v", stderr, err)
	}
	j.env[0] = "OUTPUT=refused"
	if _, _, err := j.run(t.Context(), "", j.binary, meterArg, j.binary, "get"); err == nil {
		t.Error("the meter did not return the helper's error")
	}
}

// TestJobHomes checks that each job has its own home, and that jobs without the network use the proxy.
func TestJobHomes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, err := startEmulator("", dir)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	b := &bench{dir: dir, server: server}
	homes := map[string]bool{}
	for _, j := range []job{b.github(), b.github(), b.githubRoles(), b.circleci(), b.keys(), b.peerOIDC(),
		b.peerKeys(peer)} {
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
			t.Error("a job without the network does not use the proxy")
		}
	}
	if len(homes) != 7 {
		t.Errorf("homes: %v", homes)
	}
}
