package dockerconfig

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// TestUpdateAfterWrite checks that the functions are called in order, after the file was written, and
// that an error ends the calls.
func TestUpdateAfterWrite(t *testing.T) {
	failed := errors.New("failed")
	for _, tt := range []struct {
		name    string
		results []error
		calls   int
		want    error
	}{
		{"success", []error{nil, nil}, 2, nil},
		{"failure", []error{failed, nil}, 1, failed},
		{"failure of the last", []error{nil, failed}, 2, failed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := writeConfig(t, `{}`)
			calls := 0
			err := Update(path, time.Minute, func(f *File) error {
				f.SetHelper(host, "ecr-oidc")
				for _, result := range tt.results {
					f.AfterWrite(func() error {
						calls++
						written, err := Read(path)
						if err != nil || written.Helper(host) != "ecr-oidc" {
							t.Errorf("call %d: not written, %v", calls, err)
						}
						return result
					})
				}
				return nil
			})
			if !errors.Is(err, tt.want) || calls != tt.calls {
				t.Errorf("%v after %d calls, want %v after %d", err, calls, tt.want, tt.calls)
			}
		})
	}
}

// TestLoginsTwice checks that a key that occurs twice is returned once.
func TestLoginsTwice(t *testing.T) {
	const login = `{"auth":"eA=="}`
	f, err := Read(writeConfig(t, `{"auths":{"a":`+login+`,"b":{},"a":`+login+`,"c":`+login+`}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Logins(); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("%q", got)
	}
}

// TestQuoteHTML checks that characters of HTML are not escaped, so that keys stay as they are.
func TestQuoteHTML(t *testing.T) {
	if got := string(quote(`<a&"b">`)); got != `"<a&\"b\">"` {
		t.Error(got)
	}
}
