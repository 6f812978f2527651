package token

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
)

// TestDescribeTransportError checks that each cause has its own description and that only an
// untrusted certificate is not retryable.
func TestDescribeTransportError(t *testing.T) {
	seen := map[string]error{}
	for _, tt := range []struct {
		err       error
		retryable bool
	}{
		{context.DeadlineExceeded, true},
		{&tls.CertificateVerificationError{Err: errors.New("unknown authority")}, false},
		{&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}, true},
		{io.ErrUnexpectedEOF, true},
		{errors.New("malformed HTTP response"), true},
	} {
		retryable, why := describeTransportError(fmt.Errorf("Get URL: %w", tt.err))
		if retryable != tt.retryable || why == nil || why.Error() == "" || seen[why.Error()] != nil {
			t.Errorf("%v: retryable %v, %v", tt.err, retryable, why)
		}
		seen[why.Error()] = tt.err
	}
}
