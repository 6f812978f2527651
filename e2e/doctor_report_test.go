package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

const (
	spoke     = emulator.SpokeAccount + ".dkr.ecr." + emulator.Region + ".amazonaws.com"
	public    = "public.ecr.aws"
	reportDir = "testdata/doctor/report"

	userProfile = "[profile dev]\naws_access_key_id = " + emulator.AccessKeyID +
		"\naws_secret_access_key = " + emulator.SecretAccessKey + "\n"
)

// mainBranchTrust is the trust policy of role ci.
var mainBranchTrust = emulator.GitHubTrust("repo:acme/app:ref:refs/heads/main")

// trustOtherRepository changes the trust policy of role ci, which then refuses the job.
func (j *job) trustOtherRepository() {
	j.server.AddRole(emulator.Role{
		ARN: emulator.CIRole, Push: []string{"*"},
		Trust: emulator.GitHubTrust("repo:acme/another:ref:refs/heads/main"),
	})
}

// trustMainBranch restores the trust policy of role ci.
func (j *job) trustMainBranch() {
	j.server.AddRole(emulator.Role{
		ARN: emulator.CIRole, Push: []string{"*"}, Trust: mainBranchTrust,
	})
}

// cacheFailure makes a get fail, and then restores the trust policy.
func (j *job) cacheFailure(t *testing.T) {
	t.Helper()
	j.trustOtherRepository()
	if _, _, err := j.get(defaultHost); err == nil {
		t.Fatal("get succeeded, want a refusal")
	}
	j.trustMainBranch()
}

// cachePassword makes a get succeed.
func (j *job) cachePassword(t *testing.T) {
	t.Helper()
	if _, stderr, err := j.get(defaultHost); err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
}

// storeLogin stores a login as another tool does.
func (j *job) storeLogin(t *testing.T, host string) {
	t.Helper()
	login := fmt.Sprintf(`{"ServerURL": %q, "Username": "AWS", "Secret": "marked-password"}`, host)
	if _, stderr, err := j.run("store", login); err != nil {
		t.Fatal(stderr)
	}
}

// arrange prepares a job and returns the arguments of doctor.
type arrange func(t *testing.T, j *job) (args []string)

// The whole output of a run is the golden file testdata/doctor/report/NAME.txt.
func TestDoctorReports(t *testing.T) {
	t.Parallel()
	skipOnWindows(t)
	for name, arrange := range map[string]arrange{
		"good": func(*testing.T, *job) []string { return nil },
		"refused": func(t *testing.T, j *job) []string {
			j.onGitHub(pullRequest)
			return []string{defaultHost}
		},
		"refused-policy": func(t *testing.T, j *job) []string {
			j.onGitHub(pullRequest)
			policy := j.writeFile(t, "policy.json", mainBranchTrust)
			return []string{"--trust-policy", policy, defaultHost}
		},
		"chain": func(t *testing.T, j *job) []string {
			j.env["ECR_OIDC_ROLE"] = emulator.CIRole + "," + emulator.PusherRole
			return []string{"https://" + strings.ToUpper(defaultHost) + "/v2/"}
		},
		"keys-only": func(t *testing.T, j *job) []string {
			j.server.AddUser(emulator.User{
				ARN: emulator.CIUser, AccessKeyID: emulator.AccessKeyID,
				SecretAccessKey: emulator.SecretAccessKey,
			})
			j.setKeys()
			delete(j.env, "ECR_OIDC_ROLE")
			return nil
		},
		"circleci": func(t *testing.T, j *job) []string {
			j.onCircle(emulator.CircleJob{})
			return nil
		},
		"no-permission": func(t *testing.T, j *job) []string {
			j.onGitHub(emulator.GitHubJob{NoIDToken: true})
			return nil
		},
		"sudo": func(t *testing.T, j *job) []string {
			j.leaveCI()
			j.env["SUDO_UID"] = "1000"
			return nil
		},
		"profile": func(t *testing.T, j *job) []string {
			j.leaveCI()
			j.writeAWSConfig(t, userProfile)
			j.env["AWS_PROFILE"], j.env["ECR_OIDC_ROLE"] = "dev", "pusher"
			return nil
		},
		"sso-expired": func(t *testing.T, j *job) []string {
			j.leaveCI()
			j.writeAWSConfig(t, ssoConfig("profile dev"))
			j.env["ECR_OIDC_PROFILE"] = "dev"
			return nil
		},
		// The role of one account does not exist, and public.ecr.aws has no role.
		"several": func(t *testing.T, j *job) []string {
			j.setCredHelpers(t, spoke, defaultHost, public)
			j.env["ECR_OIDC_ROLE_"+emulator.SpokeAccount] = "no-such-role"
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newDoctorJob(t, emulator.Options{})
			args := arrange(t, j)
			got := j.formatRun(args, j.doctor(t, args...))
			golden(t, filepath.Join(reportDir, name+".txt"), got)
		})
	}
}

// ssoConfig returns an AWS configuration file with an SSO profile in this section.
func ssoConfig(section string) string {
	return "[sso-session acme]\nsso_start_url = https://acme.awsapps.com/start\n" +
		"sso_region = eu-west-2\n[" + section + "]\nsso_session = acme\n" +
		"sso_account_id = 123456789012\nsso_role_name = Developer\n"
}

// A reportCase is a run of doctor. A golden file contains a part of its output.
type reportCase struct {
	name    string
	arrange arrange // nil arguments select defaultHost
	options emulator.Options
}

// testReports runs each case in its own emulator, and compares them with one golden file, which is a
// txtar archive. It contains the checks that are not ok and the checks with these names.
func testReports(t *testing.T, file string, checks []string, cases []reportCase) {
	t.Parallel()
	skipOnWindows(t)
	var mu sync.Mutex
	texts := map[string]string{}
	t.Run("cases", func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				j := newDoctorJob(t, c.options)
				args := c.arrange(t, j)
				if args == nil {
					args = []string{defaultHost}
				}
				text := j.formatChecks(j.doctor(t, args...), checks...)
				mu.Lock()
				defer mu.Unlock()
				texts[c.name] = text
			})
		}
	})
	var got txtar.Archive
	for _, c := range cases {
		got.Files = append(got.Files, txtar.File{Name: c.name, Data: []byte(texts[c.name])})
	}
	golden(t, filepath.Join(reportDir, file), string(txtar.Format(&got)))
}

func unchanged(*testing.T, *job) []string { return nil }
