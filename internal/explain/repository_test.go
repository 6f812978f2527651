package explain

import (
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/repository"
)

func TestRepositoryAdvice(t *testing.T) {
	private, _ := registry.Parse("123456789012.dkr.ecr.eu-west-2.amazonaws.com")
	public, _ := registry.Parse("public.ecr.aws")
	for _, tt := range []struct {
		name string
		err  repository.Error
		want string
	}{
		{"missing", repository.Error{Registry: private, Repository: "team/app", Code: "NAME_UNKNOWN"},
			"create it: aws ecr create-repository --region eu-west-2 --repository-name team/app; "},
		{"missing public", repository.Error{Registry: public, Repository: "acme/app", Code: "NAME_UNKNOWN"},
			"create it: aws ecr-public create-repository --region us-east-1 --repository-name app"},
		{"denied", repository.Error{Registry: private, Repository: "app", Access: "pull", Status: 403, Code: "DENIED",
			Message: "User: x is not authorized to perform: ecr:BatchGetImage on resource: y"},
			`ecr:BatchGetImage is missing; this statement in the role's policy allows the pull: {"Effect":"Allow"`},
		{"stale password", repository.Error{Registry: private, Repository: "app", Status: 403, Code: "DENIED",
			Message: "Your authorization token has expired."},
			"to delete the cached password: docker logout 123456789012.dkr.ecr.eu-west-2.amazonaws.com"},
		{"fault", repository.Error{Registry: private, Repository: "app", Status: 500}, ""},
	} {
		if got := Advice(&tt.err); !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
