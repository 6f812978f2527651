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

// usual is the registry that scripts ask for unless they say otherwise.
const usual = emulator.Account + ".dkr.ecr." + emulator.Region + ".amazonaws.com"

// TestScripts runs each script in testdata against an emulator of its own. In a script's environment there is nothing but
// a HOME, the emulator's endpoints and its CA; "github" or "circleci" make it a job.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		Setup:               setup,
		RequireExplicitExec: false,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"github":     githubJob,     // github [key=value...]: the environment of a GitHub job
			"circleci":   circleJob,     // circleci [key=value...]: the environment of a CircleCI job
			"forgejo":    forgejoJob,    // forgejo [key=value...]: the environment of a Forgejo job
			"gitlab":     gitlabJob,     // gitlab [key=value...]: the environment of a GitLab job
			"buildkite":  buildkiteJob,  // buildkite [key=value...]: the environment of a Buildkite job
			"azure":      azureJob,      // azure [key=value...]: the environment of a step of an Azure Pipelines job
			"federate":   federate,      // federate ROLE ISSUER AUDIENCE SUBJECT: a role that admits it, and its provider
			"asked":      asked,         // asked OIDC STS ECR: how many calls since the last asked
			"saw":        saw,           // saw REGEXP: a call since the last asked was so
			"fail":       fail,          // fail SERVICE key=value...: a fault
			"heal":       heal,          // no more faults
			"down":       down,          // stop every server
			"trust":      trust,         // trust SUBJECT: whom role ci lets in
			"pullonly":   pullOnly,      // role ci may pull, and not push
			"forbid":     forbid,        // role ci may not get passwords
			"mint":       mint,          // mint VARIABLE [key=value...]: an odd token
			"metadata":   metadata,      // an instance and a container that offer credentials
			"sso":        sso,           // sso SESSION [expired] [refreshable|spent]: what "aws sso login" left behind
			"login":      login,         // login SESSION [expired] [spent] [region=R]: what "aws login" did
			"orb":        circleCommand, // put CircleCI's own command on PATH
			"secret":     secret,        // secret VARIABLE: the password of the last good get goes into it
			"clean":      clean,         // clean DIR TEXT...: no file below DIR, nor its name, has TEXT in it
			"repository": addRepository, // repository NAME: create it in the usual registry
			"repeat":     repeat,        // repeat CHARACTER N FILE
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "root":
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
	})
}

type key struct{}

func setup(env *testscript.Env) error {
	w, err := emulator.Start(emulator.Options{})
	if err != nil {
		return err
	}
	env.Defer(w.Close)
	w.AddDefaults()
	w.AddSSOAssignment("sso-access-token-of-jane", emulator.Account, "Developer", "arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/Developer")
	w.AddRole(emulator.Role{ARN: "arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/Developer", Pull: []string{"app*"}})
	env.Values[key{}] = w
	ca := filepath.Join(env.WorkDir, "ca.pem")
	if err := os.WriteFile(ca, w.CAPEM(), 0o600); err != nil {
		return err
	}
	home := filepath.Join(env.WorkDir, "home")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	for _, v := range [][2]string{
		{"PATH", built + string(os.PathListSeparator) + env.Getenv("PATH")},
		{"HOME", home}, {"USERPROFILE", home}, {"LocalAppData", filepath.Join(home, "cache")},
		{"AWS_CA_BUNDLE", ca}, {"BUILT", built},
		{"AWS_ENDPOINT_URL_STS", w.URL("sts")}, {"AWS_ENDPOINT_URL_ECR", w.URL("ecr")}, {"AWS_ENDPOINT_URL_ECR_PUBLIC", w.URL("ecr-public")},
		{"AWS_ENDPOINT_URL_SSO", w.URL("sso")}, {"AWS_ENDPOINT_URL_SSO_OIDC", w.URL("sso-oidc")},
		{"WORLD", strings.TrimSuffix(w.URL(""), "/")}, {"PLAIN", strings.TrimSuffix(w.PlainURL(""), "/")}, {"PROXY", w.ProxyURL()},
		{"HOST", usual}, {"ROLE", emulator.CIRole}, {"CIRCLE_ROLE", emulator.CircleRole}, {"SPOKE", emulator.SpokeRole}, {"PUSHER", emulator.PusherRole},
		{"KEY_ID", emulator.AccessKeyID}, {"KEY_SECRET", emulator.SecretAccessKey},
		{"GOCOVERDIR", os.Getenv("GOCOVERDIR")},
	} {
		env.Setenv(v[0], v[1])
	}
	return nil
}

