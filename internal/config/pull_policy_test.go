package config

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
)

// TestPullPolicy checks the actions that "pull" stands for. They must be enough for a pull, and must
// not allow a push.
func TestPullPolicy(t *testing.T) {
	for host, want := range map[string][]string{
		"123456789012.dkr.ecr.eu-west-2.amazonaws.com": {
			"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetAuthorizationToken",
			"ecr:GetDownloadUrlForLayer",
		},
		"public.ecr.aws": {
			"ecr-public:BatchCheckLayerAvailability", "ecr-public:BatchGetImage",
			"ecr-public:GetAuthorizationToken", "ecr-public:GetDownloadUrlForLayer",
			"sts:GetServiceBearerToken",
		},
	} {
		reg, _ := registry.Parse(host)
		var policy struct {
			Version   string
			Statement []struct {
				Effect, Resource string
				Action           []string
			}
		}
		if err := json.Unmarshal([]byte(expandPolicy("pull", reg)), &policy); err != nil {
			t.Fatal(err)
		}
		if policy.Version != "2012-10-17" || len(policy.Statement) != 1 {
			t.Fatalf("%s: %+v", host, policy)
		}
		s := policy.Statement[0]
		slices.Sort(s.Action)
		if s.Effect != "Allow" || s.Resource != "*" || !slices.Equal(s.Action, want) {
			t.Errorf("%s: %+v, want the actions %q", host, s, want)
		}
		if got := expandPolicy(`{"Statement": []}`, reg); got != `{"Statement": []}` {
			t.Errorf("a policy became %s", got)
		}
	}
}
