package token

import (
	"context"
	"net/http"
	"strings"
)

// Env looks up an environment variable, as os.LookupEnv does.
type Env func(name string) (value string, set bool)

// Get returns the value of a variable without the space around it. Empty means unset: CIs expand a
// missing secret to the empty string, and configure-aws-credentials "unsets" its variables that
// way.
func (e Env) Get(name string) string {
	value, _ := e(name)
	return strings.TrimSpace(value)
}

// DescribeMissing describes a variable without a value, for error messages: it is not set, or set but empty.
func (e Env) DescribeMissing(name string) string {
	if _, set := e(name); set {
		return name + " is set but empty"
	}
	return name + " is not set"
}

// firstMissing returns Missing for the first of these variables that has no value; "" when all have
// one.
func (e Env) firstMissing(names ...string) string {
	for _, name := range names {
		if e.Get(name) == "" {
			return e.DescribeMissing(name)
		}
	}
	return ""
}

// Provider is one source of an identity: a CI, a token that the user supplies, or the AWS SDK's
// credential chain. What differs between CIs is in this table and in the functions that it names.
// Identify has special cases for gitlab, whose token may be in ECR_OIDC_TOKEN, and for env, file
// and aws.
type Provider struct {
	Name          string           // value of ECR_OIDC_SOURCE
	Label         string           // the CI's own name, for messages; "" when it is not a CI
	Docs          string           // heading of its section in docs/sources.md
	Detect        func(Env) string // returns the variable that identifies the CI; "" for another CI
	Secrets       []string         // variables that hold a secret
	URL           string           // variable with the URL that issues tokens; its password is redacted
	Advice        func(Env) string // what to change when there is no token
	ExpiredAdvice string           // what to change when STS reports an expired token; "" for the usual
	Hint          func(Env) Hint   // explains a missing token further; nil when there is nothing to add

	// Job returns the names in the role session's name; nil when the job has neither.
	Job func(Env) (repository, run string)

	// New reads the environment, and the token's file if there is one. The text says why there is
	// no token; "" when there is one.
	New func(Env, Settings) (Source, string)
}

// Hint explains why a job has no token, for doctor. The zero Hint explains nothing.
type Hint struct {
	Name, Text, Next string

	NoSecrets bool // the CI gives the job no secrets either, which may be why it has no role
}

// Source is where a job's OIDC token comes from. The zero Source has none.
type Source struct {
	Token         fetch  // returns the token
	Renew         fetch  // returns a newer one after ExpiredToken; nil when there is only the one
	OnDemand      bool   // the CI makes the token when it is requested, so its issue time is the CI's time now
	Audience      string // the audience that is requested by default; "" when it cannot be requested
	Origin        string // the variable, file or CI that the token comes from, for messages
	Secret        string // known to this job alone; seals the cache. "" when there is none
	CacheKeyInput string // what selects the token, for the cache key
}

// fetch gets a token. It blocks until ctx is done at the latest.
type fetch func(ctx context.Context, client *http.Client, audience string) (string, error)

