package cli

import (
	"slices"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// definition is a name and its description, such as a variable and its meaning. A definition without
// a name is a paragraph of the section.
type definition struct{ name, text string }

// reference contains the sections of a command's help and man page that follow its flags.
type reference struct{ environment, files, exitStatus []definition }

// section is one section of a reference.
type section struct {
	title       string
	definitions []definition
}

func (r reference) sections() []section {
	return []section{
		{"Environment", r.environment},
		{"Files", r.files},
		{"Exit status", r.exitStatus},
	}
}

// Names of definitions that several commands share.
const (
	standardRoles    = "ECR_ROLE_TO_ASSUME, AWS_ROLE_ARN"
	tokenVariables   = "ECR_OIDC_TOKEN, ECR_OIDC_TOKEN_FILE"
	profileVariables = "ECR_OIDC_PROFILE, ECR_OIDC_PROFILE_<account>"
	awsFiles         = "~/.aws/config, ~/.aws/credentials"
	dockerFile       = "~/.docker/config.json"
	settingsFile     = "~/.docker/ecr-oidc.yaml"
	cacheDir         = "~/.cache/ecr-oidc-UID"
	allVariables     = "For all variables: docker-credential-ecr-oidc --help"
)

// variables lists the helper's variables.
func variables() []definition {
	return []definition{
		{"ECR_OIDC_ROLE", "role to assume: an ARN, or a name in the registry's own account; several, " +
			"separated by commas, are a chain"},
		{"ECR_OIDC_ROLE_<account>", "role for the registries of one account"},
		{"ECR_OIDC_ROLE_PUBLIC", "role for public.ecr.aws; without it, access is anonymous"},
		{standardRoles, "role to assume, as an ARN, if no other setting names one"},
		{"ECR_OIDC_SOURCE", "source of the identity: " + strings.Join(token.Sources(), ", ")},
		{tokenVariables, "OIDC token, or the path of a file that contains it"},
		{"ECR_OIDC_AUDIENCE", "audience of the OIDC token"},
		{"ECR_OIDC_AZURE_SERVICE_CONNECTION", "ID of the Azure Pipelines service connection"},
		{profileVariables, "AWS profile for source aws, for all accounts or for one"},
		{"ECR_OIDC_SESSION_NAME", "name of the role session"},
		{"ECR_OIDC_SESSION_DURATION", "duration of the role session: 900 to 43200 seconds, or 15m " +
			"to 12h"},
		{"ECR_OIDC_SESSION_POLICY", "session policy of the last role: pull, or a policy in JSON"},
		{"ECR_OIDC_EXTERNAL_ID", "external ID for the roles that are assumed by AssumeRole"},
		{"ECR_OIDC_CONFIG", "path of ecr-oidc.yaml"},
		{"ECR_OIDC_CACHE", "off disables the cache"},
		{"ECR_OIDC_CACHE_DIR", "directory of the cache"},
		{"ECR_OIDC_STORED_LOGINS", "off ignores the logins that another tool stored"},
		{"ECR_OIDC_ALLOW_HTTP_ENDPOINTS", "on allows custom endpoints with http, for test servers"},
		{"ECR_OIDC_DEBUG", "1 writes each step to stderr, without secrets"},
		{"DOCKER_CONFIG", "directory of Docker's config.json; default ~/.docker"},
		{"", "The first of these that has a setting applies: the variable for the account, the " +
			"file's entry for the region of the account, the file's entry for the account, the " +
			"variable for all accounts, the file's default. AWS's variables, such as AWS_PROFILE " +
			"and AWS_ENDPOINT_URL, keep their meaning."},
	}
}

// files lists the files of the helper.
func files() []definition {
	return []definition{
		{dockerFile, "Docker's configuration; credHelpers and credsStore name the helper ecr-oidc"},
		{settingsFile, "settings for accounts and their regions; ECR_OIDC_CONFIG names another " +
			"file"},
		{awsFiles, "AWS profiles, for source aws"},
		{cacheDir, "encrypted logins; on macOS in ~/Library/Caches, on Windows in %LocalAppData%, in " +
			"GitHub Actions in RUNNER_TEMP"},
		{"RUNNER_TEMP/ecr-oidc-debug-UID.log", "debug lines, if RUNNER_DEBUG is 1 and " +
			"ECR_OIDC_DEBUG is not set"},
	}
}

// pick returns the definitions with these names, in the order of all.
func pick(all []definition, names ...string) []definition {
	return slices.DeleteFunc(all, func(d definition) bool { return !slices.Contains(names, d.name) })
}

// status returns the exit codes of a command.
func status(success, failure string) []definition {
	return []definition{{"0", success}, {"1", failure}, {"2", "the command line is wrong"}}
}

// referenceOf returns the reference of a command. table: one case for each command.
func referenceOf(command string) reference {
	login := reference{
		environment: append(pick(variables(), "ECR_OIDC_ROLE", standardRoles, "ECR_OIDC_SOURCE",
			profileVariables, "ECR_OIDC_CONFIG", "ECR_OIDC_DEBUG"), definition{"", allVariables}),
		files: pick(files(), settingsFile, awsFiles, cacheDir),
	}
	switch command {
	case "configure":
		return reference{
			environment: append(pick(variables(), "DOCKER_CONFIG", "ECR_OIDC_CONFIG"),
				definition{"", allVariables}),
			files: append(pick(files(), dockerFile, settingsFile, awsFiles),
				definition{
					"~/.config/containers/auth.json", "Podman's configuration, for --authfile",
				}),
			exitStatus: status("the configuration is written, perhaps with warnings",
				"the configuration cannot be read or written"),
		}
	case "check":
		login.environment = append(pick(variables(), "DOCKER_CONFIG"), login.environment...)
		login.files = pick(files(), dockerFile, settingsFile, awsFiles, cacheDir)
		login.exitStatus = status("every check succeeds", "a check fails")
		return login
	case "doctor":
		login.environment = append(pick(variables(), "DOCKER_CONFIG"), login.environment...)
		login.files = pick(files(), dockerFile, settingsFile, awsFiles, cacheDir)
		login.exitStatus = status("every login would succeed; with --claims: the policy admits the "+
			"claims, or no policy is given",
			"a login would fail, or the policy does not admit the claims")
		return login
	case "password":
		login.environment = append([]definition{
			{"GITHUB_ACTIONS", "true masks the password in the log of a GitHub job"},
		}, login.environment...)
		login.exitStatus = status("the password is printed", "the login fails")
		return login
	case "get":
		login.exitStatus = status("the login is printed",
			"the login fails, or there is no login for the host")
		return login
	case "store":
		return reference{
			environment: pick(variables(), "ECR_OIDC_CACHE", "ECR_OIDC_CACHE_DIR",
				"ECR_OIDC_CONFIG"),
			files:      pick(files(), settingsFile, cacheDir),
			exitStatus: status("the login is stored", "the login cannot be stored"),
		}
	case "erase":
		return reference{
			environment: pick(variables(), "ECR_OIDC_CACHE_DIR", "ECR_OIDC_CONFIG"),
			files:       pick(files(), settingsFile, cacheDir),
			exitStatus: status("the password is deleted, or there is none",
				"the password cannot be deleted"),
		}
	case "list":
		return reference{
			environment: pick(variables(), "DOCKER_CONFIG", "ECR_OIDC_CONFIG"),
			files:       pick(files(), dockerFile, settingsFile),
			exitStatus: status("the hosts are printed", "as Docker's credsStore: ecr-oidc.yaml cannot "+
				"be read, or the helper in creds_store fails"),
		}
	case "completion", "help", "version":
		return reference{
			environment: []definition{{"", "This command reads no variable."}},
			files:       []definition{{"", "This command reads and writes no file."}},
			exitStatus:  status("the output is written", "the output cannot be written"),
		}
	}
	return reference{variables(), files(), status("the command succeeds", "the command fails")}
}
