package cli

import (
	"reflect"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/doctor"
)

// The JSON keeps its values, and does nothing to a terminal or to GitHub's runner.
func TestHarmless(t *testing.T) {
	const odd = "x\u009b2J\u202e\u2028\ufeff##[add-mask]\U000e0041 сборка\u007f"
	token := &doctor.Token{Claims: map[string]any{"sub": odd, odd: []any{odd}}}
	got, err := encodeReport(doctor.NewReport("", doctor.Diagnosis{Token: token}))
	if err != nil || strings.ContainsAny(got, "\u009b\u202e\u2028\ufeff\U000e0041\u007f") ||
		strings.Contains(got, "##[") || !strings.Contains(got, "сборка") {
		t.Errorf("%v %q", err, got)
	}
	saved, err := doctor.ReadClaims([]byte(got), nil)
	claims := saved.Claims
	if err != nil || claims["sub"] != odd || !reflect.DeepEqual(claims[odd], []any{odd}) {
		t.Errorf("it comes back as %q, %v", claims, err)
	}
}
