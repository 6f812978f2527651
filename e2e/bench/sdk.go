package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// sdk is the prefix of the AWS SDK's modules.
const sdk = "github.com/aws/"

// writePeerModule writes a module that requires the peer and the SDK versions of this program's
// go.mod. It returns the module's directory.
func writePeerModule(ctx context.Context, dir string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "mod", "edit", "-json").Output()
	if err != nil {
		return "", fmt.Errorf("reading go.mod: %w", err)
	}
	var goMod struct {
		Go      string
		Require []struct{ Path, Version string }
	}
	if err := json.Unmarshal(out, &goMod); err != nil {
		return "", fmt.Errorf("reading go.mod: %w", err)
	}
	var file bytes.Buffer
	fmt.Fprintf(&file, "module peer\n\ngo %s\n\nrequire %s %s\n", goMod.Go, peerModule, peerVersion)
	for _, module := range goMod.Require {
		if strings.HasPrefix(module.Path, sdk) {
			fmt.Fprintf(&file, "require %s %s\n", module.Path, module.Version)
		}
	}
	module := filepath.Join(dir, "peer")
	err = os.Mkdir(module, 0o700)
	if err == nil {
		err = os.WriteFile(filepath.Join(module, "go.mod"), file.Bytes(), 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("writing the peer's module: %w", err)
	}
	return module, nil
}

// checkSameSDK returns an error if two programs contain different versions of an SDK module, or if
// either contains none.
func checkSameSDK(helper, peer string) error {
	a, err := sdkVersions(helper)
	if err != nil {
		return err
	}
	b, err := sdkVersions(peer)
	if err != nil {
		return err
	}
	return compareSDK(a, b)
}

func compareSDK(helper, peer map[string]string) error {
	var errs []error
	for module, version := range peer {
		if helper[module] != "" && helper[module] != version {
			errs = append(errs, fmt.Errorf("the peer has %s %s, not %s", module, version, helper[module]))
		}
	}
	return errors.Join(errs...)
}

// sdkVersions returns the versions of the SDK modules in a program.
func sdkVersions(program string) (map[string]string, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, fmt.Errorf("reading the build information of %s: %w", filepath.Base(program), err)
	}
	versions := map[string]string{}
	for _, module := range info.Deps {
		if strings.HasPrefix(module.Path, sdk) {
			versions[module.Path] = module.Version
		}
	}
	if len(versions) == 0 {
		return nil, fmt.Errorf("%s was built without the AWS SDK", filepath.Base(program))
	}
	return versions, nil
}
