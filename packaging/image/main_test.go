package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

const (
	commit = "6e142ccd9c5a2f0e1b3a47d28c5b90f6e7a81234"
	date   = "2026-11-20T18:00:00+02:00"
)

// archive writes an archive like those of a release.
func archive(t *testing.T, dir, name string, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	w := tar.NewWriter(gz)
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if err := w.WriteHeader(&tar.Header{Name: file, Mode: 0o600, Uid: 1000,
			Uname: "somebody", Size: int64(len(files[file]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[file]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func release(binary string) map[string]string {
	return map[string]string{program: binary, "LICENSE": "ours",
		"THIRD_PARTY_LICENSES": "theirs", "README.md": "read", "man/x.1.gz": "man"}
}

// The image for each platform, pulled from a registry, contains exactly the files of the archive.
func TestImage(t *testing.T) {
	dir := t.TempDir()
	archives := []string{
		archive(t, dir, program+"_1.2.3-rc.1_linux_arm64.tar.gz", release("for arm64")),
		archive(t, dir, program+"_1.2.3-rc.1_linux_amd64.tar.gz", release("for amd64")),
	}
	out := filepath.Join(dir, "image")
	digest, err := build(out, commit, date, archives)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(archives)
	if again, err := build(out+"2", commit, date, archives); err != nil || again != digest {
		t.Errorf("second image: %v, want %v; %v", again, digest, err)
	}
	if other, err := build(out+"3", commit, "2026-11-21T00:00:00Z", archives); err != nil ||
		other == digest {
		t.Errorf("another day's has the same digest; %v", err)
	}

	server := httptest.NewServer(registry.New())
	defer server.Close()
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(at.Host + "/" + program + ":1.2.3-rc.1")
	if err != nil {
		t.Fatal(err)
	}
	written, err := layout.ImageIndexFromPath(out)
	if err != nil {
		t.Fatal(err)
	}
	index, err := written.ImageIndex(digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, index); err != nil {
		t.Fatal(err)
	}
	pulled, err := remote.Index(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(pulled); err != nil {
		t.Error(err)
	}
	manifest, err := pulled.IndexManifest()
	if err != nil || manifest.MediaType != types.OCIImageIndex || len(manifest.Manifests) != 2 {
		t.Fatal(manifest, err)
	}
	for _, architecture := range []string{"amd64", "arm64"} {
		image,
			err := remote.Image(ref,
			remote.WithPlatform(v1.Platform{OS: "linux", Architecture: architecture}))
		if err != nil {
			t.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.OS != "linux" || config.Architecture != architecture ||
			!slices.Equal(config.Config.Entrypoint, []string{"/" + program}) ||
			config.Config.User != "65532:65532" {
			t.Errorf("%s: %+v", architecture, config)
		}
		for _, labels := range []map[string]string{config.Config.Labels, manifest.Annotations} {
			for key, want := range map[string]string{"version": "1.2.3-rc.1",
				"revision": commit, "created": "2026-11-20T16:00:00Z",
				"source": source, "licenses": "Apache-2.0", "title": program} {
				if got := labels["org.opencontainers.image."+key]; got != want {
					t.Errorf("%s: %s is %q, want %q", architecture, key, got, want)
				}
			}
		}
		want := []string{
			"755 0 0 2026-11-20T16:00:00Z licenses/ ",
			"644 0 0 2026-11-20T16:00:00Z licenses/LICENSE ours",
			"644 0 0 2026-11-20T16:00:00Z licenses/THIRD_PARTY_LICENSES theirs",
			"755 0 0 2026-11-20T16:00:00Z " + program + " for " + architecture,
		}
		if got := contents(t, image); !slices.Equal(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", architecture, strings.Join(got, "\n"),
				strings.Join(want, "\n"))
		}
	}
}

func contents(t *testing.T, image v1.Image) (all []string) {
	t.Helper()
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatal(layers, err)
	}
	layer, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer layer.Close()
	for r := tar.NewReader(layer); ; {
		header, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%o %d %d %s %s %s", header.Mode, header.Uid,
			header.Gid, header.ModTime.UTC().Format("2006-01-02T15:04:05Z"),
			header.Name, text))
	}
}

func TestImageErrors(t *testing.T) {
	dir := t.TempDir()
	good := archive(t, dir, program+"_1.2.3_linux_amd64.tar.gz", release("x"))
	other := archive(t, dir, program+"_1.2.4_linux_arm64.tar.gz", release("x"))
	darwin := archive(t, dir, program+"_1.2.3_darwin_arm64.tar.gz", release("x"))
	unlicensed := release("x")
	delete(unlicensed, "THIRD_PARTY_LICENSES")
	poor := archive(t, dir, program+"_1.2.5_linux_amd64.tar.gz", unlicensed)
	out := filepath.Join(dir, "image")
	for _, tt := range []struct {
		out, revision, created string
		archives               []string
		want                   string
	}{
		{"", commit, date, []string{good}, "-o, -revision"},
		{out, "", date, []string{good}, "-o, -revision"},
		{out, commit, date, nil, "-o, -revision"},
		{out, commit, "today", []string{good}, "reading -created"},
		{dir, commit, date, []string{good}, "already exists"},
		{out, commit, date, []string{good, other},
			"_1.2.4_linux_arm64.tar.gz is not an archive of docker-credential-ecr-oidc 1.2.3"},
		{out, commit, date, []string{darwin}, "is not an archive"},
		{out, commit, date, []string{poor}, "it has no THIRD_PARTY_LICENSES"},
		{out, commit, date, []string{good + "x"}, "is not an archive"},
		{out, commit, date, []string{filepath.Join(dir, "none", filepath.Base(good))}, "none"},
	} {
		if digest, err := build(tt.out, tt.revision, tt.created, tt.archives); err == nil ||
			!strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, %v", tt, digest, err)
		}
		if _, err := os.Stat(out); err == nil {
			t.Fatalf("%+v: something was written", tt)
		}
	}
}
