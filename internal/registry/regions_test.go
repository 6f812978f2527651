package registry

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Regions has the regions of the AWS SDK, which has no exported list of them. An update of the SDK
// that adds a region makes this test fail.
func TestRegions(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}",
		"github.com/aws/aws-sdk-go-v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)),
		"internal/endpoints/awsrulesfn/partitions.json"))
	if err != nil {
		t.Fatal(err)
	}
	var sdk struct {
		Partitions []struct{ Regions map[string]any }
	}
	if err := json.Unmarshal(text, &sdk); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, p := range sdk.Partitions {
		for region := range p.Regions {
			if !strings.HasSuffix(region, "-global") { // not a region of any registry
				want[region] = true
			}
		}
	}
	if got := Regions(); !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
		t.Errorf("%q, want %q", got, slices.Sorted(maps.Keys(want)))
	}
	for _, region := range Regions() {
		if _, ok := Host("123456789012", region); !ok {
			t.Errorf("there is no host in %s", region)
		}
	}
}
