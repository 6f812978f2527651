package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The quick start works as README says, and tells what it promises: a push, a pull of the same image without a new
// password, and a refusal that names its cause.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program and pushes an image (-short)")
	}
	for _, pair := range os.Environ() { // demo replaces the environment; put it back
		name, value, _ := strings.Cut(pair, "=")
		t.Cleanup(func() { os.Setenv(name, value) })
	}
	var out strings.Builder
	if err := demo(&out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, want := range []string{
		`(?s)"credHelpers": \{\s*"123456789012.dkr.ecr.eu-west-2.amazonaws.com": "ecr-oidc"\s*\}`,
		`GitHub +200  token sts.amazonaws.com\n.*STS +200  AssumeRoleWithWebIdentity .*role/ci\n.*ECR +200  GetAuthorizationToken`,
		`sealed to this job's own secret`,
		`AWS refused role ci in 123456789012 \(from ECR_ROLE_TO_ASSUME\) for "repo:acme/app:pull_request".*AccessDenied`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("the transcript lacks %s:\n%s", want, &out)
		}
	}
	pushed := regexp.MustCompile(`pushed (sha256:[0-9a-f]{64})`).FindStringSubmatch(out.String())
	if pushed == nil || !strings.Contains(out.String(), "pulled "+pushed[1]) {
		t.Errorf("what was pulled is not what was pushed:\n%s", &out)
	}
}
