package exchange

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"
)

// What AWS says of a signature that the SDK's own chain made quotes a session token that we never saw; and what it says
// of anything else may quote the file's.
func TestChainErrorRedacted(t *testing.T) {
	const secret, token = "the-secret-key-of-the-file", "the-session-token-of-the-file"
	base := awsconfig.SharedConfig{Profile: "base", Credentials: aws.Credentials{SecretAccessKey: secret, SessionToken: token}}
	dev := awsconfig.SharedConfig{Profile: "dev", RoleARN: "arn:aws:iam::123456789012:role/x", Source: &base}
	for _, tt := range []struct{ code, words, want string }{
		{"SignatureDoesNotMatch", "should have been 'x-amz-security-token:ANOTHER-SESSIONS-TOKEN'", "SignatureDoesNotMatch"},
		{"InvalidSignatureException", "should have been 'x-amz-security-token:ANOTHER-SESSIONS-TOKEN'", "InvalidSignatureException"},
		{"InvalidClientTokenId", "of " + token + " and " + secret, "InvalidClientTokenId: of *** and ***"},
		{"AccessDenied", "User is not authorized", "AccessDenied: User is not authorized"},
	} {
		err := Request{Env: func(string) (string, bool) { return "", false }}.chainError(dev, &smithy.GenericAPIError{Code: tt.code, Message: tt.words})
		if want := `finding AWS credentials in profile "dev": ` + tt.want; err == nil || err.Error() != want || strings.Contains(err.Error(), "TOKEN'") {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
