package exchange

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
)

// TestTailBuffer checks that the last 64 KiB are kept, and that lastLine returns the last line with
// text.
func TestTailBuffer(t *testing.T) {
	var stderr tailBuffer
	for range 1000 {
		n, err := stderr.Write([]byte(strings.Repeat("x", 999) + "\n"))
		if n != 1000 || err != nil {
			t.Fatal(n, err)
		}
	}
	if len(stderr) != 64<<10 {
		t.Errorf("%d bytes, want 64 KiB", len(stderr))
	}
	for in, want := range map[string]string{
		"": "", "\n \n": "", "one": "one", "one\ntwo\r\n\n": "two",
	} {
		if got := tailBuffer(in).lastLine(); got != want {
			t.Errorf("the last line of %q is %q", in, got)
		}
	}
}

func TestOutputCounter(t *testing.T) {
	var stdout outputCounter
	if n, err := stdout.Write(make([]byte, maxProcessOutput)); n != maxProcessOutput || err != nil {
		t.Errorf("maximum output: %d, %v", n, err)
	}
	if _, err := stdout.Write([]byte("x")); err == nil {
		t.Error("no error for more than the maximum")
	}
}

// TestProcessErrorOmitsOutput checks that the error does not contain the command's stdout, which
// the SDK's error quotes.
func TestProcessErrorOmitsOutput(t *testing.T) {
	p := &process{stderr: tailBuffer("warning\n")}
	p.profile.Profile = "dev"
	parseErr := errors.New("parse failed of process output: {half-a-secret, error: x")
	err := p.processError(&processcreds.ProviderError{Err: parseErr}, nil)
	const want = `finding AWS credentials: the credential_process of profile "dev" ` +
		"did not print valid credentials: warning"
	if err == nil || err.Error() != want {
		t.Errorf("error %v", err)
	}
	if err := p.processError(errors.New("of STS"), nil); err != nil {
		t.Errorf("an error of another step: %v", err)
	}
}
