package exchange

import (
	"errors"
	"strings"
	"testing"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"
)

// TestSignInErrorText checks that the error contains the reason why a login cannot be renewed.
func TestSignInErrorText(t *testing.T) {
	expired := &SignInError{Profile: "dev", Command: "aws login"}
	readOnly := &SignInError{Profile: "dev", Command: "aws login", Why: "cannot be\nrenewed"}
	if text := expired.Error(); !strings.HasSuffix(text, " has expired or does not exist") {
		t.Error(text)
	}
	if text := readOnly.Error(); !strings.HasSuffix(text, " has expired and cannot be renewed") {
		t.Error(text)
	}
}

// TestChainErrorTypes checks that the errors that doctor explains keep their types.
func TestChainErrorTypes(t *testing.T) {
	r := LoginInput{Identity: awsIdentity(), Env: environ()}
	for _, cause := range []error{&EndpointError{Service: "STS"}, &ProcessError{Profile: "dev"}} {
		joined := errors.Join(errors.New("x"), cause)
		if err := r.chainError(awsconfig.SharedConfig{Profile: "dev"}, joined); err != cause {
			t.Errorf("%T became %v", cause, err)
		}
	}
}
