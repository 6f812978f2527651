package exchange

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"
)

type clientFunc func(*http.Request) (*http.Response, error)

func (f clientFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }

// TestPlainBody checks that the body that net/http receives has no WriteTo method. smithy-go's
// WriteTo fails after the body is closed, and net/http then closes the connection
// (aws-sdk-go-v2#1825).
func TestPlainBody(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options []func(*middleware.Stack) error
		want    bool
	}{
		// if this fails, the SDK is fixed and plainBody can be removed
		{"without plainBody", nil, true},
		{"with plainBody", []func(*middleware.Stack) error{plainBody}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bodies := 0
			client := sts.NewFromConfig(aws.Config{Region: "eu-west-2", APIOptions: tt.options,
				HTTPClient: clientFunc(func(r *http.Request) (*http.Response, error) {
					bodies++
					if _, ok := r.Body.(io.WriterTo); ok != tt.want {
						t.Errorf("the body has WriteTo: %v, want %v", ok, tt.want)
					}
					if b, err := io.ReadAll(r.Body); err != nil ||
						!strings.Contains(string(b), "WebIdentityToken=the-token") ||
						r.ContentLength != int64(len(b)) {
						t.Errorf("body %q, error %v, Content-Length %d", b, err,
							r.ContentLength)
					}
					return nil, io.ErrUnexpectedEOF
				})})
			client.AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
				RoleArn:          aws.String("arn:aws:iam::123456789012:role/ci"),
				RoleSessionName:  aws.String("test"),
				WebIdentityToken: aws.String("the-token"),
			}, func(o *sts.Options) {
				o.Retryer = retry.AddWithMaxBackoffDelay(retry.NewStandard(), time.Millisecond)
			})
			if bodies != 3 {
				t.Errorf("%d requests, want 3", bodies)
			}
		})
	}
}
