package world

import "fmt"

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

	// AWS's own examples, known to every secret scanner as such.
	AccessKeyID     = "AKIAIOSFODNN7EXAMPLE"
	SecretAccessKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

// Default fills the world with a usual company: an account whose role ci trusts
// GitHub's acme/app on its main branch, whose role circle trusts the same
// branch built by CircleCI, and whose role pusher trusts a user that may do
// nothing else; and a second account whose role spoke trusts ci.
func (w *World) Default() {
	circle := circleHost + "/org/" + CircleOrg
	w.AddProvider(Account, githubIssuerHost, "sts.amazonaws.com")
	w.AddProvider(Account, circle, CircleOrg, "sts.amazonaws.com")
	w.AddRole(Role{ARN: CIRole, Push: []string{"app*"}, Pull: []string{"app*"}, Public: true,
		Trust: GitHubTrust("repo:acme/app:ref:refs/heads/main")})
	w.AddRole(Role{ARN: CircleRole, Push: []string{"app*"}, Pull: []string{"app*"},
		Trust: fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
			"Effect": "Allow",
			"Principal": {"Federated": "arn:aws:iam::%s:oidc-provider/%s"},
			"Action": "sts:AssumeRoleWithWebIdentity",
			"Condition": {"StringLike": {"%s:sub": "org/%s/project/%s/user/*/vcs-origin/github.com/acme/app/vcs-ref/refs/heads/main"}}
		}]}`, Account, circle, circle, CircleOrg, CircleProject)})
	w.AddRole(Role{ARN: SpokeRole, Push: []string{"*"}, Pull: []string{"*"}, Trust: AWSTrust(CIRole)})
	w.AddUser(User{ARN: CIUser, AccessKeyID: AccessKeyID, SecretAccessKey: SecretAccessKey, NoLogin: true})
	w.AddRole(Role{ARN: PusherRole, Push: []string{"app*"}, Pull: []string{"app*"}, Trust: AWSTrust(CIUser)})
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