func the(ts *testscript.TestScript) *emulator.Server { return ts.Value(key{}).(*emulator.Server) }

func setAll(ts *testscript.TestScript, env map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		ts.Setenv(name, env[name])
	}
}

// options reads key=value arguments into a struct's fields by their JSON names, with numbers and booleans as such.
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
		setAll(ts, the(ts).GitHubRealHost(j))
	} else {
		setAll(ts, the(ts).GitHub(j))
	}
	temp := filepath.Join(ts.Getenv("WORK"), "runner")
	ts.Check(os.MkdirAll(temp, 0o755))
	ts.Setenv("RUNNER_TEMP", temp)
}

func circleJob(ts *testscript.TestScript, _ bool, args []string) {
	var j emulator.CircleJob
	options(ts, args, &j)
	setAll(ts, the(ts).Circle(j))
}

func forgejoJob(ts *testscript.TestScript, _ bool, args []string) {
	var j emulator.ForgejoJob
	options(ts, args, &j)
	setAll(ts, the(ts).Forgejo(j))
	temp := filepath.Join(ts.Getenv("WORK"), "runner")
	ts.Check(os.MkdirAll(temp, 0o755))
	ts.Setenv("RUNNER_TEMP", temp)
}

func gitlabJob(ts *testscript.TestScript, _ bool, args []string) {
	var j emulator.GitLabJob
	options(ts, args, &j)
	setAll(ts, the(ts).GitLab(j))
}

func buildkiteJob(ts *testscript.TestScript, _ bool, args []string) {
	var j emulator.BuildkiteJob
	options(ts, args, &j)
	setAll(ts, the(ts).Buildkite(j))
}

func azureJob(ts *testscript.TestScript, _ bool, args []string) {
	var j emulator.AzureJob
	options(ts, args, &j)
	setAll(ts, the(ts).Azure(j))
}

func federate(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 4 {
		ts.Fatalf("usage: federate ROLE ISSUER AUDIENCE SUBJECT")
	}
	the(ts).AddFederatedRole("arn:aws:iam::"+emulator.Account+":role/"+args[0], args[1], args[2], args[3])
}

func asked(ts *testscript.TestScript, _ bool, args []string) {
	w := the(ts)
	ecr := w.Count("ecr") + w.Count("ecr-public")
	got := fmt.Sprintf("%d %d %d", w.Count("oidc"), w.Count("sts"), ecr)
	if want := strings.Join(args, " "); got != want {
		ts.Fatalf("asked OIDC, STS, ECR %s times, want %s:\n%s", got, want, strings.Join(lines(w), "\n"))
	}
	w.ResetCalls()
}

// lines writes each call as "SERVICE HOST OP DETAIL STATUS FORM".
func lines(w *emulator.Server) (out []string) {
	for _, c := range w.Calls() {
		out = append(out, fmt.Sprintf("%s %s %s %s %d %s %s", c.Service, c.Host, c.Op, c.Detail, c.Status, c.Form.Encode(), c.Header.Get("User-Agent")))
	}
	return out
}

func saw(ts *testscript.TestScript, neg bool, args []string) {
	re, err := regexp.Compile(strings.Join(args, " "))
	ts.Check(err)
	all := lines(the(ts))
	if slices.ContainsFunc(all, re.MatchString) == neg {
		ts.Fatalf("calls, looking for %q:\n%s", re, strings.Join(all, "\n"))
	}
}

