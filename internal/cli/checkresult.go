package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/docker/docker-credential-helpers/credentials"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/explain"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/repository"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// checkResult is the result for one target. docs/check.md describes its JSON.
type checkResult struct {
	Registry    string     `json:"registry"`
	Repository  string     `json:"repository,omitempty"`
	OK          bool       `json:"ok"`
	Role        string     `json:"role,omitempty"` // the last role of the chain
	RoleFrom    string     `json:"role_from,omitempty"`
	Source      string     `json:"source,omitempty"`
	Subject     string     `json:"subject,omitempty"`
	Expires     *time.Time `json:"expires,omitempty"`
	Cached      bool       `json:"cached"`
	StoredLogin bool       `json:"stored_login"` // the login of another tool
	Reason      reason     `json:"reason,omitempty"`
	Error       string     `json:"error,omitempty"` // one line, with its advice

	text    string
	profile string // describes the AWS profile, with --offline; "" if none is named
}

// reason classifies a failed check.
type reason string

const (
	noToken           reason = "no-token"           // the CI provides no token to this job
	noRole            reason = "no-role"            // no role is set, and the identity or the registry needs one
	notAllowed        reason = "not-allowed"        // allowed_account_ids does not contain the account
	refused           reason = "refused"            // AWS or the registry refused access
	missingRepository reason = "missing-repository" // the repository does not exist
	failedOtherwise   reason = "error"
)

// describeLogin describes a login that succeeded.
func describeLogin(r checkResult) string {
	if r.StoredLogin {
		return describeExpiry(r)
	}
	return describeIdentity(r) + ", " + describeExpiry(r)
}

// describeIdentity describes the role or profile, where it was set, the source and the subject.
func describeIdentity(r checkResult) string {
	var parts []string
	if r.Role != "" {
		parts = append(parts, fmt.Sprintf("%s (from %s)", exchange.DescribeRole(r.Role), r.RoleFrom))
	}
	if r.profile != "" {
		parts = append(parts, r.profile)
	}
	if len(parts) == 0 {
		parts = append(parts, "AWS credentials")
	}
	parts = append(parts, "source "+r.Source)
	if r.Subject != "" {
		parts = append(parts, fmt.Sprintf("subject %q", safetext.Sanitize(r.Subject)))
	}
	return strings.Join(parts, ", ")
}

// describeExpiry describes the expiry of the login, and whether it is cached or stored by another tool.
func describeExpiry(r checkResult) string {
	until := "valid until " + r.Expires.Format("2006-01-02 15:04 MST")
	switch {
	case r.StoredLogin:
		return "login stored by another tool, " + until + "; the role and the source are not used"
	case r.Cached:
		return "cached, " + until
	}
	return until
}

// fail returns the result of a check that failed.
func (c *checkCommand) fail(r checkResult, t target, err error) checkResult {
	r.Reason = reasonOf(err)
	if credentials.IsErrCredentialsNotFound(err) {
		err = notFound(t.registry)
		r.Reason = notAllowed
		if t.registry.Public {
			r.Reason = noRole
		}
	}
	r.Error = explain.Line(err, t.registry.Host, c.Env.Secrets())
	return r
}

func reasonOf(err error) reason {
	var (
		missing *token.MissingError
		role    *token.NoRoleError
		aws     *exchange.Error
		access  *repository.Error
	)
	switch {
	case errors.As(err, &missing):
		return noToken
	case errors.As(err, &role):
		return noRole
	case errors.As(err, &access) && access.Missing():
		return missingRepository
	case errors.As(err, &access), errors.As(err, &aws) && aws.Code != "":
		return refused
	}
	return failedOtherwise
}

// print prints the results in the order of the targets. It returns errUnhealthy if a check failed.
func (c *checkCommand) print(results []checkResult) error {
	healthy := true
	for _, r := range results {
		healthy = healthy && r.OK
	}
	if c.json {
		encoder := json.NewEncoder(c.Stdout)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(results); err != nil {
			return err
		}
	} else {
		for _, r := range results {
			if r.Error != "" {
				fmt.Fprintln(c.Stderr, r.Error)
				continue
			}
			name := cmp.Or(strings.TrimSuffix(r.Registry+"/"+r.Repository, "/"), r.Registry)
			fmt.Fprintf(c.Stdout, "%s: %s\n", name, safetext.Redact(r.text, c.Env.Secrets()...))
		}
	}
	if !healthy {
		return errUnhealthy
	}
	return nil
}
