package emulator

import (
	"fmt"
	"strings"
)

// Accounts, roles and users that AddDefaults adds.
const (
	Account      = "123456789012"
	SpokeAccount = "210987654321"
	Region       = "eu-west-2"

	CIRole     = "arn:aws:iam::" + Account + ":role/ci"
	CircleRole = "arn:aws:iam::" + Account + ":role/circle"
	PusherRole = "arn:aws:iam::" + Account + ":role/pusher"
	SpokeRole  = "arn:aws:iam::" + SpokeAccount + ":role/spoke"
	CIUser     = "arn:aws:iam::" + Account + ":user/ci-user"

	BuildkiteRole       = "arn:aws:iam::" + Account + ":role/buildkite"
	GitLabRole          = "arn:aws:iam::" + Account + ":role/gitlab"
	ForgejoRole         = "arn:aws:iam::" + Account + ":role/forgejo"
	AzureRole           = "arn:aws:iam::" + Account + ":role/azure"
	AzureConnectionRole = "arn:aws:iam::" + Account + ":role/azure-connection"
	EntraRole           = "arn:aws:iam::" + Account + ":role/azure-entra"

	// AWS's example keys, which secret scanners ignore.
	AccessKeyID     = "AKIAIOSFODNN7EXAMPLE"
	SecretAccessKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

// AddDefaults adds the accounts, roles and users that most tests use:
//
//   - CIRole trusts GitHub's acme/app on its main branch, CircleRole the same branch on CircleCI.
//   - The roles of the other CIs trust the same branch, or, where the subject has no branch, the pipeline
//     or the service connection.
//   - PusherRole trusts CIUser, which has no other permission.
//   - SpokeRole, in the second account, trusts CIRole.
func (s *Server) AddDefaults() {
	circle := circleHost + "/org/" + CircleOrg
	const circleSubject = "org/" + CircleOrg + "/project/" + CircleProject +
		"/user/????????-????-????-????-????????????" +
		"/vcs-origin/github.com/acme/app/vcs-ref/refs/heads/main"
	s.AddProvider(Account, githubIssuerHost, "sts.amazonaws.com")
	s.AddProvider(Account, circle, CircleOrg, "sts.amazonaws.com")
	s.AddRole(Role{ARN: CIRole, Push: []string{"app*"}, Pull: []string{"app*"}, PublicLogin: true,
		Trust: GitHubTrust("repo:acme/app:ref:refs/heads/main")})
	s.AddRole(Role{ARN: CircleRole, Push: []string{"app*"}, Pull: []string{"app*"},
		Trust: fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
			"Effect": "Allow",
			"Principal": {"Federated": "arn:aws:iam::%s:oidc-provider/%s"},
			"Action": "sts:AssumeRoleWithWebIdentity",
			"Condition": {"StringLike": {"%s:sub": %q}}
		}]}`, Account, circle, circle, circleSubject)})
	s.AddRole(Role{ARN: SpokeRole, Push: []string{"*"}, Pull: []string{"*"}, Trust: AWSTrust(CIRole)})
	s.AddUser(User{ARN: CIUser, AccessKeyID: AccessKeyID, SecretAccessKey: SecretAccessKey, NoLogin: true})
	s.AddRole(Role{ARN: PusherRole, Push: []string{"app*"}, Pull: []string{"app*"}, Trust: AWSTrust(CIUser)})
	s.AddFederatedRole(BuildkiteRole, BuildkiteIssuer, "sts.amazonaws.com",
		"organization:acme:pipeline:app:ref:refs/heads/main:commit:*:step:*")
	s.AddFederatedRole(GitLabRole, GitLabIssuer, "sts.amazonaws.com",
		"project_path:acme/app:ref_type:branch:ref:main")
	s.AddFederatedRole(ForgejoRole, ForgejoIssuer, "sts.amazonaws.com",
		"repo:acme-123/app-456:ref:refs/heads/main")
	s.AddFederatedRole(AzureRole, AzureIssuer("acme"), AzureAudience, "p://acme/shop/app")
	s.AddFederatedRole(AzureConnectionRole, AzureIssuer("acme"), AzureAudience, "sc://acme/shop/ecr-push")
	entra := strings.TrimPrefix(EntraIssuer, "https://")
	s.AddProvider(Account, entra, EntraAudience, EntraAuthorizedParty)
	s.AddRole(Role{ARN: EntraRole, Push: []string{"app*"}, Pull: []string{"app*"},
		Trust: fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
			"Effect": "Allow",
			"Principal": {"Federated": "arn:aws:iam::%s:oidc-provider/%s"},
			"Action": "sts:AssumeRoleWithWebIdentity",
			"Condition": {"StringEquals": {"%[2]s:aud": [%q, %q], "%[2]s:sub": %[5]q}}
		}]}`, Account, entra, EntraAudience, EntraAuthorizedParty, EntraSubject("acme", "shop", "ecr-push"))})
}

// AddFederatedRole adds a role that trusts a subject of an issuer's tokens with one audience. The
// subject may contain IAM's wildcards. It also adds the issuer's provider to the role's account,
// with the audience as its only client ID.
func (s *Server) AddFederatedRole(role, issuer, audience, subject string) {
	host := strings.TrimPrefix(issuer, "https://")
	s.AddProvider(accountOf(role), issuer, audience)
	trust := fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
		"Effect": "Allow",
		"Principal": {"Federated": "arn:aws:iam::%s:oidc-provider/%s"},
		"Action": "sts:AssumeRoleWithWebIdentity",
		"Condition": {"StringEquals": {"%[2]s:aud": %[3]q}, "StringLike": {"%[2]s:sub": %[4]q}}
	}]}`, accountOf(role), host, audience, subject)
	s.AddRole(Role{ARN: role, Push: []string{"app*"}, Pull: []string{"app*"}, Trust: trust})
}

// GitHubTrust returns a trust policy for a role in Account. It trusts GitHub jobs with a subject
// and the audience sts.amazonaws.com.
func GitHubTrust(sub string) string {
	return fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
		"Effect": "Allow",
		"Principal": {"Federated": "arn:aws:iam::%s:oidc-provider/%s"},
		"Action": "sts:AssumeRoleWithWebIdentity",
		"Condition": {"StringEquals": {"%[2]s:aud": "sts.amazonaws.com", "%[2]s:sub": %[3]q}}
	}]}`, Account, githubIssuerHost, sub)
}

// AWSTrust returns a trust policy that trusts a role, a user or an account's root.
func AWSTrust(arn string) string {
	return fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
		"Effect": "Allow", "Principal": {"AWS": %q}, "Action": "sts:AssumeRole"
	}]}`, arn)
}