func fail(ts *testscript.TestScript, _ bool, args []string) {
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
	the(ts).Fail(args[0], f)
}

func heal(ts *testscript.TestScript, _ bool, _ []string) { the(ts).ClearFaults() }
func down(ts *testscript.TestScript, _ bool, _ []string) { the(ts).Close() }

func trust(ts *testscript.TestScript, _ bool, args []string) {
	the(ts).AddRole(emulator.Role{ARN: emulator.CIRole, Trust: emulator.GitHubTrust(args[0]), Push: []string{"*"}, Pull: []string{"*"}, PublicLogin: true})
}

func forbid(ts *testscript.TestScript, _ bool, _ []string) {
	the(ts).AddRole(emulator.Role{ARN: emulator.CIRole, Trust: emulator.GitHubTrust("repo:acme/app:ref:refs/heads/main"), NoLogin: true})
}

// mint makes a token as an issuer would, or as it would not: issuer=, wrong-key, and any claim.
func mint(ts *testscript.TestScript, _ bool, args []string) {
	claims := map[string]any{"sub": "repo:acme/app:ref:refs/heads/main", "aud": "sts.amazonaws.com"}
	options(ts, args[1:], &claims)
	for _, name := range []string{"exp", "iat", "nbf"} { // from now on, in seconds
		if n, ok := claims[name].(float64); ok {
			claims[name] = time.Now().Unix() + int64(n)
		}
	}
	issuer, sign := emulator.GitHubIssuer, the(ts).Mint
	if s, ok := claims["issuer"].(string); ok {
		issuer = s
	}
	if claims["wrong-key"] == true {
		sign = the(ts).MintWrongKey
	}
	delete(claims, "issuer")
	delete(claims, "wrong-key")
	ts.Setenv(args[0], sign(issuer, claims))
}

func circleCommand(ts *testscript.TestScript, _ bool, args []string) {
	if runtime.GOOS == "windows" {
		ts.Fatalf("the emulated circleci command is a shell script")
	}
	var j emulator.CircleJob
	options(ts, args, &j)
	bin := filepath.Join(ts.Getenv("WORK"), "orb")
	ts.Check(os.MkdirAll(bin, 0o755))
	script := fmt.Sprintf("#!/bin/sh\necho \"$@\" >>%s/asked\nprintf '%%s\\n' '%s'\n", bin, the(ts).CircleToken(j))
	ts.Check(os.WriteFile(filepath.Join(bin, "circleci"), []byte(script), 0o755))
	ts.Setenv("PATH", bin+string(os.PathListSeparator)+ts.Getenv("PATH"))
}

func secret(ts *testscript.TestScript, _ bool, args []string) {
	var answer struct{ Secret string }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &answer))
	ts.Setenv(args[0], answer.Secret)
}

func clean(ts *testscript.TestScript, _ bool, args []string) {
	files := 0
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		for _, text := range args[1:] {
			if text == "" {
				ts.Fatalf("nothing to look for")
			}
			if strings.Contains(string(b), text) || strings.Contains(d.Name(), text) {
				ts.Fatalf("%s has %q in it", path, text)
			}
		}
		return err
	}))
	if files == 0 {
		ts.Fatalf("there is no file below %s", args[0])
	}
}

func repeat(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(strings.Repeat(args[0], n)), 0o600))
}

func addRepository(ts *testscript.TestScript, _ bool, args []string) {
	the(ts).AddRepository(emulator.Account, emulator.Region, args[0])
}

func pullOnly(ts *testscript.TestScript, _ bool, _ []string) {
	the(ts).AddRole(emulator.Role{ARN: emulator.CIRole, Trust: emulator.GitHubTrust("repo:acme/app:ref:refs/heads/main"), Pull: []string{"*"}})
}
