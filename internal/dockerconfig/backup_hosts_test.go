package dockerconfig

import "testing"

// TestBackupOtherRegistries checks that a backup does not contain the logins of other registries.
func TestBackupOtherRegistries(t *testing.T) {
	const login = `{"auth":"QVdTOm9sZA=="}`
	path := writeConfig(t, `{"auths":{"`+host+`":`+login+`,"`+host2+`":`+login+`,"ghcr.io":`+login+`}}`)
	e, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	b := e.Backup("ecr-oidc", host)
	if len(b.Logins) != 1 || string(b.Logins[host]) != login || len(b.Helpers) != 1 {
		t.Errorf("%+v", b)
	}
}
