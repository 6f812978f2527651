// Command image creates the OCI image of a release, from which other images copy the helper:
//
//	COPY --from=ghcr.io/ecr-oidc/docker-credential-ecr-oidc:VERSION /docker-credential-ecr-oidc /usr/local/bin/
//
// The image contains the binaries and licenses of the release's archives, which are the arguments. It is
// written to a directory in OCI layout, without a daemon or a registry. The command prints the digest,
// which is the same for the same archives:
//
//	go run ./packaging/image -o dist/image -revision COMMIT -created TIME dist/*_linux_*.tar.gz
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	program = "docker-credential-ecr-oidc"
	source  = "https://github.com/ecr-oidc/docker-credential-ecr-oidc"
)

func main() {
	out := flag.String("o", "", "write the image to this `DIRECTORY`, which must not exist")
	revision := flag.String("revision", "", "`COMMIT` of the archives")
	created := flag.String("created", "", "`TIME` of the commit, such as 2006-01-02T15:04:05Z")
	flag.Parse()
	digest, err := build(*out, *revision, *created, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
	fmt.Println(digest)
}

var archiveName = regexp.MustCompile(`^` + program + `_(.+)_linux_(amd64|arm64)\.tar\.gz$`)

// build writes an index with one image per archive, and returns its digest.
func build(out, revision, created string, archives []string) (v1.Hash, error) {
	date, err := time.Parse(time.RFC3339, created)
	if err != nil {
		return v1.Hash{}, fmt.Errorf("reading -created: %w", err)
	}
	date = date.UTC()
	if out == "" || revision == "" || len(archives) == 0 {
		return v1.Hash{}, errors.New("-o, -revision, -created and archives are required")
	}
	if _, err := os.Lstat(out); !os.IsNotExist(err) {
		return v1.Hash{}, fmt.Errorf("%s already exists", out)
	}
	var version string
	var images []mutate.IndexAddendum
	slices.Sort(archives)
	for _, archive := range archives {
		m := archiveName.FindStringSubmatch(filepath.Base(archive))
		if m == nil || version != "" && m[1] != version {
			return v1.Hash{}, fmt.Errorf("%s is not an archive of %s %s for linux",
				archive, program, version)
		}
		version = m[1]
		image, err := imageOf(archive, m[2], labels(version, revision, date), date)
		if err != nil {
			return v1.Hash{}, fmt.Errorf("creating an image of %s: %w", archive, err)
		}
		platform := &v1.Platform{OS: "linux", Architecture: m[2]}
		images = append(images,
			mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: platform}})
	}
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex),
		images...)
	index = mutate.Annotations(index, labels(version, revision, date)).(v1.ImageIndex)
	digest, err := index.Digest()
	if err != nil {
		return v1.Hash{}, err
	}
	path, err := layout.Write(out, empty.Index)
	if err != nil {
		return v1.Hash{}, err
	}
	return digest,
		path.AppendIndex(index,
			layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": version}))
}

func labels(version, revision string, date time.Time) map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":         program,
		"org.opencontainers.image.description":   "A Docker credential helper for Amazon ECR: use COPY --from and /" + program,
		"org.opencontainers.image.source":        source,
		"org.opencontainers.image.documentation": source + "#readme",
		"org.opencontainers.image.licenses":      "Apache-2.0",
		"org.opencontainers.image.version":       version,
		"org.opencontainers.image.revision":      revision,
		"org.opencontainers.image.created":       date.Format(time.RFC3339),
	}
}

// imageOf returns an image with one layer and no base image.
func imageOf(archive, architecture string, labels map[string]string, date time.Time) (v1.Image, error) {
	files, err := unpack(archive)
	if err != nil {
		return nil, err
	}
	packed, err := pack(files, date)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(packed)), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1),
		types.OCIConfigJSON)
	image, err = mutate.Append(image, mutate.Addendum{
		Layer:     layer,
		MediaType: types.OCILayer,
		History:   v1.History{Created: v1.Time{Time: date}, CreatedBy: "packaging/image"},
	})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", architecture
	config.Created = v1.Time{Time: date}
	config.Config = v1.Config{Entrypoint: []string{"/" + program}, User: "65532:65532",
		Labels: labels}
	return mutate.ConfigFile(image, config)
}

// imageFiles maps a file of the archive to its path and mode in the image.
var imageFiles = map[string]struct {
	path string
	mode int64
}{
	program:                {program, 0o755},
	"LICENSE":              {"licenses/LICENSE", 0o644},
	"THIRD_PARTY_LICENSES": {"licenses/THIRD_PARTY_LICENSES", 0o644},
}

// unpack returns the content of imageFiles by name. It returns an error if one is missing.
func unpack(archive string) (map[string][]byte, error) {
	f, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	gz, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for r := tar.NewReader(gz); ; {
		header, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if _, ok := imageFiles[header.Name]; ok && header.Typeflag == tar.TypeReg {
			if files[header.Name], err = io.ReadAll(r); err != nil {
				return nil, err
			}
		}
	}
	for name := range imageFiles {
		if len(files[name]) == 0 {
			return nil, fmt.Errorf("it has no %s", name)
		}
	}
	return files, nil
}

// pack returns the layer as a tar file. The files are owned by root, dated, and sorted by name.
func pack(files map[string][]byte, date time.Time) ([]byte, error) {
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "licenses/", Mode: 0o755,
		ModTime: date}); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Name: imageFiles[name].path, Mode: imageFiles[name].mode,
			Size: int64(len(files[name])), ModTime: date}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(files[name]); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return layer.Bytes(), nil
}
