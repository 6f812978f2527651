package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestWritePeerModule checks that the module requires the released peer and the SDK versions of go.mod.
func TestWritePeerModule(t *testing.T) {
	module, err := writePeerModule(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	generated, err := os.ReadFile(filepath.Join(module, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	goMod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{peerModule + " " + peerVersion}
	want = append(want, regexp.MustCompile(`github\.com/aws/\S+ v\S+`).FindAllString(string(goMod), -1)...)
	for _, requirement := range want {
		if !strings.Contains(string(generated), "require "+requirement+"\n") {
			t.Errorf("go.mod does not require %s:\n%s", requirement, generated)
		}
	}
	if len(want) < 10 {
		t.Errorf("only %d modules: %q", len(want), want)
	}
}

func TestSameSDK(t *testing.T) {
	helper := map[string]string{"github.com/aws/sts": "v2", "github.com/aws/signin": "v1"}
	if err := compareSDK(helper, map[string]string{"github.com/aws/sts": "v2",
		"github.com/aws/s3": "v9"}); err != nil {
		t.Errorf("the same versions: %v", err)
	}
	err := compareSDK(helper, map[string]string{"github.com/aws/sts": "v1"})
	if err == nil || err.Error() != "the peer has github.com/aws/sts v1, not v2" {
		t.Errorf("another version: %v", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := checkSameSDK(self, self); err == nil ||
		!strings.HasSuffix(err.Error(), "was built without the AWS SDK") {
		t.Errorf("a program without the SDK: %v", err)
	}
}
