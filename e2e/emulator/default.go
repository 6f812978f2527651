package emulator

import (
	"fmt"
	"strings"
)

// The usual company that Default makes.
const (
	Account      = "123456789012"
	SpokeAccount = "210987654321"
	Region       = "eu-west-2"

	CIRole     = "arn:aws:iam::" + Account + ":role/ci"
	CircleRole = "arn:aws:iam::" + Account + ":role/circle"
	PusherRole = "arn:aws:iam::" + Account + ":role/pusher"
	SpokeRole  = "arn:aws:iam::" + SpokeAccount + ":role/spoke"
	CIUser     = "arn:aws:iam::" + Account + ":user/ci-user"

	BuildkiteRole = "arn:aws:iam::" + Account + ":role/buildkite"
	GitLabRole    = "arn:aws:iam::" + Account + ":role/gitlab"
	ForgejoRole   = "arn:aws:iam::" + Account + ":role/forgejo"
	AzureRole     = "arn:aws:iam::" + Account + ":role/azure"
	AzureConnectionRole   = "arn:aws:iam::" + Account + ":role/azure-connection"
	EntraRole     = "arn:aws:iam::" + Account + ":role/azure-entra"

	// AWS's own examples, known to every secret scanner as such.
	AccessKeyID     = "AKIAIOSFODNN7EXAMPLE"
	SecretAccessKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

// AddDefaults fills the emulator with a usual company: an account whose role ci trusts
// GitHub's acme/app on its main branch, whose role circle trusts the same
// branch built by CircleCI, and whose role pusher trusts a user that may do
// nothing else; one role for the same branch built by each other CI, or for the
// pipeline or service connection where a CI's subject has no branch; and a second
// account whose role spoke trusts ci.
func (w *Server) AddDefaults() {
	circle := circleHost + "/org/" + CircleOrg
	w.AddProvider(Account, githubIssuerHost, "sts.amazonaws.com")
	w.AddProvider(Account, circle, CircleOrg, "sts.amazonaws.com")
	w.AddRole(Role{ARN: CIRole, Push: []string{"app*"}, Pull: []string{"app*"}, PublicLogin: true,
		Trust: GitHubTrust("repo:acme/app:ref:refs/heads/main")})
	w.AddRole(Role{ARN: CircleRole, Push: []string{"app*"}, Pull: []string{"app*"},
		Trust: fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
			"Effect": "Allow",
			"Principal": {"Federated": "arn:aws:iam::%s:oidc-provider/%s"},
			"Action": "sts:AssumeRoleWithWebIdentity",
			"Condition": {"StringLike": {"%s:sub": "org/%s/project/%s/user/????????-????-????-????-????????????/vcs-origin/github.com/acme/app/vcs-ref/refs/heads/main"}}
		}]}`, Account, circle, circle, CircleOrg, CircleProject)})
	w.AddRole(Role{ARN: SpokeRole, Push: []string{"*"}, Pull: []string{"*"}, Trust: AWSTrust(CIRole)})
	w.AddUser(User{ARN: CIUser, AccessKeyID: AccessKeyID, SecretAccessKey: SecretAccessKey, NoLogin: true})
	w.AddRole(Role{ARN: PusherRole, Push: []string{"app*"}, Pull: []string{"app*"}, Trust: AWSTrust(CIUser)})
	w.AddFederatedRole(BuildkiteRole, BuildkiteIssuer, "sts.amazonaws.com", "organization:acme:pipeline:app:ref:refs/heads/main:commit:*:step:*")
	w.AddFederatedRole(GitLabRole, GitLabIssuer, "sts.amazonaws.com", "project_path:acme/app:ref_type:branch:ref:main")
	w.AddFederatedRole(ForgejoRole, ForgejoIssuer, "sts.amazonaws.com", "repo:acme-123/app-456:ref:refs/heads/main")
	w.AddFederatedRole(AzureRole, AzureIssuer("acme"), AzureAudience, "p://acme/shop/app")
	w.AddFederatedRole(AzureConnectionRole, AzureIssuer("acme"), AzureAudience, "sc://acme/shop/ecr-push")
	entra := strings.TrimPrefix(EntraIssuer, "https://")
	w.AddProvider(Account, entra, EntraAudience, EntraAuthorizedParty)
	w.AddRole(Role{ARN: EntraRole, Push: []string{"app*"}, Pull: []string{"app*"},
		Trust: fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
			"Effect": "Allow",
			"Principal": {"Federated": "arn:aws:iam::%s:oidc-provider/%s"},
			"Action": "sts:AssumeRoleWithWebIdentity",
			"Condition": {"StringEquals": {"%[2]s:aud": [%q, %q], "%[2]s:sub": %[5]q}}
		}]}`, Account, entra, EntraAudience, EntraAuthorizedParty, EntraSubject("acme", "shop", "ecr-push"))})
}

// AddFederatedRole adds a role that lets in one subject, which may have IAM's
// wildcards, of an issuer's tokens for one audience, and to the role's account
// the provider for that issuer, whose only client id is that audience.
func (w *Server) AddFederatedRole(role, issuer, audience, subject string) {
	host := strings.TrimPrefix(issuer, "https://")
	w.AddProvider(accountOf(role), issuer, audience)
	w.AddRole(Role{ARN: role, Push: []string{"app*"}, Pull: []string{"app*"}, Trust: fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
		"Effect": "Allow",
		"Principal": {"Federated": "arn:aws:iam::%s:oidc-provider/%s"},
		"Action": "sts:AssumeRoleWithWebIdentity",
		"Condition": {"StringEquals": {"%[2]s:aud": %[3]q}, "StringLike": {"%[2]s:sub": %[4]q}}
	}]}`, accountOf(role), host, audience, subject)})
}

// GitHubTrust returns the trust policy of a role in Account that lets in GitHub
// jobs of one subject with the audience sts.amazonaws.com.
func GitHubTrust(sub string) string {
	return fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
		"Effect": "Allow",
		"Principal": {"Federated": "arn:aws:iam::%s:oidc-provider/%s"},
		"Action": "sts:AssumeRoleWithWebIdentity",
		"Condition": {"StringEquals": {"%[2]s:aud": "sts.amazonaws.com", "%[2]s:sub": %[3]q}}
	}]}`, Account, githubIssuerHost, sub)
}

// AWSTrust returns the trust policy of a role that lets in one role, user or account root.
func AWSTrust(arn string) string {
	return fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
		"Effect": "Allow", "Principal": {"AWS": %q}, "Action": "sts:AssumeRole"
	}]}`, arn)
}
