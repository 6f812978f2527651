package exchange

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
)

// The end of what a command said is kept, however much that was and however it came.
func TestTailBuffer(t *testing.T) {
	var said tailBuffer
	for range 1000 {
		if n, err := said.Write([]byte(strings.Repeat("x", 999) + "\n")); n != 1000 || err != nil {
			t.Fatal(n, err)
		}
	}
	if len(said) != 64<<10 {
		t.Errorf("%d bytes kept", len(said))
	}
	for in, want := range map[string]string{"": "", "\n \n": "", "one": "one", "one\ntwo\r\n\n": "two"} {
		if got := tailBuffer(in).lastLine(); got != want {
			t.Errorf("the last line of %q is %q", in, got)
		}
	}
}

func TestOutputCounter(t *testing.T) {
	var printed outputCounter
	if n, err := printed.Write(make([]byte, maxProcessOutput)); n != maxProcessOutput || err != nil {
		t.Errorf("as much as may be: %d, %v", n, err)
	}
	if _, err := printed.Write([]byte("x")); err == nil {
		t.Error("one more was taken")
	}
}

// Of an error that the SDK makes of a command's output nothing is shown.
func TestProcessErrorOmitsOutput(t *testing.T) {
	p := &process{stderr: tailBuffer("warning\n")}
	p.profile.Profile = "dev"
	err := p.processError(&processcreds.ProviderError{Err: errors.New("parse failed of process output: {half-a-secret, error: x")}, nil)
	if err == nil || err.Error() != `finding AWS credentials: the credential_process of profile "dev" did not print valid credentials: warning` {
		t.Errorf("%v", err)
	}
	if err := p.processError(errors.New("of STS"), nil); err != nil {
		t.Errorf("another's error: %v", err)
	}
}
