package exchange

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
)

// The end of what a command said is kept, however much that was and however it came.
func TestTail(t *testing.T) {
	var said tail
	for range 1000 {
		if n, err := said.Write([]byte(strings.Repeat("x", 999) + "\n")); n != 1000 || err != nil {
			t.Fatal(n, err)
		}
	}
	if len(said) != 64<<10 {
		t.Errorf("%d bytes kept", len(said))
	}
	for in, want := range map[string]string{"": "", "\n \n": "", "one": "one", "one\ntwo\r\n\n": "two"} {
		if got := tail(in).last(); got != want {
			t.Errorf("the last line of %q is %q", in, got)
		}
	}
}

func TestLimit(t *testing.T) {
	var printed limit
	if n, err := printed.Write(make([]byte, processOutput)); n != processOutput || err != nil {
		t.Errorf("as much as may be: %d, %v", n, err)
	}
	if _, err := printed.Write([]byte("x")); err == nil {
		t.Error("one more was taken")
	}
}

// Of an error that the SDK makes of a command's output nothing is shown.
func TestProcessOutputIsNotShown(t *testing.T) {
	p := &process{said: tail("warning\n")}
	p.profile.Profile = "dev"
	err := p.failed(&processcreds.ProviderError{Err: errors.New("parse failed of process output: {half-a-secret, error: x")}, nil)
	if err == nil || err.Error() != `finding AWS credentials: the credential_process of profile "dev" printed something that is not credentials: warning` {
		t.Errorf("%v", err)
	}
	if err := p.failed(errors.New("of STS"), nil); err != nil {
		t.Errorf("another's error: %v", err)
	}
}
