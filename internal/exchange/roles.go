package exchange

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go/middleware"
)

// webIdentity assumes a role with the job's token. The request is not signed; the token is all it needs. STS verifies
// the token's signature, its audience and the role's trust policy.
func (r Request) webIdentity(ctx context.Context, cfg aws.Config, role string, last bool) (session, error) {
	client, err := r.sts(cfg)
	if err != nil {
		return session{}, err
	}
	r.Debug("assuming %s by web identity in %s", role, cfg.Region)
	out, err := client.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          aws.String(role),
		RoleSessionName:  aws.String(r.Plan.SessionName),
		WebIdentityToken: aws.String(r.Token.Raw),
		DurationSeconds:  seconds(r.Plan.Duration),
		Policy:           r.policy(last),
	})
	if err != nil {
		return session{}, r.refused(Role, role, err)
	}
	return r.session(Role, role, out.Credentials, out.ResultMetadata)
}

// link assumes the next role with the credentials of the one before, or with those of an "aws" source.
func (r Request) link(ctx context.Context, cfg aws.Config, role string, last bool) (session, error) {
	client, err := r.sts(cfg)
	if err != nil {
		return session{}, err
	}
	r.Debug("assuming %s in %s", role, cfg.Region)
	out, err := client.AssumeRole(ctx, &sts.AssumeRoleInput{
		RoleArn:         aws.String(role),
		RoleSessionName: aws.String(r.Plan.SessionName),
		DurationSeconds: seconds(r.Plan.Duration),
		Policy:          r.policy(last),
		ExternalId:      text(r.Plan.ExternalID),
	})
	if err != nil {
		return session{}, r.refused(Link, role, err)
	}
	return r.session(Link, role, out.Credentials, out.ResultMetadata)
}

// policy is the session policy for a role: it is for the last one alone, whose session asks for the password.
func (r Request) policy(last bool) *string {
	if !last {
		return nil
	}
	return text(r.Plan.Policy)
}

func (r Request) sts(cfg aws.Config) (*sts.Client, error) {
	var wrong error
	client := sts.NewFromConfig(cfg, func(o *sts.Options) {
		e := &o.EndpointOptions
		wrong = r.variant(sts.ServiceID, o.BaseEndpoint, &e.UseFIPSEndpoint, &e.UseDualStackEndpoint)
	})
	return client, wrong
}

// session reads a role session from STS's answer. How long it lasts is by AWS's clock, not ours.
func (r Request) session(step Step, role string, c *types.Credentials, metadata middleware.Metadata) (session, error) {
	if c == nil || aws.ToString(c.AccessKeyId) == "" || aws.ToString(c.SecretAccessKey) == "" || c.Expiration == nil {
		return session{}, r.failed(step, role, "STS's answer has no credentials in it")
	}
	keys := aws.Credentials{AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: aws.ToString(c.SessionToken)}
	return session{step: step, keys: keys, expires: true, life: c.Expiration.Sub(serverTime(metadata))}, nil
}

// serverTime is AWS's own time of an answer, from its Date header; ours where it sent none.
func serverTime(metadata middleware.Metadata) time.Time {
	if t, ok := awsmiddleware.GetServerTime(metadata); ok && !t.IsZero() {
		return t
	}
	return time.Now()
}

// text is a parameter that AWS takes or does not get.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func seconds(d time.Duration) *int32 {
	if d == 0 {
		return nil
	}
	return aws.Int32(int32(d / time.Second)) // #nosec G115 -- our configuration takes no more than 12 hours
}
