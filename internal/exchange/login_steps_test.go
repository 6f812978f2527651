package exchange

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestLoginSteps checks that each request of a login has a debug line and is reported as a step.
func TestLoginSteps(t *testing.T) {
	const first, second = "arn:aws:iam::123456789012:role/ci", "arn:aws:iam::210987654321:role/next"
	stsService, ecrService := startServices(t, serviceOptions{plain: true})
	r := newTestInput(t, stsService, ecrService)
	r.Roles.ARNs = []string{first, second}
	var lines, steps []string
	r.Debug = func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	r.OnStep = func(o Outcome) { steps = append(steps, fmt.Sprintf("%v %s", o.Step, o.Role)) }
	if _, err := r.assumeRolesAndGetPassword(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{first, second, "ECR in eu-west-2"} {
		if n := len(slices.DeleteFunc(slices.Clone(lines),
			func(line string) bool { return !strings.Contains(line, text) })); n != 1 {
			t.Errorf("%d debug lines contain %q: %q", n, text, lines)
		}
	}
	want := []string{
		fmt.Sprint(StepWebIdentity, " ", first), fmt.Sprint(StepAssumeRole, " ", second),
		fmt.Sprint(StepPassword, " "),
	}
	if !slices.Equal(steps, want) {
		t.Errorf("steps %q, want %q", steps, want)
	}
}
