package doctor

import (
	"slices"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

func TestTokenHost(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  []string
		want string
	}{
		{"GitHub", []string{"GITHUB_ACTIONS=true",
			"ACTIONS_ID_TOKEN_REQUEST_URL=https://run-actions-1.actions.githubusercontent.com/x?y=z"},
			"*.actions.githubusercontent.com"},
		{"GitHub without permission", []string{"GITHUB_ACTIONS=true"}, "*.actions.githubusercontent.com"},
		{"GitHub Enterprise Server", []string{"GITHUB_ACTIONS=true",
			"ACTIONS_ID_TOKEN_REQUEST_URL=https://git.acme.example:8443/x"}, "git.acme.example:8443"},
		{"Buildkite", []string{"BUILDKITE=true"}, "agent.buildkite.com"},
		{"Buildkite with an endpoint", []string{"BUILDKITE=true",
			"BUILDKITE_AGENT_ENDPOINT=https://agent-edge.buildkite.com/v3"}, "agent-edge.buildkite.com"},
		{"Azure Pipelines", []string{"TF_BUILD=True",
			"SYSTEM_OIDCREQUESTURI=https://dev.azure.com/acme/x"}, "dev.azure.com"},
		{"CircleCI", []string{"CIRCLECI=true"}, ""},
		{"machine", nil, ""},
	} {
		env := environ(tt.env...)
		id, _ := token.Identify(env, token.Settings{HasRole: true})
		if got := tokenHost(id, env); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestMergeHosts(t *testing.T) {
	a, b := Host{"a", "x"}, Host{"b", "y"}
	if got := MergeHosts(a, b, Host{"a", "z"}); !slices.Equal(got, []Host{a, b}) {
		t.Errorf("%v", got)
	}
}
