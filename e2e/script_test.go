package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// defaultHost is the registry of a get without an argument.
const defaultHost = emulator.Account + ".dkr.ecr." + emulator.Region + ".amazonaws.com"

// commands are the commands of the scripts, beside those of testscript.
var commands = map[string]func(*testscript.TestScript, bool, []string){
	// The environment of a job of each CI. The arguments are key=value for the fields of the job.
	"github":    githubJob,
	"circleci":  circleJob,
	"forgejo":   forgejoJob,
	"gitlab":    gitlabJob,
	"buildkite": buildkiteJob,
	"azure":     azureJob, // a step of a job

	// calls OIDC STS ECR: checks the numbers of calls since the last "calls"
	"calls": checkCalls,
	// called REGEXP: checks that a call since the last "calls" matches
	"called": checkCalled,
	// fault SERVICE key=value...: adds a fault to a service
	"fault": addFault,
	// removes all faults
	"clear-faults": clearFaults,
	// stops the emulator
	"stop-emulator": stopEmulator,

	// federate ROLE ISSUER AUDIENCE SUBJECT: adds a role that trusts SUBJECT, and its provider
	"federate": federate,
	// trust-subject SUBJECT: sets the only subject that role ci trusts
	"trust-subject": trustSubject,
	// removes the permission to push from role ci
	"deny-push": denyPush,
	// repository NAME: creates a repository in defaultHost
	"repository": addRepository,
	// removes ecr:GetAuthorizationToken from role ci
	"deny-passwords": denyPasswords,
	// mint-token VARIABLE [key=value...]: sets a variable to a token with these claims
	"mint-token": mintToken,
	// starts the metadata service of an instance and the credentials endpoint of a container
	"instance-metadata": instanceMetadata,
	// aws-sso-login SESSION [expired] [refreshable|spent]: writes the files of "aws sso login"
	"aws-sso-login": awsSSOLogin,
	// aws-login SESSION [expired] [spent] [region=R]: writes the files of "aws login"
	"aws-login": awsLogin,
	// circleci-command [key=value...]: adds the circleci command to PATH
	"circleci-command": circleciCommand,

	// save-password VARIABLE: stores the password of the last successful get in a variable
	"save-password": savePassword,
	// absent DIR TEXT...: checks that no file name or content below DIR contains TEXT
	"absent": checkAbsent,
	// repeat CHARACTER N FILE: writes a file
	"repeat": repeat,
}

// TestScripts runs each script in testdata against its own emulator. The environment of a script
// contains only HOME, the emulator's endpoints and its CA. The commands "github", "circleci" and
// others add the environment of a job.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		Setup:               setup,
		RequireExplicitExec: false,
		Cmds:                commands,
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "root":
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
	})
}

type emulatorKey struct{}

func setup(env *testscript.Env) error {
	w, err := emulator.Start(emulator.Options{})
	if err != nil {
		return err
	}
	env.Defer(w.Close)
	w.AddDefaults()
	w.AddSSOAssignment("sso-access-token-of-jane", emulator.Account, "Developer", developer)
	w.AddRole(emulator.Role{ARN: developer, Pull: []string{"app*"}})
	env.Values[emulatorKey{}] = w
	ca := filepath.Join(env.WorkDir, "ca.pem")
	if err := os.WriteFile(ca, w.CAPEM(), 0o600); err != nil {
		return err
	}
	home := filepath.Join(env.WorkDir, "home")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	for _, v := range [][2]string{
		{"PATH", binDir() + string(os.PathListSeparator) + env.Getenv("PATH")},
		{"HOME", home},
		{"USERPROFILE", home},
		{"LocalAppData", filepath.Join(home, "cache")},
		{"BUILT", binDir()},
		{"AWS_CA_BUNDLE", ca},
		{"AWS_ENDPOINT_URL_STS", w.URL("sts")},
		{"AWS_ENDPOINT_URL_ECR", w.URL("ecr")},
		{"AWS_ENDPOINT_URL_ECR_PUBLIC", w.URL("ecr-public")},
		{"AWS_ENDPOINT_URL_SSO", w.URL("sso")},
		{"AWS_ENDPOINT_URL_SSO_OIDC", w.URL("sso-oidc")},
		{"EMULATOR", strings.TrimSuffix(w.URL(""), "/")},
		{"PLAIN", strings.TrimSuffix(w.PlainURL(""), "/")},
		{"PROXY", w.ProxyURL()},
		{"HOST", defaultHost},
		{"ROLE", emulator.CIRole},
		{"CIRCLE_ROLE", emulator.CircleRole},
		{"SPOKE", emulator.SpokeRole},
		{"PUSHER", emulator.PusherRole},
		{"KEY_ID", emulator.AccessKeyID},
		{"KEY_SECRET", emulator.SecretAccessKey},
		{"GOCOVERDIR", os.Getenv("GOCOVERDIR")},
	} {
		env.Setenv(v[0], v[1])
	}
	return nil
}

