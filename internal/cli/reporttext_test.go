package cli

import (
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/doctor"
)

// Lines fit into the terminal, except for commands and words that are longer than it.
func TestReportTextWrap(t *testing.T) {
	report := doctor.Report{Registries: []doctor.Diagnosis{{
		Registry: "host", Summary: "the login fails (STS)", Ready: false, Checks: []doctor.Check{
			{Name: "STS", State: doctor.Wrong, Important: true,
				Text:   "AWS refused the role because of a reason\nissuer   https://ci",
				Advice: "to evaluate the trust policy: aws iam get-role --role-name ci"},
			{Name: "ECR", State: doctor.OK, Text: "a short text",
				Advice: "docker-credential-ecr-oidc configure host"},
		}}}}
	const want = `✗ host: the login fails (STS)
  ✗ STS  AWS refused the role because of
         a reason
         issuer   https://ci
         → to evaluate the trust policy:
           aws iam get-role --role-name ci

✗ STS  (see above)
✓ ECR  a short text
       → docker-credential-ecr-oidc configure host
`
	text := func(width int, color bool) string {
		rt := &reportText{width: width, color: color}
		rt.summaries(report)
		rt.diagnosis(report.Registries[0])
		return rt.String()
	}
	if got := text(40, false); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if got := sgr.ReplaceAllString(text(40, true), ""); got != want {
		t.Errorf("with colors:\n%s\nwant:\n%s", got, want)
	}
	oneLine := "→ to evaluate the trust policy: aws iam get-role --role-name ci\n"
	if got := text(0, false); !strings.Contains(got, oneLine) {
		t.Errorf("without a terminal:\n%s", got)
	}
}

// The claims are the last check, and folded without verbose.
func TestReportTextClaims(t *testing.T) {
	d := doctor.Diagnosis{Checks: []doctor.Check{
		{Name: "claims", State: doctor.OK, Text: "a = 1\nb = 2"}, {Name: "ECR", State: doctor.OK, Text: "x"},
	}}
	for verbose, want := range map[bool]string{
		false: "✓ ECR     x\n✓ claims  2 more claims; --verbose prints them\n",
		true:  "✓ ECR     x\n✓ claims  a = 1\n          b = 2\n",
	} {
		rt := &reportText{verbose: verbose}
		rt.diagnosis(d)
		if rt.String() != want {
			t.Errorf("verbose %v:\n%s\nwant:\n%s", verbose, rt.String(), want)
		}
	}
}