// providers returns the sources in the order in which they are detected. GitHub is first, because
// its runners run on machines of other CIs (sigstore/cosign pkg/providers/all has the same order
// for the same reason).
func providers() []Provider {
	return []Provider{
		{Name: "github", Label: "GitHub", Docs: "GitHub Actions", Detect: detectGitHub, New: github,
			Secrets: []string{"ACTIONS_ID_TOKEN_REQUEST_TOKEN"}, URL: "ACTIONS_ID_TOKEN_REQUEST_URL",
			Advice: githubAdvice, Hint: githubHint,
			Job: job("GITHUB_REPOSITORY", "", "GITHUB_RUN_ID")},
		{Name: "circleci", Label: "CircleCI", Docs: "CircleCI", Detect: isSet("CIRCLECI"), New: circleci,
			Secrets: []string{"CIRCLE_OIDC_TOKEN", "CIRCLE_OIDC_TOKEN_V2"},
			Advice:  advice(circleciAdvice), Hint: circleciHint, ExpiredAdvice: circleciExpiredAdvice,
			Job: job("CIRCLE_PROJECT_USERNAME", "CIRCLE_PROJECT_REPONAME", "CIRCLE_BUILD_NUM")},
		{Name: "gitlab", Label: "GitLab", Docs: "GitLab", Detect: isSet("GITLAB_CI"), New: gitlab,
			Secrets: []string{"ECR_OIDC_TOKEN", "STS_AMAZONAWS_COM_ID_TOKEN"},
			Advice:  advice("give the job `id_tokens: {ECR_OIDC_TOKEN: {aud: sts.amazonaws.com}}`"),
			Job:     job("CI_PROJECT_PATH", "", "CI_JOB_ID")},
		{Name: "buildkite", Label: "Buildkite", Docs: "Buildkite",
			Detect: isSet("BUILDKITE"), New: buildkite,
			Secrets: []string{"BUILDKITE_AGENT_ACCESS_TOKEN"}, URL: "BUILDKITE_AGENT_ENDPOINT",
			Advice: advice("pass BUILDKITE_JOB_ID and BUILDKITE_AGENT_ACCESS_TOKEN on to where Docker runs"),
			Job: job("BUILDKITE_ORGANIZATION_SLUG", "BUILDKITE_PIPELINE_SLUG",
				"BUILDKITE_BUILD_NUMBER")},
		{Name: "azure", Label: "Azure Pipelines", Docs: "Azure Pipelines",
			Detect: isSet("TF_BUILD"), New: azure,
			Secrets: []string{"SYSTEM_ACCESSTOKEN"}, URL: "SYSTEM_OIDCREQUESTURI",
			Advice: azureAdvice,
			Job:    job("SYSTEM_TEAMPROJECT", "BUILD_DEFINITIONNAME", "BUILD_BUILDID")},
		{Name: "env", Docs: "Anything else", New: environment,
			Secrets: []string{"ECR_OIDC_TOKEN"}, Advice: advice("set ECR_OIDC_TOKEN to the token")},
		{Name: "file", Docs: "Kubernetes, EKS", New: file, // its secret is in the file
			Advice: advice("set ECR_OIDC_TOKEN_FILE to the file that holds the token")},
		{Name: "aws", Docs: "A laptop", New: noToken,
			Secrets: []string{"AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SESSION_TOKEN",
				"AWS_CONTAINER_AUTHORIZATION_TOKEN"},
			Advice: advice("set ECR_OIDC_SOURCE to a source that has a token")},
	}
}

// Sources returns the values of ECR_OIDC_SOURCE.
func Sources() []string {
	names := []string{"auto"}
	for _, p := range providers() {
		names = append(names, p.Name)
	}
	return names
}

// ExpiredAdvice returns what to change when STS reports the token of a source as expired.
func ExpiredAdvice(source string) string {
	if p, ok := find(source); ok && p.ExpiredAdvice != "" {
		return p.ExpiredAdvice
	}
	return "have the CI issue a new token"
}

func find(name string) (Provider, bool) {
	for _, p := range providers() {
		if p.Name == name {
			return p, true
		}
	}
	return Provider{}, false
}

// isSet detects a CI by a variable that it sets; "false" counts as unset.
func isSet(name string) func(Env) string {
	return func(env Env) string {
		if value := env.Get(name); value != "" && !strings.EqualFold(value, "false") {
			return name
		}
		return ""
	}
}

func advice(text string) func(Env) string { return func(Env) string { return text } }

// job reads the names of the repository and the run. The repository's is in two parts when second is not "".
func job(first, second, run string) func(Env) (string, string) {
	return func(env Env) (string, string) {
		repository := env.Get(first)
		if second != "" {
			repository += "/" + env.Get(second)
		}
		return strings.Trim(repository, "/"), env.Get(run)
	}
}

// SessionNameChars are the characters that STS allows in a role session's name beside letters and
// digits, of which there may be 2 to 64 in all (AssumeRoleWithWebIdentity, API reference).
const SessionNameChars = "_+=,.@-"

// SessionName returns the role session's name, which CloudTrail shows beside each call: source,
// repository and run of the job, with at most 64 characters. A long repository is shortened, so
// that the run can still be found.
func (id Identity) SessionName() string {
	var repository, run string
	if id.job != nil {
		repository, run = id.job(id.env)
	} else { // a container may have a CI's variables without the one that it is detected by
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
		run = "-" + last(hyphenate(run), 24)
	}
	room := 64 - len(id.Name) - len(run) - 1
	return id.Name + "-" + last(hyphenate(repository), room) + run
}

// hyphenate replaces each run of characters that a session's name may not have by a hyphen.
func hyphenate(s string) string {
	words := strings.FieldsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' ||
			strings.ContainsRune(SessionNameChars, r))
	})
	return strings.Trim(strings.Join(words, "-"), "-")
}

// last returns the last n bytes of s at most.
func last(s string, n int) string {
	if len(s) > n {
		return strings.TrimLeft(s[len(s)-n:], "-")
	}
	return s
}