func emulatorOf(ts *testscript.TestScript) *emulator.Server {
	return ts.Value(emulatorKey{}).(*emulator.Server)
}

func setAll(ts *testscript.TestScript, env map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		ts.Setenv(name, env[name])
	}
}

// options sets the fields of a struct from key=value arguments, by their JSON names.
func options(ts *testscript.TestScript, args []string, into any) {
	m := map[string]any{}
	for _, arg := range args {
		k, v, ok := strings.Cut(arg, "=")
		var value any = v
		if n, err := strconv.Atoi(v); err == nil {
			value = n
		} else if v == "true" || !ok {
			value = true
		} else if k == "Body" {
			value = []byte(v)
		}
		m[k] = value
	}
	b, err := json.Marshal(m)
	ts.Check(err)
	ts.Check(json.Unmarshal(b, into))
}

func githubJob(ts *testscript.TestScript, _ bool, args []string) {
	var j emulator.GitHubJob
	real := slices.Contains(args, "real")
	options(ts, slices.DeleteFunc(args, func(a string) bool { return a == "real" }), &j)
	if real {
		setAll(ts, emulatorOf(ts).GitHubRealHost(j))
	} else {
		setAll(ts, emulatorOf(ts).GitHub(j))
	}
	temp := filepath.Join(ts.Getenv("WORK"), "runner")
	ts.Check(os.MkdirAll(temp, 0o755))
	ts.Setenv("RUNNER_TEMP", temp)
}

func circleJob(ts *testscript.TestScript, _ bool, args []string) {
	var j emulator.CircleJob
	options(ts, args, &j)
	setAll(ts, emulatorOf(ts).Circle(j))
}

func forgejoJob(ts *testscript.TestScript, _ bool, args []string) {
	var j emulator.ForgejoJob
	options(ts, args, &j)
	setAll(ts, emulatorOf(ts).Forgejo(j))
	temp := filepath.Join(ts.Getenv("WORK"), "runner")
	ts.Check(os.MkdirAll(temp, 0o755))
	ts.Setenv("RUNNER_TEMP", temp)
}

func gitlabJob(ts *testscript.TestScript, _ bool, args []string) {
	var j emulator.GitLabJob
	options(ts, args, &j)
	setAll(ts, emulatorOf(ts).GitLab(j))
}

func buildkiteJob(ts *testscript.TestScript, _ bool, args []string) {
	var j emulator.BuildkiteJob
	options(ts, args, &j)
	setAll(ts, emulatorOf(ts).Buildkite(j))
}

func azureJob(ts *testscript.TestScript, _ bool, args []string) {
	var j emulator.AzureJob
	options(ts, args, &j)
	setAll(ts, emulatorOf(ts).Azure(j))
}

func federate(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 4 {
		ts.Fatalf("usage: federate ROLE ISSUER AUDIENCE SUBJECT")
	}
	emulatorOf(ts).AddFederatedRole("arn:aws:iam::"+emulator.Account+":role/"+args[0], args[1], args[2], args[3])
}

func checkCalls(ts *testscript.TestScript, _ bool, args []string) {
	w := emulatorOf(ts)
	ecr := w.Count("ecr") + w.Count("ecr-public")
	got := fmt.Sprintf("%d %d %d", w.Count("oidc"), w.Count("sts"), ecr)
	if want := strings.Join(args, " "); got != want {
		ts.Fatalf("calls to OIDC, STS, ECR: %s, want %s:\n%s", got, want, strings.Join(formatCalls(w), "\n"))
	}
	w.ResetCalls()
}

// formatCalls returns each call as "SERVICE HOST OP DETAIL STATUS FORM USER-AGENT".
func formatCalls(w *emulator.Server) (out []string) {
	for _, c := range w.Calls() {
		out = append(out, fmt.Sprintf("%s %s %s %s %d %s %s",
			c.Service, c.Host, c.Op, c.Detail, c.Status, c.Form.Encode(), c.Header.Get("User-Agent")))
	}
	return out
}

func checkCalled(ts *testscript.TestScript, neg bool, args []string) {
	re, err := regexp.Compile(strings.Join(args, " "))
	ts.Check(err)
	all := formatCalls(emulatorOf(ts))
	if slices.ContainsFunc(all, re.MatchString) == neg {
		ts.Fatalf("calls, looking for %q:\n%s", re, strings.Join(all, "\n"))
	}
}

