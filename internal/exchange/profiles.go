package exchange

import (
	"slices"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/atomicfile"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// maxProfileFile is the maximum size of a file that Profiles reads, in bytes.
const maxProfileFile = 1 << 20

// Profiles returns the names of the profiles in the AWS configuration file and the AWS credentials
// file, sorted, each once. A file that cannot be read has none. The names are not sanitized.
func Profiles(env token.Env) []string {
	configFile, credentialsFile := ProfileFiles(env)
	names := sectionNames(credentialsFile)
	for _, section := range sectionNames(configFile) {
		kind, name, _ := strings.Cut(section, " ")
		switch {
		case section == "default":
			names = append(names, section)
		case kind == "profile": // others are sso-session and services
			names = append(names, strings.TrimSpace(name))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// sectionNames returns the names of the sections of an INI file. White space in a name becomes one
// space.
func sectionNames(path string) (names []string) {
	text, _, err := atomicfile.Read(path, maxProfileFile)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		section, found := strings.CutPrefix(line, "[") // an indented line belongs to a property
		section, _, closed := strings.Cut(section, "]")
		if found && closed {
			names = append(names, strings.Join(strings.Fields(section), " "))
		}
	}
	return names
}
