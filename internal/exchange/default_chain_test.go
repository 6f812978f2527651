package exchange

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"
)

// TestChainErrorRedacted checks that an error omits AWS's message about a signature, which quotes a
// session token that only the SDK has. In other messages the secrets of the profile are redacted.
func TestChainErrorRedacted(t *testing.T) {
	const secret, token = "the-secret-key-of-the-file", "the-session-token-of-the-file"
	const signature = "should have been 'x-amz-security-token:ANOTHER-SESSIONS-TOKEN'"
	base := awsconfig.SharedConfig{Profile: "base",
		Credentials: aws.Credentials{SecretAccessKey: secret, SessionToken: token}}
	dev := awsconfig.SharedConfig{Profile: "dev", RoleARN: "arn:aws:iam::123456789012:role/x",
		Source: &base}
	for _, tt := range []struct{ code, message, want string }{
		{"SignatureDoesNotMatch", signature, "SignatureDoesNotMatch"},
		{"InvalidSignatureException", signature, "InvalidSignatureException"},
		{"InvalidClientTokenId", "of " + token + " and " + secret,
			"InvalidClientTokenId: of *** and ***"},
		{"AccessDenied", "User is not authorized", "AccessDenied: User is not authorized"},
	} {
		api := &smithy.GenericAPIError{Code: tt.code, Message: tt.message}
		err := LoginInput{Env: environ()}.chainError(dev, api)
		want := `finding AWS credentials in profile "dev": ` + tt.want
		if err == nil || err.Error() != want || strings.Contains(err.Error(), "TOKEN'") {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
