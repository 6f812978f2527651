package exchange

import "testing"

// TestMetadataHosts checks the addresses of the instance metadata service and of the container
// credentials of ECS and EKS.
func TestMetadataHosts(t *testing.T) {
	for _, host := range []string{
		"169.254.169.254", "fd00:ec2::254", "169.254.170.2", "169.254.170.23", "fd00:ec2::23",
	} {
		if !isMetadataHost(host) {
			t.Errorf("%s is requested through the proxy", host)
		}
	}
	for _, host := range []string{"", "169.254.170.1", "localhost", "sts.eu-west-2.amazonaws.com"} {
		if isMetadataHost(host) {
			t.Errorf("%s is requested without the proxy", host)
		}
	}
}
