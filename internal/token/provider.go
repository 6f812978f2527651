package token

import (
	"context"
	"net/http"
	"strings"
)

// Env looks up an environment variable, as os.LookupEnv does.
type Env func(name string) (value string, set bool)

// Get returns the value of a variable without leading and trailing white space; "" when it is not
// set. Callers treat an empty variable as unset: CIs expand a missing secret to the empty string,
// and configure-aws-credentials "unsets" its variables that way.
func (e Env) Get(name string) string {
	value, _ := e(name)
	return strings.TrimSpace(value)
}

// DescribeMissing describes a variable without a value, for error messages: it is not set, or set
// but empty.
func (e Env) DescribeMissing(name string) string {
	if _, set := e(name); set {
		return name + " is set but empty"
	}
	return name + " is not set"
}

// firstMissing describes the first of these variables that has no value; "" when all have a value.
func (e Env) firstMissing(names ...string) string {
	for _, name := range names {
		if e.Get(name) == "" {
			return e.DescribeMissing(name)
		}
	}
	return ""
}

// Provider is one row of the provider table: a CI, a token that the user supplies, or the AWS SDK's
// credential chain. Its Name is a value of ECR_OIDC_SOURCE. How a CI is detected and how its token is
// obtained is in this table and in the functions that it names, with these exceptions: selectProvider
// and withNamedSource (gitlab, whose token may be in ECR_OIDC_TOKEN, and env, file and aws), and
// tokenHost and detectContainer in internal/doctor. To add a CI, see CONTRIBUTING.md.
type Provider struct {
	Name    string           // value of ECR_OIDC_SOURCE
	Label   string           // the CI's own name, for messages; "" when it is not a CI
	Docs    string           // heading of its section in docs/sources.md
	Detect  func(Env) string // returns the variable that identifies the CI, or ""
	Secrets []string         // variables that contain a secret
	URL     string           // variable with the URL of the token endpoint
	Advice  func(Env) string // returns what to change when the token is missing
	Hint    func(Env) Hint   // explains why the token is missing; may be nil

	// ExpiredAdvice is what to change when STS reports that the token has expired; "" for the
	// default.
	ExpiredAdvice string

	// Job returns the names of the job's repository and run, for the name of the role session; nil
	// when it is not a CI.
	Job func(Env) (repository, run string)

	// New returns the token source. It reads the environment and the token's file. missing
	// explains why there is no token; "" when there is one. CacheSecret decides whether the job
	// has a cache, so New sets it even when the token is missing, if the job has such a secret.
	New func(Env, Settings) (source TokenSource, missing string)
}

// Hint explains why a job has no token, for doctor. The zero Hint means that there is no
// explanation.
type Hint struct {
	Name   string // short name, for doctor
	Text   string // the cause
	Advice string // what the user can do

	NoSecrets bool // the CI passes no secrets to the job either, so its role may be missing too
}

// TokenSource provides a job's OIDC token. The zero TokenSource provides none.
type TokenSource struct {
	Token tokenFunc // returns the token; nil for the zero TokenSource
	Renew tokenFunc // requests a new token; nil when the CI cannot issue one

	OnDemand      bool   // the token is issued on request, with the time of the CI's clock
	Audience      string // requested by default; "" when no audience can be requested
	Origin        string // the variable, file or CI that provides the token, for messages
	CacheKeyInput string // identifies the token without revealing it, for the cache key

	// CacheSecret is a secret from which the cache's encryption key is derived. No other job may have it: a
	// job with the same secret can read and replace the entries. Every process of the job must
	// have it. It is "" when there is no such secret. Without it, only AWS credentials have a
	// cache (openCache in internal/helper).
	CacheSecret string
}

// tokenFunc returns a token. It may block until ctx is done.
type tokenFunc func(ctx context.Context, client *http.Client, audience string) (string, error)

