package doctor

import (
	"slices"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/helper"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// addIgnored adds the check of the settings that are set but not used, each with what is used instead,
// and the check of unknown variables.
func (d *Diagnosis) addIgnored(x helper.Examination, h helper.Helper) {
	if x.Resolved && !x.Anonymous {
		c, err := probe("reading the settings",
			func() (config.Config, error) { return config.Read(h.Env, h.Environ) })
		if err == nil {
			l := ignoredList{Examination: x, settings: c, env: h.Env}
			l.addOverridden()
			l.addRoles()
			l.addUnusable()
			l.addCredentials()
			if len(l.lines) > 0 {
				d.add("ignored", Note, "%s", strings.Join(l.lines, "\n")).Important = true
			}
		}
	}
	if warnings := config.UnknownVariables(h.Environ); len(warnings) > 0 {
		for i, warning := range warnings {
			warnings[i] = safetext.Sanitize(warning)
		}
		c := d.add("variables", Note, "%s", strings.Join(warnings, "\n"))
		c.Common, c.Important = true, true
	}
}

// ignoredList collects the settings that a get does not use.
type ignoredList struct {
	helper.Examination
	settings config.Config
	env      token.Env
	lines    []string
}

// add adds a line about a variable with its value. For a secret, value must be "".
func (l *ignoredList) add(name, value, instead string) {
	if value != "" {
		name += "=" + display(value)
	}
	l.lines = append(l.lines, name+" is ignored: "+instead)
}

// addSetting adds a line about the variable, or the line of the file, that sets a key.
func (l *ignoredList) addSetting(key string, v config.Value, instead string) {
	if strings.Contains(v.From, ":") { // FILE:LINE
		l.add(v.From+" ("+describeSetting(key, v)+")", "", instead)
		return
	}
	l.add(v.From, settingValue(key, v), instead)
}

// describeSetting returns a key with its value, such as "profile dev".
func describeSetting(key string, v config.Value) string {
	return strings.TrimSpace(strings.ReplaceAll(key, "_", " ") + " " +
		safetext.Sanitize(settingValue(key, v)))
}

// settingValue returns the value of a key. It returns "" for a session policy, which is long, and for
// an external ID, which must not be in a log.
func settingValue(key string, v config.Value) string {
	if key == "session_policy" || key == "external_id" {
		return ""
	}
	return strings.Join(v.Texts, ",")
}

// addOverridden adds the settings that a more specific setting overrides.
func (l *ignoredList) addOverridden() {
	for _, o := range l.settings.Overridden(l.Registry) {
		l.addSetting(o.Key, o.Set, describeSetting(o.Key, o.Used)+" from "+o.Used.From)
	}
}

// addRoles adds the standard role variables that another setting overrides.
func (l *ignoredList) addRoles() {
	for _, name := range []string{"ECR_ROLE_TO_ASSUME", "AWS_ROLE_ARN"} {
		arn := l.env.Get(name)
		pair := name == "AWS_ROLE_ARN" && !l.Identity.WebIdentityPair &&
			l.env.Get("AWS_WEB_IDENTITY_TOKEN_FILE") != ""
		switch {
		case arn == "" || l.Registry.Public || slices.Contains(l.Roles.ARNs, arn):
		case len(l.Roles.ARNs) > 0:
			l.add(name, arn, "role "+strings.Join(l.Roles.ARNs, ",")+" from "+l.Roles.From)
		case pair:
			l.add(name, arn, "it belongs to AWS_WEB_IDENTITY_TOKEN_FILE, which is not used")
		}
	}
}

// addUnusable adds the settings that have no effect on this identity.
func (l *ignoredList) addUnusable() {
	id := l.Identity
	noToken := "the AWS credentials are used, not an OIDC token"
	oidc := id.OIDC() || id.Name != "aws" // also if the token is missing
	for _, s := range []struct {
		key, instead string
		unused       bool
	}{
		{"profile", "source " + id.Name + " is used, not a profile", oidc},
		{"profile", "the keys in the environment are used", id.KeysOnly},
		{"audience", noToken, !oidc},
		{"token_file", "source " + id.Name + " is used", id.Name != "file"},
		{"session_name", "no role is assumed", len(l.Roles.ARNs) == 0},
		{"session_duration", "no role is assumed", len(l.Roles.ARNs) == 0},
		{"external_id", "only AssumeRole uses it, and no role is assumed by AssumeRole",
			len(l.Roles.ARNs) == 0 || oidc && len(l.Roles.ARNs) == 1},
	} {
		if v, ok := l.settings.Setting(l.Registry, s.key); ok && s.unused {
			l.addSetting(s.key, v, s.instead)
		}
	}
	if name := "ECR_OIDC_AZURE_SERVICE_CONNECTION"; id.Name != "azure" && l.env.Get(name) != "" {
		l.add(name, l.env.Get(name), "source "+id.Name+" is used")
	}
}

// addCredentials adds the variables of other identities that are not used. It omits their values, which
// can be secrets, and the variables that a CI sets.
func (l *ignoredList) addCredentials() {
	id := l.Identity
	used := "source " + id.Name + " is used"
	switch {
	case id.KeysOnly:
		used = "the AWS keys in the environment are used"
	case id.Name == "aws":
		used = describeCredentials(l.Examination, l.env) + " is used"
		l.addProfiles(used)
	}
	for _, name := range id.Ignored() {
		onRunner := id.CI && !id.Explicit && slices.Contains(runnerVariables, name)
		if !isCIVariable(name) && !onRunner {
			l.add(name, "", used)
		}
	}
}

// addProfiles adds the variables of the SDK's default chain that other credentials override.
func (l *ignoredList) addProfiles(used string) {
	profile := l.Settings.Identity.Profile
	id, secret := l.env.Get("AWS_ACCESS_KEY_ID"), l.env.Get("AWS_SECRET_ACCESS_KEY")
	switch {
	case id != "" && secret == "":
		l.lines = append(l.lines, "AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not: "+used)
	case id == "" && secret != "":
		l.lines = append(l.lines, "AWS_SECRET_ACCESS_KEY is set, AWS_ACCESS_KEY_ID is not: "+used)
	case id != "" && profile != "":
		l.add("AWS_ACCESS_KEY_ID", "", used)
	}
	for _, name := range []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE"} {
		value := l.env.Get(name)
		if value != "" && value != profile &&
			!strings.HasPrefix(used, "profile "+display(value)+" ") {
			l.add(name, value, used)
		}
	}
}

// isCIVariable reports whether a variable identifies a CI. The CI sets it, not the user.
func isCIVariable(name string) bool {
	return !strings.HasPrefix(name, "AWS_") && !strings.HasPrefix(name, "ECR_OIDC_")
}
