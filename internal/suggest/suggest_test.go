package suggest

import "testing"

func TestNearest(t *testing.T) {
	known := []string{"ECR_OIDC_ROLE", "ECR_OIDC_SOURCE", "profile", "role", "eu-west-1", "eu-west-2", "a"}
	for _, tt := range []struct{ in, want string }{
		{"ECR_OIDC_ROEL", "ECR_OIDC_ROLE"},
		{"ECR_OIDC_ROL", "ECR_OIDC_ROLE"},
		{"profiel", "profile"},
		{"rol", "role"},
		{"eu-wset-2", "eu-west-2"},
		{"eu-west-3", "eu-west-1"}, // the first of the nearest
		{"role", "role"},
		{"b", ""},
		{"", ""},
		{"something-else", ""},
		{"ECR_OIDC_CACHE", ""},
	} {
		if got := Nearest(tt.in, known); got != tt.want {
			t.Errorf("Nearest(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}
