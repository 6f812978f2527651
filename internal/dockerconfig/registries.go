package dockerconfig

import (
	"maps"
	"slices"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
)

// Registries returns the ECR registries that credHelpers assigns to a helper, each once, ordered by
// host. It does not include registries for which Docker uses its credsStore.
func (f *File) Registries(helper string) (regs []registry.Registry) {
	helpers := f.Helpers()
	for _, host := range slices.Sorted(maps.Keys(helpers)) {
		// The result contains reg, not the key, which may be another form of the host and contain
		// control characters.
		reg, ok := registry.Parse(host)
		if ok && helpers[host] == helper && !slices.Contains(regs, reg) {
			regs = append(regs, reg)
		}
	}
	return regs
}
