package cli

import (
	"reflect"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/doctor"
)

// The JSON keeps its values, and contains no character that controls a terminal and no command of
// GitHub's runner.
func TestEncodeReport(t *testing.T) {
	const unsafe = "x\u009b2J\u202e\u2028\ufeff##[add-mask]\U000e0041 сборка\u007f"
	token := &doctor.Token{Claims: map[string]any{"sub": unsafe, unsafe: []any{unsafe}}}
	got, err := encodeReport(doctor.NewReport("", doctor.Diagnosis{Token: token}))
	if err != nil || strings.ContainsAny(got, "\u009b\u202e\u2028\ufeff\U000e0041\u007f") ||
		strings.Contains(got, "##[") || !strings.Contains(got, "сборка") {
		t.Errorf("%v %q", err, got)
	}
	saved, err := doctor.ParseClaims([]byte(got), nil)
	claims := saved.Claims
	if err != nil || claims["sub"] != unsafe || !reflect.DeepEqual(claims[unsafe], []any{unsafe}) {
		t.Errorf("parsed claims are %q, %v", claims, err)
	}
}
