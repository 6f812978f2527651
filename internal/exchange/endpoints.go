package exchange

import (
	"context"
	"errors"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// Endpoints returns the URLs at which Get would ask STS and ECR; STS's is "" when there is no role to assume. It asks
// nobody: its calls are Get's own, over a client that notes where they lead and goes no further. The error says which
// setting is wrong.
func Endpoints(ctx context.Context, r Request) (sts, ecr string, err error) {
	cfg, err := r.byHand(ctx)
	if !r.Source.OIDC() && !r.Source.KeysOnly {
		cfg, err = r.load(ctx)
	}
	if err != nil {
		return "", "", err
	}
	var to notes
	cfg.HTTPClient = &to
	cfg.Retryer = func() aws.Retryer { return retry.AddWithMaxAttempts(aws.NopRetryer{}, 1) }
	cfg.Credentials = credentials.NewStaticCredentialsProvider("none", "none", "")
	if len(r.Plan.Roles) > 0 {
		if _, err = r.link(ctx, cfg, "none", false); to == "" {
			return "", "", err
		}
	}
	sts, to = string(to), ""
	if _, err = r.password(ctx, cfg); to == "" {
		return "", "", err
	}
	return sts, string(to), nil
}

// notes is an HTTP client that notes where it was to go.
type notes string

func (n *notes) Do(req *http.Request) (*http.Response, error) {
	u := *req.URL
	u.RawQuery = ""
	*n = notes(u.String())
	return nil, errors.New("not asked")
}
