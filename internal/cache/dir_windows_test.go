package cache

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/windows"
)

func fifo(string) error { return errors.New("there are no FIFOs on Windows") }

func userSID(t *testing.T) *windows.SID {
	t.Helper()
	user, err := currentUser()
	if err != nil {
		t.Fatal(err)
	}
	return user
}

func TestCheckAccess(t *testing.T) {
	user := userSID(t)
	const private = "(A;OICI;FA;;;USER)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
	administrators := []windows.WELL_KNOWN_SID_TYPE{windows.WinBuiltinAdministratorsSid}
	tests := []struct {
		name, descriptor string
		groups           []windows.WELL_KNOWN_SID_TYPE
		want             string // "" is accepted
	}{
		{"as created", "O:USERD:P" + private, nil, ""},
		{"inherited from profile",
			"O:USERD:(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIID;FA;;;USER)", nil, ""},
		{"creator and owner", "O:USERD:(A;OICIIO;GA;;;CO)(A;OICI;FA;;;OW)", nil, ""},
		{"deny entry", "O:USERD:(D;OICI;FA;;;BG)" + private, nil, ""},
		{"empty list", "O:USERD:P", nil, ""},
		{"owned by Administrators, elevated", "O:BAD:" + private, administrators, ""},
		{"owned by Administrators", "O:BAD:" + private, nil,
			"it is owned by user S-1-5-32-544, not by USER"},
		{"owned by Users, elevated", "O:BUD:" + private, administrators,
			"it is owned by user S-1-5-32-545, not by USER"},
		{"no owner", "D:" + private, nil, "it is owned by user "},
		{"Users can read", "O:USERD:" + private + "(A;;FR;;;BU)", nil,
			"its access control list grants access to S-1-5-32-545"},
		{"Everyone", "O:USERD:(A;OICI;FA;;;WD)" + private, nil,
			"its access control list grants access to S-1-1-0"},
		{"Everyone, files only", "O:USERD:" + private + "(A;OIIO;FR;;;WD)", nil,
			"grants access to S-1-1-0"},
		{"Authenticated Users, inherited", "O:USERD:" + private + "(A;ID;FR;;;AU)", nil,
			"grants access to S-1-5-11"},
		{"no list", "O:USER", nil, "it has no access control list"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			named := strings.NewReplacer("USER", user.String())
			descriptor,
				err := windows.SecurityDescriptorFromString(named.Replace(tt.descriptor))
			if err != nil {
				t.Fatal(err)
			}
			want := named.Replace(tt.want)
			err = checkAccess(descriptor, user, tt.groups...)
			if want == "" && err != nil || want != "" &&
				(err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
}

func TestCheckAccessWithoutDescriptor(t *testing.T) {
	if err := checkAccess(nil, userSID(t)); err == nil || !strings.Contains(err.Error(),
		"no access control list") {
		t.Errorf("%v, want an error", err)
	}
}

// grantEveryone grants Everyone access to dir and to files that are created in it.
func grantEveryone(t *testing.T, dir string) {
	t.Helper()
	descriptor, err := windows.SecurityDescriptorFromString("D:(A;OICI;FA;;;WD)")
	if err != nil {
		t.Fatal(err)
	}
	list, _, err := descriptor.DACL()
	if err != nil {
		t.Fatal(err)
	}
	const kind = windows.DACL_SECURITY_INFORMATION
	if err := windows.SetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT, kind, nil, nil, list,
		nil); err != nil {
		t.Fatal(err)
	}
}

// In a shared directory, only this user can access a directory that Open creates, and its entries.
func TestCreatedInSharedDirectory(t *testing.T) {
	shared := t.TempDir()
	grantEveryone(t, shared)
	dir := filepath.Join(shared, "c")
	c, err := Open([]string{dir}, secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Put("id", login()); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, c.path("id", entrySuffix)} {
		if err := checkPrivate(path, nil); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := Open([]string{dir}, secret); err != nil {
		t.Errorf("when the directory exists: %v", err)
	}
}

// A directory that other users can access is neither used nor repaired. The next directory is used.
func TestSharedDirectory(t *testing.T) {
	shared := t.TempDir()
	grantEveryone(t, shared)
	if err := os.Mkdir(filepath.Join(shared, "c"), 0o700); err != nil {
		t.Fatal(err)
	}
	next := filepath.Join(t.TempDir(), "next")
	for _, dir := range []string{shared, filepath.Join(shared, "c")} {
		const want = "its access control list grants access to S-1-1-0"
		for range 2 {
			c, err := Open([]string{dir}, secret)
			if c != nil || err == nil || !strings.Contains(err.Error(), want) ||
				!strings.Contains(err.Error(), dir) {
				t.Errorf("Open: %v, want %s", err, want)
			}
		}
		if c, err := Open([]string{dir, next}, secret); err != nil || c.Dir() != next {
			t.Errorf("with a second directory: %v", err)
		}
		if entries, err := os.ReadDir(filepath.Join(shared, "c")); err != nil ||
			len(entries) > 0 {
			t.Errorf("the directory has %v, %v", entries, err)
		}
	}
}
