package config

import "testing"

// TestFirstBareRole checks where in a chain the name of a role is found.
func TestFirstBareRole(t *testing.T) {
	const arn = "arn:aws:iam::123456789012:role/hub"
	for _, tt := range []struct {
		chain []string
		want  string
	}{
		{nil, ""}, {[]string{arn}, ""}, {[]string{"ci"}, "ci"}, {[]string{"ci", "next"}, "ci"},
		{[]string{arn, "spoke"}, "spoke"},
	} {
		if got := FirstBareRole(tt.chain); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.chain, got, tt.want)
		}
	}
}

// TestPartitionCharacters checks the characters of a partition's name.
func TestPartitionCharacters(t *testing.T) {
	for partition, want := range map[string]bool{
		"aws": true, "aws-az": true, "aws-us-gov": true,
		"aws-a`": false, "aws-z{": false, "aws-1": false, "aws-A": false, "gcp": false,
	} {
		if got := isRoleARN("arn:" + partition + ":iam::123456789012:role/ci"); got != want {
			t.Errorf("%q: %v", partition, got)
		}
	}
}
