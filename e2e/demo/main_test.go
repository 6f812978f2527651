package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDemo checks the output of the demo: a check that succeeds, a push and a pull of the same image
// without another password, and a check that fails and names its cause.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program and pushes an image (-short)")
	}
	for _, pair := range os.Environ() { // the demo replaces the environment
		name, value, _ := strings.Cut(pair, "=")
		t.Cleanup(func() { os.Setenv(name, value) })
	}
	var out strings.Builder
	if err := run(&out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, want := range []string{
		`(?s)"credHelpers": \{\s*"123456789012.dkr.ecr.eu-west-2.amazonaws.com": "ecr-oidc"\s*\}`,
		`check --push 123456789012.dkr.ecr.eu-west-2.amazonaws.com/app\n` +
			`.*/app: role ci in 123456789012 .*; ` +
			`the login can pull from the repository, and can start an upload\n` +
			` .*GitHub +200  token sts.amazonaws.com\n` +
			`.*STS +200  AssumeRoleWithWebIdentity .*role/ci\n` +
			`.*ECR +200  GetAuthorizationToken`,
		`encrypted with a secret of this job`,
		`check 123456789012.dkr.ecr.eu-west-2.amazonaws.com\n` +
			`ecr-oidc: AWS refused role ci in 123456789012 \(from ECR_ROLE_TO_ASSUME\) ` +
			`for "repo:acme/app:pull_request".*AccessDenied.*\n` +
			`(?s).*\nexit code 1: the job fails here`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("the output does not match %s:\n%s", want, &out)
		}
	}
	pushed := regexp.MustCompile(`pushed (sha256:[0-9a-f]{64})`).FindStringSubmatch(out.String())
	if pushed == nil || !strings.Contains(out.String(), "pulled "+pushed[1]) {
		t.Errorf("the pulled image is not the pushed one:\n%s", &out)
	}
}