func addFault(ts *testscript.TestScript, _ bool, args []string) {
	var f emulator.Fault
	rest := args[1:]
	for i, a := range rest {
		if d, ok := strings.CutPrefix(a, "Delay="); ok {
			delay, err := time.ParseDuration(d)
			ts.Check(err)
			f.Delay = delay
			rest = slices.Delete(slices.Clone(rest), i, i+1)
			break
		}
	}
	for i, a := range rest {
		if file, ok := strings.CutPrefix(a, "BodyFile="); ok {
			f.Body = []byte(ts.ReadFile(file))
			rest = slices.Delete(slices.Clone(rest), i, i+1)
			break
		}
	}
	options(ts, rest, &f)
	emulatorOf(ts).AddFault(args[0], f)
}

func clearFaults(ts *testscript.TestScript, _ bool, _ []string)  { emulatorOf(ts).ClearFaults() }
func stopEmulator(ts *testscript.TestScript, _ bool, _ []string) { emulatorOf(ts).Close() }

func trustSubject(ts *testscript.TestScript, _ bool, args []string) {
	emulatorOf(ts).AddRole(emulator.Role{
		ARN:         emulator.CIRole,
		Trust:       emulator.GitHubTrust(args[0]),
		Push:        []string{"*"},
		Pull:        []string{"*"},
		PublicLogin: true,
	})
}

func denyPasswords(ts *testscript.TestScript, _ bool, _ []string) {
	emulatorOf(ts).AddRole(emulator.Role{
		ARN:     emulator.CIRole,
		Trust:   emulator.GitHubTrust("repo:acme/app:ref:refs/heads/main"),
		NoLogin: true,
	})
}

// mintToken sets a variable to a token with any issuer=, any claim, and with wrong-key an invalid signature.
func mintToken(ts *testscript.TestScript, _ bool, args []string) {
	claims := map[string]any{"sub": "repo:acme/app:ref:refs/heads/main", "aud": "sts.amazonaws.com"}
	options(ts, args[1:], &claims)
	for _, name := range []string{"exp", "iat", "nbf"} { // seconds from now
		if n, ok := claims[name].(float64); ok {
			claims[name] = time.Now().Unix() + int64(n)
		}
	}
	issuer, sign := emulator.GitHubIssuer, emulatorOf(ts).Mint
	if s, ok := claims["issuer"].(string); ok {
		issuer = s
	}
	if claims["wrong-key"] == true {
		sign = emulatorOf(ts).MintWrongKey
	}
	delete(claims, "issuer")
	delete(claims, "wrong-key")
	ts.Setenv(args[0], sign(issuer, claims))
}

func circleciCommand(ts *testscript.TestScript, _ bool, args []string) {
	if runtime.GOOS == "windows" {
		ts.Fatalf("the emulated circleci command is a shell script")
	}
	var j emulator.CircleJob
	options(ts, args, &j)
	bin := filepath.Join(ts.Getenv("WORK"), "circleci-command")
	ts.Check(os.MkdirAll(bin, 0o755))
	script := fmt.Sprintf("#!/bin/sh\necho \"$@\" >>%s/arguments\nprintf '%%s\\n' '%s'\n",
		bin, emulatorOf(ts).CircleToken(j))
	ts.Check(os.WriteFile(filepath.Join(bin, "circleci"), []byte(script), 0o755))
	ts.Setenv("PATH", bin+string(os.PathListSeparator)+ts.Getenv("PATH"))
}

func savePassword(ts *testscript.TestScript, _ bool, args []string) {
	var login struct{ Secret string }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &login))
	ts.Setenv(args[0], login.Secret)
}

func checkAbsent(ts *testscript.TestScript, _ bool, args []string) {
	files := 0
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		for _, text := range args[1:] {
			if text == "" {
				ts.Fatalf("empty text")
			}
			if strings.Contains(string(b), text) || strings.Contains(d.Name(), text) {
				ts.Fatalf("%s contains %q", path, text)
			}
		}
		return err
	}))
	if files == 0 {
		ts.Fatalf("no file below %s", args[0])
	}
}

func repeat(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(strings.Repeat(args[0], n)), 0o600))
}

// addRepository creates a repository in defaultHost.
func addRepository(ts *testscript.TestScript, _ bool, args []string) {
	emulatorOf(ts).AddRepository(emulator.Account, emulator.Region, args[0])
}

// denyPush removes the permission to push from role ci.
func denyPush(ts *testscript.TestScript, _ bool, _ []string) {
	emulatorOf(ts).AddRole(emulator.Role{
		ARN:   emulator.CIRole,
		Trust: emulator.GitHubTrust("repo:acme/app:ref:refs/heads/main"),
		Pull:  []string{"*"},
	})
}
