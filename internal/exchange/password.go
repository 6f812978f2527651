package exchange

import (
	"context"
	"encoding/base64"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
)

// password asks for the password of every private registry in the region that the identity may use; registryIds, which
// once narrowed it, is deprecated and changes nothing (GetAuthorizationToken, API reference). It lives twelve hours
// whatever the role session behind it does.
func (r Request) password(ctx context.Context, cfg aws.Config) (Login, error) {
	if r.Plan.Registry.Public {
		return r.publicPassword(ctx, cfg)
	}
	client, err := r.ecr(cfg)
	if err != nil {
		return Login{}, err
	}
	r.Debug("asking ECR in %s for a password", cfg.Region)
	out, err := client.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return Login{}, r.refused(Password, "", err)
	}
	if len(out.AuthorizationData) == 0 {
		return Login{}, r.failed(Password, "", "ECR's answer has no password in it")
	}
	data := out.AuthorizationData[0]
	return r.login(data.AuthorizationToken, data.ExpiresAt, serverTime(out.ResultMetadata))
}

// publicPassword asks for public.ecr.aws's password.
func (r Request) publicPassword(ctx context.Context, cfg aws.Config) (Login, error) {
	client, err := r.ecrPublic(cfg)
	if err != nil {
		return Login{}, err
	}
	r.Debug("asking ECR Public in %s for a password", cfg.Region)
	out, err := client.GetAuthorizationToken(ctx, &ecrpublic.GetAuthorizationTokenInput{})
	if err != nil {
		return Login{}, r.refused(Password, "", err)
	}
	if out.AuthorizationData == nil {
		return Login{}, r.failed(Password, "", "ECR Public's answer has no password in it")
	}
	return r.login(out.AuthorizationData.AuthorizationToken, out.AuthorizationData.ExpiresAt, serverTime(out.ResultMetadata))
}

func (r Request) ecr(cfg aws.Config) (*ecr.Client, error) {
	var wrong error
	client := ecr.NewFromConfig(cfg, func(o *ecr.Options) {
		e := &o.EndpointOptions
		wrong = r.variant(ecr.ServiceID, o.BaseEndpoint, &e.UseFIPSEndpoint, &e.UseDualStackEndpoint)
	})
	return client, wrong
}

func (r Request) ecrPublic(cfg aws.Config) (*ecrpublic.Client, error) {
	var wrong error
	client := ecrpublic.NewFromConfig(cfg, func(o *ecrpublic.Options) {
		e := &o.EndpointOptions
		wrong = r.variant(ecrpublic.ServiceID, o.BaseEndpoint, &e.UseFIPSEndpoint, &e.UseDualStackEndpoint)
	})
	return client, wrong
}

// login reads an authorization token: base64 of "AWS:password".
func (r Request) login(encoded *string, expires *time.Time, now time.Time) (Login, error) {
	plain, err := base64.StdEncoding.DecodeString(aws.ToString(encoded))
	username, password, ok := strings.Cut(string(plain), ":")
	if err != nil || !ok || username == "" || password == "" || expires == nil {
		return Login{}, r.failed(Password, "", "ECR's answer has no password in it")
	}
	return Login{Username: username, Password: password, TTL: expires.Sub(now)}, nil
}
