package cli

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/suggest"
)

// flagError returns the usage error for an error of the flag parser. For an unknown flag it suggests
// the most similar flag.
func flagError(command *cobra.Command, err error) error {
	prefix, hint := "", ""
	if command.HasParent() {
		prefix = command.Name() + ": "
	}
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var names []string
		command.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if nearest := suggest.Nearest(unknown.GetSpecifiedName(), names); nearest != "" {
			hint = "; did you mean --" + nearest + "?"
		}
	}
	return usageErrorf("%s%v%s", prefix, err, hint)
}

// rejectEmptyFlags returns a usage error if the value of a flag is empty. Such a value is usually an
// unset variable of a script. If it were ignored, another role or file would be used.
func rejectEmptyFlags(command *cobra.Command, _ []string) (err error) {
	command.Flags().Visit(func(f *pflag.Flag) {
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		isEmpty := func(value string) bool { return strings.TrimSpace(value) == "" }
		if err == nil && (len(values) == 0 || slices.ContainsFunc(values, isEmpty)) {
			err = usageErrorf("%s: the value of --%s is empty", command.Name(), f.Name)
		}
	})
	return err
}
