//go:build clients

package clients

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// image writes an OCI layout with one image, tagged "v1", with one file, and returns the digest of
// its manifest.
// https://github.com/opencontainers/image-spec/blob/main/image-layout.md
func image(t *testing.T, dir, content string) string {
	t.Helper()
	var tarred, layer bytes.Buffer
	tw := tar.NewWriter(&tarred)
	check(t, tw.WriteHeader(&tar.Header{Name: "content", Mode: 0o644, Size: int64(len(content))}))
	_, err := tw.Write([]byte(content))
	check(t, err)
	check(t, tw.Close())
	zw := gzip.NewWriter(&layer)
	_, err = zw.Write(tarred.Bytes())
	check(t, err)
	check(t, zw.Close())

	type object = map[string]any
	const kind = "application/vnd.oci.image."
	blobs := filepath.Join(dir, "blobs", "sha256")
	check(t, os.MkdirAll(blobs, 0o755))
	blob := func(mediaType string, b []byte) object {
		sum := fmt.Sprintf("%x", sha256.Sum256(b))
		check(t, os.WriteFile(filepath.Join(blobs, sum), b, 0o644))
		return object{"mediaType": mediaType, "size": len(b), "digest": "sha256:" + sum}
	}
	config := blob(kind+"config.v1+json", marshal(t, object{
		"architecture": "amd64", "os": "linux", "config": object{},
		"rootfs": object{"type": "layers",
			"diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(tarred.Bytes()))}},
	}))
	manifest := blob(kind+"manifest.v1+json", marshal(t, object{
		"schemaVersion": 2, "mediaType": kind + "manifest.v1+json", "config": config,
		"layers": []object{blob(kind+"layer.v1.tar+gzip", layer.Bytes())},
	}))
	manifest["annotations"] = object{"org.opencontainers.image.ref.name": "v1"}
	check(t, os.WriteFile(filepath.Join(dir, "index.json"),
		marshal(t, object{"schemaVersion": 2, "manifests": []object{manifest}}), 0o644))
	check(t, os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644))
	return manifest["digest"].(string)
}

// imageDigest returns the digest of the one image of an OCI layout.
func imageDigest(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "index.json"))
	check(t, err)
	var index struct{ Manifests []struct{ Digest string } }
	check(t, json.Unmarshal(b, &index))
	if len(index.Manifests) != 1 {
		t.Fatalf("%s contains %d images, want 1", dir, len(index.Manifests))
	}
	return index.Manifests[0].Digest
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	check(t, err)
	return b
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
