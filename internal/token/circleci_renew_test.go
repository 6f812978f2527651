package token

import (
	"strings"
	"testing"
	"time"
)

// TestCircleCIRenewWithoutVariable checks that a renewal does not need a token in a variable.
func TestCircleCIRenewWithoutVariable(t *testing.T) {
	minted := jwtFor(organizationID, time.Hour)
	installCircleCI(t, "echo "+minted)
	s, err := identify(t, true, Settings{}, "CIRCLECI=true", "CIRCLE_ORGANIZATION_ID="+organizationID)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Renew(t.Context(), nil, ""); err != nil || got.Raw != minted {
		t.Errorf("%v, %v", got, err)
	}
}

// TestCircleCIRenewFails checks that the error of a renewal differs from that of the first request.
func TestCircleCIRenewFails(t *testing.T) {
	installCircleCI(t, "exit 3")
	id := circleciJob(t, "CIRCLE_OIDC_TOKEN_V2="+jwtFor(organizationID, time.Hour))
	_, err := id.Renew(t.Context(), nil, "")
	if err == nil || !strings.HasPrefix(err.Error(), "renewing the CircleCI job's OIDC token: ") {
		t.Error(err)
	}
}
