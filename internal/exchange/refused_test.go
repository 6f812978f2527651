package exchange

import "testing"

// TestIdentityRefused checks that only a refusal of the identity makes cached passwords unusable.
func TestIdentityRefused(t *testing.T) {
	for code, want := range map[string]bool{
		"AccessDenied": true, "AccessDeniedException": true, "InvalidIdentityToken": true,
		"IDPRejectedClaim": true, "IDPCommunicationError": false, "ExpiredTokenException": false,
		"ThrottlingException": false, "InvalidClientTokenId": false, "": false,
	} {
		if got := (&Error{Code: code}).IdentityRefused(); got != want {
			t.Errorf("%q: %v", code, got)
		}
		if (&Error{Code: code, Retryable: true}).IdentityRefused() {
			t.Errorf("%q is final and retryable", code)
		}
	}
}
