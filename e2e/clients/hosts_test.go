//go:build clients

package clients

import (
	"maps"
	"slices"
	"testing"
)

// TestHosts checks that each form of a registry's host name uses the STS and ECR endpoints of its
// region and variant, and no other host.
func TestHosts(t *testing.T) {
	for _, c := range []struct{ registry, sts, ecr string }{
		{"123456789012.dkr.ecr.eu-west-2.amazonaws.com", "sts.eu-west-2.amazonaws.com",
			"api.ecr.eu-west-2.amazonaws.com"},
		{"123456789012.dkr.ecr.us-east-1.amazonaws.com", "sts.us-east-1.amazonaws.com",
			"api.ecr.us-east-1.amazonaws.com"},
		{"123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", "sts-fips.us-east-1.amazonaws.com",
			"api.ecr-fips.us-east-1.amazonaws.com"},
		{"123456789012.dkr-ecr.eu-west-2.on.aws", "sts.eu-west-2.api.aws", "ecr.eu-west-2.api.aws"},
		{"123456789012.dkr-ecr-fips.us-east-1.on.aws", "sts-fips.us-east-1.api.aws",
			"ecr-fips.us-east-1.api.aws"},
	} {
		t.Run(c.registry, func(t *testing.T) {
			j := newJob(t, trustedJob(), c.registry)
			aws.ResetCalls()
			a, err := j.get(c.registry)
			check(t, err)
			if a.Username != "AWS" || a.Secret == "" {
				t.Errorf("got user %q and a password of %d bytes", a.Username, len(a.Secret))
			}
			want := map[string][]string{
				"oidc": {"run-actions-1-azure-eastus.actions.githubusercontent.com"},
				"sts":  {c.sts},
				"ecr":  {c.ecr},
			}
			if got := hostsByService(); !maps.EqualFunc(got, want, slices.Equal) {
				t.Errorf("called %v, want %v", got, want)
				for _, c := range aws.Calls() {
					t.Logf("%s %s %s: %d in %v", c.Host, c.Op, c.Detail, c.Status, c.Duration)
				}
			}
			t.Run("push and pull", func(t *testing.T) {
				pushAndPullCrane(t, j, need(t, "crane"), c.registry)
			})
		})
	}
}

// hostsByService returns the hosts of all recorded calls, in order.
func hostsByService() map[string][]string {
	hosts := map[string][]string{}
	for _, c := range aws.Calls() {
		hosts[c.Service] = append(hosts[c.Service], c.Host)
	}
	return hosts
}
