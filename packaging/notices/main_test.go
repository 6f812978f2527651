package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

const program = "../../cmd/docker-credential-ecr-oidc"

// The output has all linked modules and Go, each with a license.
func TestNotices(t *testing.T) {
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	if found,
		_ := filepath.Glob(filepath.Join(strings.TrimSpace(string(goroot)),
		"LICENSE*")); len(found) == 0 {
		t.Skipf("GOROOT has no license on this system")
	}
	text, err := notices([]string{program}, []string{runtime.GOOS})
	if err != nil {
		t.Fatal(err)
	}
	linked, err := list(runtime.GOOS, []string{program})
	if err != nil || len(linked) < 10 {
		t.Fatal(linked, err)
	}
	for _, p := range linked {
		if !strings.Contains(text, "\n"+p.module+"\n") {
			t.Errorf("%s is not named", p.module)
		}
	}
	for _, want := range []string{
		"\nGo's standard library\n", "Copyright 2009 The Go Authors.",
		"Copyright 2015 Amazon.com", // its NOTICE
		"singleflight\n",            // a directory with its own license
		"\ngithub.com/spf13/cobra v", "\ngithub.com/golang-jwt/jwt/v5 v",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q", want)
		}
	}
	for _, no := range []string{"go-containerregistry", "testscript", "\r",
		filepath.Dir(linked[0].root)} {
		if strings.Contains(text, no) {
			t.Errorf("there is %q", no)
		}
	}
	if again, err := notices([]string{program}, []string{runtime.GOOS}); err != nil ||
		again != text {
		t.Errorf("the second is another: %v", err)
	}
}

// Only modules that CONTRIBUTING.md lists are linked. Modules for tests and packaging are not.
func TestLinked(t *testing.T) {
	accountedFor := regexp.MustCompile(`^(github\.com/(aws/aws-sdk-go-v2(/.+)?|aws/smithy-go|docker/docker-credential-helpers|goccy/go-yaml|` +
		`golang-jwt/jwt/v5|rogpeppe/go-internal|spf13/cobra|spf13/pflag|inconshreveable/mousetrap)|golang\.org/x/(sys|term)) v`)
	linked, err := list(runtime.GOOS, []string{program})
	if err != nil || len(linked) < 10 {
		t.Fatal(linked, err)
	}
	for _, p := range linked {
		if !accountedFor.MatchString(p.module) {
			t.Errorf("%s is linked", p.module)
		}
	}
	for _, no := range []string{"github.com/google/go-containerregistry v0.22.1",
		"github.com/spf13/cobra-cli v1", "golang.org/x/tools v0.49.0"} {
		if accountedFor.MatchString(no) {
			t.Errorf("%s would pass", no)
		}
	}
}

func TestCollect(t *testing.T) {
	const mit,
		gpl = "MIT License\n\nPermission is hereby granted, free of charge, to any person",
		"GNU GENERAL PUBLIC LICENSE\nVersion 3"
	for _, tt := range []struct {
		name  string
		files map[string]string // below the module
		dir   string            // of the package
		want  string            // the text, or the error
	}{
		{"one license", map[string]string{"LICENSE": mit}, ".", "\nm\n\n" + mit + "\n"},
		{"British spelling", map[string]string{"Licence.txt": mit}, ".", mit},
		{"carriage returns",
			map[string]string{"LICENSE": strings.ReplaceAll(mit, "\n", "\r\n")}, ".",
			"\nm\n\n" + mit + "\n"},
		{"parent directory", map[string]string{"LICENSE": mit, "a/b/x.go": ""}, "a/b",
			"\nm\n\n" + mit + "\n"},
		{"subdirectory with license",
			map[string]string{"LICENSE": mit, "a/LICENSE": mit + " else"}, "a",
			"\nm, a\n\n" + mit + " else\n"},
		{"license of another directory", map[string]string{"LICENSE": mit, "a/LICENSE": gpl,
			"b/x.go": ""}, "b", "\nm\n\n" + mit + "\n"},
		{"license and notice", map[string]string{"LICENSE": mit, "NOTICE": "made by us"},
			".", "\nm\n\nmade by us\n"},
		{"no license", map[string]string{"x.go": ""}, ".", "m has no license"},
		{"only a notice", map[string]string{"NOTICE": mit}, ".", "m has no license"},
		{"source file named license", map[string]string{"license.go": mit}, ".",
			"m has no license"},
		{"unknown license", map[string]string{"COPYING": gpl}, ".",
			"COPYING is not an accepted license"},
		{"known and unknown license", map[string]string{"LICENSE": mit, "LICENSE.GPL": gpl},
			".", "LICENSE.GPL is not an accepted license"},
		{"outside the module", map[string]string{"LICENSE": mit}, "..", "is not in"},
	} {
		root := t.TempDir()
		for name, text := range tt.files {
			path := filepath.Join(root, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		found := map[string][]string{}
		got := ""
		if err := (linkedPackage{"m", root,
			filepath.Join(root, filepath.FromSlash(tt.dir))}).collect(found); err != nil {
			got = err.Error()
		} else {
			got = render(found)
		}
		if !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
