package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/windows"
)

// isWritable returns true: on Windows, only an attempt to create a file shows whether dir is writable.
func isWritable(string, fs.FileInfo) bool { return true }

// createDir creates dir with an access control list for this user, SYSTEM and Administrators. Files
// in dir inherit the list. The list itself inherits nothing: the parent directory may grant access to
// all users, as RUNNER_TEMP on drive D: does.
func createDir(dir string) error {
	user, err := currentUser()
	if err != nil {
		return err
	}
	descriptor, err := windows.SecurityDescriptorFromString(fmt.Sprintf(
		"O:%[1]sD:P(A;OICI;FA;;;%[1]s)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)", user))
	if err != nil {
		return fmt.Errorf("creating an access control list: %w", err)
	}
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return err
	}
	attributes := windows.SecurityAttributes{SecurityDescriptor: descriptor}
	attributes.Length = uint32(unsafe.Sizeof(attributes)) // #nosec G103 -- only the size
	if err := windows.CreateDirectory(path, &attributes); err != nil {
		return &os.PathError{Op: "mkdir", Path: dir, Err: err}
	}
	return nil
}

// checkPrivate returns an error if dir is not owned by this user, or is accessible to other users
// than this user, SYSTEM and Administrators. If this process is elevated, Administrators may own
// dir: they own the files that an elevated process creates.
func checkPrivate(dir string, _ fs.FileInfo) error {
	user, err := currentUser()
	if err != nil {
		return err
	}
	descriptor, err := windows.GetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT,
		windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return fmt.Errorf("reading its access control list: %w", err)
	}
	if windows.GetCurrentProcessToken().IsElevated() {
		return checkAccess(descriptor, user, windows.WinBuiltinAdministratorsSid)
	}
	return checkAccess(descriptor, user)
}

// checkAccess returns an error unless user or one of groups owns the directory, and its access
// control list grants access only to user, SYSTEM, Administrators, CREATOR OWNER and OWNER RIGHTS.
// Entries that apply only to files in the directory are checked too.
func checkAccess(
	descriptor *windows.SECURITY_DESCRIPTOR, user *windows.SID,
	groups ...windows.WELL_KNOWN_SID_TYPE,
) error {
	errNoList := errors.New("other users can access it (it has no access control list)") // as on FAT
	if descriptor == nil {
		return errNoList
	}
	owner, _, err := descriptor.Owner()
	if err != nil {
		return fmt.Errorf("reading its owner: %w", err)
	}
	if owner == nil || !owner.Equals(user) && !slices.ContainsFunc(groups, owner.IsWellKnown) {
		return fmt.Errorf("it is owned by user %v, not by %v", owner, user)
	}
	list, _, err := descriptor.DACL()
	if err != nil || list == nil {
		return errNoList
	}
	allowed := []windows.WELL_KNOWN_SID_TYPE{windows.WinLocalSystemSid,
		windows.WinBuiltinAdministratorsSid, windows.WinCreatorOwnerSid,
		windows.WinCreatorOwnerRightsSid}
	for i := range uint32(list.AceCount) {
		var entry *windows.ACCESS_ALLOWED_ACE
		if err := windows.GetAce(list, i, &entry); err != nil {
			return fmt.Errorf("reading its access control list: %w", err)
		}
		if entry.Header.AceType == windows.ACCESS_DENIED_ACE_TYPE {
			continue
		}
		// Other types, such as conditional entries, are not evaluated.
		if kind := entry.Header.AceType; kind != windows.ACCESS_ALLOWED_ACE_TYPE {
			return fmt.Errorf(
				"other users can access it (its access control list has an entry of type %d)", kind)
		}
		sid := (*windows.SID)(unsafe.Pointer(&entry.SidStart)) // #nosec G103 -- the SID begins there
		if !sid.Equals(user) && !slices.ContainsFunc(allowed, sid.IsWellKnown) {
			return fmt.Errorf(
				"other users can access it (its access control list grants access to %v)", sid)
		}
	}
	return nil
}

func currentUser() (*windows.SID, error) {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, fmt.Errorf("reading this user's SID: %w", err)
	}
	return user.User.Sid, nil
}