// providers returns the provider table, in the order in which CIs are detected. GitHub is first
// because its runners also run on machines of other CIs (sigstore/cosign pkg/providers/all has the
// same order for the same reason).
func providers() []Provider {
	return []Provider{
		{Name: "github", Label: "GitHub", Docs: "GitHub Actions",
			Detect: detectGitHub, New: github,
			Secrets: []string{"ACTIONS_ID_TOKEN_REQUEST_TOKEN"},
			URL:     "ACTIONS_ID_TOKEN_REQUEST_URL",
			Advice:  githubAdvice, Hint: githubHint,
			Job: jobNames("GITHUB_REPOSITORY", "", "GITHUB_RUN_ID")},
		{Name: "circleci", Label: "CircleCI", Docs: "CircleCI",
			Detect: isSet("CIRCLECI"), New: circleci,
			Secrets: []string{"CIRCLE_OIDC_TOKEN", "CIRCLE_OIDC_TOKEN_V2"},
			Advice:  advice(circleciAdvice), Hint: circleciHint,
			ExpiredAdvice: circleciExpiredAdvice,
			Job: jobNames("CIRCLE_PROJECT_USERNAME", "CIRCLE_PROJECT_REPONAME",
				"CIRCLE_BUILD_NUM")},
		{Name: "gitlab", Label: "GitLab", Docs: "GitLab",
			Detect: isSet("GITLAB_CI"), New: gitlab,
			Secrets: []string{"ECR_OIDC_TOKEN", "STS_AMAZONAWS_COM_ID_TOKEN"},
			Advice: advice("give the job " +
				"`id_tokens: {ECR_OIDC_TOKEN: {aud: sts.amazonaws.com}}`"),
			Job: jobNames("CI_PROJECT_PATH", "", "CI_JOB_ID")},
		{Name: "buildkite", Label: "Buildkite", Docs: "Buildkite",
			Detect: isSet("BUILDKITE"), New: buildkite,
			Secrets: []string{"BUILDKITE_AGENT_ACCESS_TOKEN"},
			URL:     "BUILDKITE_AGENT_ENDPOINT",
			Advice: advice("pass BUILDKITE_JOB_ID and BUILDKITE_AGENT_ACCESS_TOKEN " +
				"to the environment of docker"),
			Job: jobNames("BUILDKITE_ORGANIZATION_SLUG", "BUILDKITE_PIPELINE_SLUG",
				"BUILDKITE_BUILD_NUMBER")},
		{Name: "azure", Label: "Azure Pipelines", Docs: "Azure Pipelines",
			Detect: isSet("TF_BUILD"), New: azure,
			Secrets: []string{"SYSTEM_ACCESSTOKEN"}, URL: "SYSTEM_OIDCREQUESTURI",
			Advice: azureAdvice,
			Job: jobNames("SYSTEM_TEAMPROJECT", "BUILD_DEFINITIONNAME",
				"BUILD_BUILDID")},
		{Name: "env", Docs: "Anything else", New: environment,
			Secrets: []string{"ECR_OIDC_TOKEN"},
			Advice:  advice("set ECR_OIDC_TOKEN to the token")},
		{Name: "file", Docs: "Kubernetes, EKS", New: file, // the secret is in the file
			Advice: advice("set ECR_OIDC_TOKEN_FILE to the path of the token file")},
		{Name: "aws", Docs: "A laptop", New: noToken,
			Secrets: []string{"AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY",
				"AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN"},
			Advice: advice("set ECR_OIDC_SOURCE to a source that has a token")},
	}
}

// Sources returns the valid values of ECR_OIDC_SOURCE, "auto" included.
func Sources() []string {
	names := []string{"auto"}
	for _, p := range providers() {
		names = append(names, p.Name)
	}
	return names
}

// ExpiredAdvice returns what to change when STS reports that the token of a source has expired.
func ExpiredAdvice(source string) string {
	if p, ok := findProvider(source); ok && p.ExpiredAdvice != "" {
		return p.ExpiredAdvice
	}
	return "have the CI issue a new token"
}

func findProvider(name string) (Provider, bool) {
	for _, p := range providers() {
		if p.Name == name {
			return p, true
		}
	}
	return Provider{}, false
}

// isSet returns a Detect function for a CI that sets the variable name. The value "false" counts as
// unset.
func isSet(name string) func(Env) string {
	return func(env Env) string {
		if value := env.Get(name); value != "" && !strings.EqualFold(value, "false") {
			return name
		}
		return ""
	}
}

// advice returns an Advice function for advice that does not depend on the environment.
func advice(text string) func(Env) string { return func(Env) string { return text } }

// jobNames returns a Job function that reads the names of the repository and the run from
// variables. When second is not "", the repository's name is in two variables.
func jobNames(first, second, run string) func(Env) (string, string) {
	return func(env Env) (string, string) {
		repository := env.Get(first)
		if second != "" {
			repository += "/" + env.Get(second)
		}
		return strings.Trim(repository, "/"), env.Get(run)
	}
}

// SessionNameChars are the characters other than letters and digits that STS allows in the name of
// a role session. A name has 2 to 64 characters (AssumeRoleWithWebIdentity, API reference).
const SessionNameChars = "_+=,.@-"

// SessionName returns the name of the role session, which CloudTrail records with each call. It
// consists of the source, repository and run of the job, and has at most 64 characters. A long
// repository is truncated, so that the name still identifies the run.
func (id Identity) SessionName() string {
	var repository, run string
	if id.job != nil {
		repository, run = id.job(id.env)
	} else { // a container may have a CI's variables, but not the one that identifies the CI
		for _, p := range providers() {
			if p.Job != nil && repository == "" && run == "" {
				repository, run = p.Job(id.env)
			}
		}
	}
	if repository == "" && run == "" {
		return "docker-credential-ecr-oidc"
	}
	if run != "" {
		run = "-" + truncateLeft(hyphenate(run), 24)
	}
	maxRepository := 64 - len(id.Name) - len(run) - 1
	return id.Name + "-" + truncateLeft(hyphenate(repository), maxRepository) + run
}

// hyphenate replaces each sequence of characters that STS does not allow in a session name with a
// hyphen.
func hyphenate(s string) string {
	words := strings.FieldsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' ||
			strings.ContainsRune(SessionNameChars, r))
	})
	return strings.Trim(strings.Join(words, "-"), "-")
}

// truncateLeft returns the last n bytes of s, or s when it is shorter. A result that is truncated
// has no leading hyphens.
func truncateLeft(s string, n int) string {
	if len(s) > n {
		return strings.TrimLeft(s[len(s)-n:], "-")
	}
	return s
}
