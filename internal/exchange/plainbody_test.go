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

// net/http must not find a WriteTo on a request's body: smithy-go's fails once the body is closed, and the connection
// with it (aws-sdk-go-v2#1825).
func TestPlainBody(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options []func(*middleware.Stack) error
		want    bool
	}{
		{"as the SDK does it", nil, true}, // when this is false, the SDK is mended and plainBody can go
		{"as we do it", []func(*middleware.Stack) error{plainBody}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bodies := 0
			client := sts.NewFromConfig(aws.Config{Region: "eu-west-2", APIOptions: tt.options, HTTPClient: clientFunc(func(r *http.Request) (*http.Response, error) {
				bodies++
				if _, ok := r.Body.(io.WriterTo); ok != tt.want {
					t.Errorf("the body that net/http gets has a WriteTo: %v, want %v", ok, tt.want)
				}
				if b, err := io.ReadAll(r.Body); err != nil || !strings.Contains(string(b), "WebIdentityToken=the-token") || r.ContentLength != int64(len(b)) {
					t.Errorf("the body reads as %q, %v, with Content-Length %d", b, err, r.ContentLength)
				}
				return nil, io.ErrUnexpectedEOF
			})})
			client.AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
				RoleArn: aws.String("arn:aws:iam::123456789012:role/ci"), RoleSessionName: aws.String("test"), WebIdentityToken: aws.String("the-token"),
			}, func(o *sts.Options) { o.Retryer = retry.AddWithMaxBackoffDelay(retry.NewStandard(), time.Millisecond) })
			if bodies != 3 {
				t.Errorf("%d requests, want the first and two more tries", bodies)
			}
		})
	}
}
