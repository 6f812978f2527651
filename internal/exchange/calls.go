package exchange

import (
	"context"
	"encoding/base64"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go/middleware"
)

// assumeRoleWithWebIdentity assumes a role with the job's token. The request is not signed. STS verifies the token's
// signature, its audience and the role's trust policy. policy is the session policy; "" for none.
func (r Request) assumeRoleWithWebIdentity(ctx context.Context, cfg aws.Config, role, policy string) (session, error) {
	client, err := r.sts(cfg)
	if err != nil {
		return session{}, err
	}
	r.Debug("assuming %s by web identity in %s", role, cfg.Region)
	out, err := client.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          aws.String(role),
		RoleSessionName:  aws.String(r.Settings.SessionName),
		WebIdentityToken: aws.String(r.token.Raw),
		DurationSeconds:  seconds(r.Settings.Duration),
		Policy:           optional(policy),
	})
	if err != nil {
		return session{}, r.refused(Role, role, err)
	}
	return r.session(Role, role, out.Credentials, out.ResultMetadata)
}

// assumeRole assumes a role with the credentials of the role before it, or with those of an "aws" source.
func (r Request) assumeRole(ctx context.Context, cfg aws.Config, role, policy string) (session, error) {
	client, err := r.sts(cfg)
	if err != nil {
		return session{}, err
	}
	r.Debug("assuming %s in %s", role, cfg.Region)
	out, err := client.AssumeRole(ctx, &sts.AssumeRoleInput{
		RoleArn:         aws.String(role),
		RoleSessionName: aws.String(r.Settings.SessionName),
		DurationSeconds: seconds(r.Settings.Duration),
		Policy:          optional(policy),
		ExternalId:      optional(r.Settings.ExternalID),
	})
	if err != nil {
		return session{}, r.refused(Link, role, err)
	}
	return r.session(Link, role, out.Credentials, out.ResultMetadata)
}

// session reads a role session from STS's response. How long it lasts is by AWS's clock.
func (r Request) session(step Step, role string, c *types.Credentials, metadata middleware.Metadata) (session, error) {
	if c == nil || aws.ToString(c.AccessKeyId) == "" || aws.ToString(c.SecretAccessKey) == "" || c.Expiration == nil {
		return session{}, r.failed(step, role, "STS's answer has no credentials in it")
	}
	keys := aws.Credentials{AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: aws.ToString(c.SessionToken)}
	return session{step: step, keys: keys, expires: true, life: c.Expiration.Sub(serverTime(metadata))}, nil
}

// password requests the password of every private registry in the region that the identity may use; registryIds, which
// once narrowed it, is deprecated and changes nothing (GetAuthorizationToken, API reference). It lasts twelve hours
// whatever the role session behind it does.
func (r Request) password(ctx context.Context, cfg aws.Config) (Credentials, error) {
	if r.Settings.Registry.Public {
		return r.publicPassword(ctx, cfg)
	}
	client, err := r.ecr(cfg)
	if err != nil {
		return Credentials{}, err
	}
	r.Debug("asking ECR in %s for a password", cfg.Region)
	out, err := client.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return Credentials{}, r.refused(Password, "", err)
	}
	if len(out.AuthorizationData) == 0 {
		return Credentials{}, r.failed(Password, "", "ECR's answer has no password in it")
	}
	data := out.AuthorizationData[0]
	return r.credentials(data.AuthorizationToken, data.ExpiresAt, serverTime(out.ResultMetadata))
}

// publicPassword requests the password of public.ecr.aws.
func (r Request) publicPassword(ctx context.Context, cfg aws.Config) (Credentials, error) {
	client, err := r.ecrPublic(cfg)
	if err != nil {
		return Credentials{}, err
	}
	r.Debug("asking ECR Public in %s for a password", cfg.Region)
	out, err := client.GetAuthorizationToken(ctx, &ecrpublic.GetAuthorizationTokenInput{})
	if err != nil {
		return Credentials{}, r.refused(Password, "", err)
	}
	if out.AuthorizationData == nil {
		return Credentials{}, r.failed(Password, "", "ECR Public's answer has no password in it")
	}
	return r.credentials(out.AuthorizationData.AuthorizationToken, out.AuthorizationData.ExpiresAt, serverTime(out.ResultMetadata))
}

// credentials reads an authorization token: base64 of "AWS:password".
func (r Request) credentials(encoded *string, expires *time.Time, now time.Time) (Credentials, error) {
	plain, err := base64.StdEncoding.DecodeString(aws.ToString(encoded))
	username, password, ok := strings.Cut(string(plain), ":")
	if err != nil || !ok || username == "" || password == "" || expires == nil {
		return Credentials{}, r.failed(Password, "", "ECR's answer has no password in it")
	}
	return Credentials{Username: username, Password: password, TTL: expires.Sub(now)}, nil
}

// serverTime returns AWS's own time of a response, from its Date header; ours when it sent none.
func serverTime(metadata middleware.Metadata) time.Time {
	if t, ok := awsmiddleware.GetServerTime(metadata); ok && !t.IsZero() {
		return t
	}
	return time.Now()
}

// optional returns nil for "", so that the parameter is not sent.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func seconds(d time.Duration) *int32 {
	if d == 0 {
		return nil
	}
	return aws.Int32(int32(d / time.Second)) // #nosec G115 -- config allows at most 12 hours
}
