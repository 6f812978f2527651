package emulator

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails since Go 1.24
	return b
}

func newUUID() string {
	b := randomBytes(16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // RFC 9562, version 4
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func randomHex(n int) string { return hex.EncodeToString(randomBytes(n)) }

func randomBase64(n int) string { return base64.StdEncoding.EncodeToString(randomBytes(n)) }

// randomKeyID returns the last 16 characters of an access key ID.
func randomKeyID() string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" // 32 letters, so that % is unbiased
	b := randomBytes(16)
	for i := range b {
		b[i] = letters[b[i]%32]
	}
	return string(b)
}
