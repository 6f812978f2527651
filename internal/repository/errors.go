package repository

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
)

// Error reports that a registry did not grant access to a repository.
type Error struct {
	Registry   registry.Registry
	Repository string
	Access     string // "pull" or "push"
	Status     int    // HTTP status
	Code       string // the registry's error code; "" if the response has none
	Message    string // from the registry; not sanitized
}

func (e *Error) Error() string {
	name := safetext.Sanitize(e.Registry.Host + "/" + e.Repository)
	switch {
	case e.Missing():
		return fmt.Sprintf("checking %s: the repository does not exist", name)
	case e.Code == "":
		return fmt.Sprintf("checking %s: the registry refused a %s: HTTP %d %s",
			name, e.Access, e.Status, http.StatusText(e.Status))
	}
	return fmt.Sprintf("checking %s: the registry refused a %s: %s: %s",
		name, e.Access, safetext.Sanitize(e.Code), safetext.Sanitize(e.Message))
}

// Missing reports whether the repository does not exist.
func (e *Error) Missing() bool { return e.Code == "NAME_UNKNOWN" }

// deniedAction matches the IAM action in an error message of ECR: "User: ARN is not authorized to
// perform: ecr:InitiateLayerUpload on resource: ARN because …".
var deniedAction = regexp.MustCompile(`not authorized to perform: (ecr(?:-public)?:[A-Za-z]+)`)

// DeniedAction returns the IAM action that the identity is not allowed to perform, or "" if the
// registry's message does not contain it.
func (e *Error) DeniedAction() string {
	if m := deniedAction.FindStringSubmatch(e.Message); m != nil {
		return m[1]
	}
	return ""
}

// The actions that a pull requires, and those that a push also requires
// (https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html).
var (
	pullActions = []string{"BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer"}
	pushActions = []string{"CompleteLayerUpload", "InitiateLayerUpload", "PutImage", "UploadLayerPart"}
)

// Statement returns the statement of an IAM policy that grants the access that was refused.
func (e *Error) Statement() string {
	service, actions := "ecr", pullActions
	account, region := e.Registry.Account, e.Registry.Region
	if e.Registry.Public {
		service, account, region = "ecr-public", "*", ""
		actions = pullActions[:1] // pulls are public
	}
	if e.Access == "push" {
		actions = append(append([]string{}, actions...), pushActions...)
	}
	return fmt.Sprintf(`{"Effect":"Allow","Action":["%s"],"Resource":"arn:%s:%s:%s:%s:repository/%s"}`,
		service+":"+strings.Join(actions, `","`+service+":"), e.Registry.Partition, service, region,
		account, e.ShortName())
}

// ShortName returns the repository's name in AWS's API and in ARNs. For public.ecr.aws that is the name
// without the registry alias.
func (e *Error) ShortName() string {
	if _, name, ok := strings.Cut(e.Repository, "/"); ok && e.Registry.Public {
		return name
	}
	return e.Repository
}

// cause removes the URL from an error of net/http, because a proxy's URL may contain a password.
func cause(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no response in time")
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return errors.New(safetext.Sanitize(err.Error()))
}
