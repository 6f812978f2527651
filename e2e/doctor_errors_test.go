package e2e

import (
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// Every kind of error of a get, its step and its advice.
func TestDoctorErrors(t *testing.T) {
	set := func(pairs ...string) arrange {
		return func(t *testing.T, j *job) []string {
			for _, pair := range append(pairs, "AWS_MAX_ATTEMPTS=1") {
				name, value, _ := strings.Cut(pair, "=")
				j.env[name] = value
			}
			return nil
		}
	}
	fault := func(service string, f emulator.Fault) arrange {
		return func(t *testing.T, j *job) []string { j.server.AddFault(service, f); return set()(t, j) }
	}
	config := func(text string) arrange {
		return func(t *testing.T, j *job) []string {
			j.writeFile(t, "home/.docker/ecr-oidc.yaml", text)
			return nil
		}
	}
	profile := func(text string, pairs ...string) arrange {
		return func(t *testing.T, j *job) []string {
			j.leaveCI()
			j.writeAWSConfig(t, text)
			return set(append(pairs, "ECR_OIDC_PROFILE=dev", "ECR_OIDC_SOURCE=aws",
				"AWS_EC2_METADATA_DISABLED=true")...)(t, j)
		}
	}
	const role = "role_arn = arn:aws:iam::123456789012:role/pusher\n"
	testReports(t, "errors.txt", nil, []reportCase{
		{name: "invalid variable", arrange: set("ECR_OIDC_SOURCE=typo")},
		{name: "unknown key in the file", arrange: config("default:\n  rôle: ci\n")},
		{name: "account not allowed",
			arrange: config("allowed_account_ids: [\"210987654321\"]\n")},
		{name: "public registry without a role",
			arrange: func(t *testing.T, j *job) []string { return []string{public} }},
		{name: "public registry, role without permission",
			arrange: func(t *testing.T, j *job) []string {
				j.server.AddRole(emulator.Role{ARN: emulator.CIRole, Trust: mainBranchTrust})
				j.env["ECR_OIDC_ROLE_PUBLIC"] = emulator.CIRole
				return []string{public}
			}},
		{name: "no role", arrange: set("ECR_OIDC_ROLE=")},
		{name: "unknown region", arrange: func(t *testing.T, j *job) []string {
			return append(set("AWS_ENDPOINT_URL_STS=https://127.0.0.1:1")(t, j),
				strings.Replace(defaultHost, "west", "wst", 1))
		}},
		{name: "no role and no token", arrange: func(t *testing.T, j *job) []string {
			j.onGitHub(emulator.GitHubJob{NoIDToken: true})
			return set("ECR_OIDC_ROLE=", "AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/token")(t, j)
		}},
		{name: "token file without a role on a machine",
			arrange: func(t *testing.T, j *job) []string {
				j.leaveCI()
				return set("ECR_OIDC_TOKEN_FILE="+j.writeFile(t, "token", "x"))(t, j)
			}},
		{name: "GitHub without the request token", arrange: set("ACTIONS_ID_TOKEN_REQUEST_TOKEN=")},
		{name: "explicit github on a machine", arrange: func(t *testing.T, j *job) []string {
			j.leaveCI()
			return set("ECR_OIDC_SOURCE=github", "ECR_OIDC_ROLE=ci")(t, j)
		}},
		{name: "GitHub refuses", arrange: fault("oidc", emulator.Fault{Status: 401})},
		{name: "token is not a JWT", arrange: set("ECR_OIDC_TOKEN=not-a-token")},
		{name: "missing token file", arrange: set("ECR_OIDC_TOKEN_FILE=/no/such/file")},
		{name: "token for another audience", arrange: func(t *testing.T, j *job) []string {
			token := j.server.Mint(emulator.GitHubIssuer, map[string]any{
				"sub": "repo:acme/app:ref:refs/heads/main", "aud": "https://github.com/acme",
			})
			return set("ECR_OIDC_TOKEN="+token, "ECR_OIDC_AUDIENCE=sts.amazonaws.com")(t, j)
		}},
		{name: "expired token on CircleCI", arrange: func(t *testing.T, j *job) []string {
			j.onCircle(emulator.CircleJob{Expired: true})
			return nil
		}},
		{name: "missing CA bundle", arrange: set("AWS_CA_BUNDLE=/no/such/file")},
		{name: "region without FIPS endpoints", arrange: set("AWS_USE_FIPS_ENDPOINT=true",
			"AWS_ENDPOINT_URL_STS=", "AWS_ENDPOINT_URL_ECR=")},
		{name: "invalid AWS variable", arrange: set("AWS_RETRY_MODE=often")},
		{name: "no OIDC provider", arrange: set("ECR_OIDC_ROLE=" + emulator.SpokeRole)},
		{name: "audience not in the provider", arrange: set("ECR_OIDC_AUDIENCE=acme")},
		{name: "no such role", arrange: set("ECR_OIDC_ROLE=no-such-role")},
		{name: "session too long", arrange: set("ECR_OIDC_SESSION_DURATION=12h")},
		{name: "STS throttles", arrange: fault("sts", emulator.Fault{Status: 400,
			Code: "Throttling", Message: "Rate exceeded"})},
		{name: "STS not activated in the region", arrange: fault("sts", emulator.Fault{Status: 403,
			Code: "RegionDisabledException", Message: "STS is not activated in this region"})},
		{name: "STS unreachable", arrange: set(
			"AWS_ENDPOINT_URL_STS=https://user:marked-password@127.0.0.1:1/sts?marked-password")},
		{name: "response that is not from STS", arrange: fault("sts",
			emulator.Fault{Body: []byte("<html>log in to the wifi</html>")})},
		{name: "control characters in the response", arrange: fault("sts", emulator.Fault{
			Status: 400, Code: "Odd\x1b[2J",
			Message: "x\x1b[2J\n::error::y\u202e##[add-mask]z"})},
		{name: "ECR refuses the role", arrange: func(t *testing.T, j *job) []string {
			j.server.AddRole(emulator.Role{
				ARN: emulator.CIRole, Trust: mainBranchTrust, NoLogin: true,
			})
			return nil
		}},
		{name: "ECR refuses the keys", arrange: func(t *testing.T, j *job) []string {
			j.setKeys()
			return set("ECR_OIDC_ROLE=")(t, j)
		}},
		{name: "key without its secret",
			arrange: set("ECR_OIDC_ROLE=", "AWS_ACCESS_KEY_ID="+emulator.AccessKeyID)},
		{name: "no credentials on a machine", arrange: func(t *testing.T, j *job) []string {
			j.leaveCI()
			return nil
		}},
		{name: "missing profile", arrange: profile("", "AWS_PROFILE=dev")},
		{name: "profile that requires MFA", arrange: profile("[profile dev]\n" + role +
			"source_profile = base\nmfa_serial = arn:aws:iam::123456789012:mfa/jane\n" +
			"[profile base]\naws_access_key_id = x\naws_secret_access_key = y\n")},
		{name: "failed credential_process", arrange: profile("[profile dev]\n"+
			"credential_process = sh -c 'echo no such user >&2; exit 3'\n",
			"PATH=/usr/bin:/bin")},
		{name: "instance without credentials",
			arrange: profile("[profile dev]\ncredential_source = Ec2InstanceMetadata\n" + role)},
		{name: "role that the profile cannot assume",
			arrange: profile(userProfile, "ECR_OIDC_ROLE=ci")},
	})
}

// Differences between the verdict on a trust policy and AWS's response.
func TestDoctorPolicyAndAWS(t *testing.T) {
	policy := func(text string) arrange {
		return func(t *testing.T, j *job) []string {
			return []string{"--trust-policy", j.writeFile(t, "policy.json", text), defaultHost}
		}
	}
	testReports(t, "policy.txt", nil, []reportCase{
		{name: "both admit", arrange: policy(mainBranchTrust)},
		{name: "policy admits, AWS refuses", arrange: func(t *testing.T, j *job) []string {
			j.trustOtherRepository()
			return policy(mainBranchTrust)(t, j)
		}},
		{name: "policy refuses, AWS admits",
			arrange: policy(emulator.GitHubTrust("repo:acme/app:pull_request"))},
		{name: "policy of another role", arrange: policy(`{"Role": {"Arn": "` +
			emulator.PusherRole + `", "AssumeRolePolicyDocument": ` + mainBranchTrust + `}}`)},
		{name: "condition on the session name", arrange: policy(strings.Replace(mainBranchTrust,
			`"StringEquals": {`,
			`"StringLike": {"sts:RoleSessionName": "github-*"}, "StringEquals": {`, 1))},
		{name: "no token", arrange: func(t *testing.T, j *job) []string {
			j.onGitHub(emulator.GitHubJob{NoIDToken: true})
			return policy(mainBranchTrust)(t, j)
		}},
	})
}
