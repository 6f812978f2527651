package explain

import (
	"fmt"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/repository"
)

// repositoryAdvice returns what the user can do if a registry refuses access to a repository.
func repositoryAdvice(e *repository.Error) string {
	switch action := e.DeniedAction(); {
	case e.Missing() && e.Registry.Public:
		return "create it: aws ecr-public create-repository --region us-east-1 --repository-name " +
			ShellQuote(e.ShortName())
	case e.Missing():
		return fmt.Sprintf("create it: aws ecr create-repository --region %s --repository-name %s; "+
			"ECR creates it only for a push that matches a repository creation template, or for a "+
			"pull through a pull-through cache rule", e.Registry.Region, ShellQuote(e.Repository))
	case action != "":
		return fmt.Sprintf("%s is missing; this statement in the role's policy allows the %s: %s",
			action, e.Access, e.Statement())
	case e.Status == 401, e.Status == 403:
		return "to delete the cached password: docker logout " + e.Registry.Host
	}
	return ""
}
