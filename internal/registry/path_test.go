package registry

import "testing"

// TestParsePath checks which characters a path after the host may contain.
func TestParsePath(t *testing.T) {
	const host = "123456789012.dkr.ecr.eu-west-2.amazonaws.com"
	for char := rune(0); char <= 0xff; char++ {
		want := char > ' ' && char <= '~'
		switch char {
		case '?', '#', '@', '\\':
			want = false
		}
		for _, form := range []string{host + "/a", "https://" + host + "/v1/"} {
			if r, ok := Parse(form + string(char)); ok != want || ok && r.Host != host {
				t.Errorf("%q: %v, %v", form+string(char), r, ok)
			}
		}
	}
}
