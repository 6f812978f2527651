package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// emulateDocker implements the part of Docker's command line that the examples use, with the library of
// crane. Like Docker, it reads config.json and runs the credential helper of the host. There is no
// daemon. A build records the Dockerfile under the name of the image, and the digest of an image depends
// only on its Dockerfile and platform. The tests in e2e/clients run Docker and BuildKit.
func emulateDocker() {
	if err := dockerCommand(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func dockerCommand(args []string) error {
	if len(args) > 1 && args[0] == "buildx" {
		args = args[1:]
	}
	if len(args) < 2 {
		return fmt.Errorf("docker: usage: docker build|push|pull ARGUMENT...; got %q", args)
	}
	switch args[0] {
	case "build":
		return dockerBuild(args[1:])
	case "push":
		return dockerPush(args[len(args)-1]) // "--" may come before it
	case "pull":
		return dockerPull(args[1])
	}
	return fmt.Errorf("docker: the emulation does not support %q", args[0])
}

func dockerBuild(args []string) error {
	var tags, contexts []string
	platform, push := "", false
	for i := 0; i < len(args); i++ {
		arg := args[i]
		value := ""
		if slices.Contains([]string{"-t", "--tag", "--platform"}, arg) {
			if i++; i == len(args) {
				return fmt.Errorf("docker build: %s needs a value", arg)
			}
			value = args[i]
		}
		switch arg {
		case "--push":
			push = true
		case "-t", "--tag":
			tags = append(tags, value)
		case "--platform":
			platform = value
		case "--":
			contexts = append(contexts, args[i+1:]...)
			i = len(args)
		default:
			if strings.HasPrefix(arg, "-") {
				return fmt.Errorf("docker build: the emulation does not support %s", arg)
			}
			contexts = append(contexts, arg)
		}
	}
	if len(contexts) != 1 {
		return fmt.Errorf("docker build: contexts %q, want one", contexts)
	}
	dockerfile, err := os.ReadFile(filepath.Join(contexts[0], "Dockerfile"))
	if err != nil {
		return err
	}
	for _, tag := range tags {
		if err := os.MkdirAll(filepath.Dir(buildRecordPath(tag)), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(buildRecordPath(tag), buildRecord(platform, dockerfile), 0o644); err != nil {
			return err
		}
	}
	for _, tag := range tags {
		if !push {
			break
		}
		if err := dockerPush(tag); err != nil {
			return err
		}
	}
	return nil
}

// buildRecordPath returns the path of the record of a build: the platforms on the first line, then the
// Dockerfile.
func buildRecordPath(tag string) string {
	return filepath.Join(os.Getenv("HOME"), ".built", hex.EncodeToString([]byte(tag)))
}

func buildRecord(platforms string, dockerfile []byte) []byte {
	return append([]byte(platforms+"\n"), dockerfile...)
}

func dockerPush(tag string) error {
	b, err := os.ReadFile(buildRecordPath(tag))
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("docker push: %s was not built", tag)
	} else if err != nil {
		return err
	}
	platforms, dockerfile, _ := bytes.Cut(b, []byte("\n"))
	image, err := buildImage(string(platforms), dockerfile)
	if err != nil {
		return err
	}
	ref, err := name.ParseReference(tag, name.StrictValidation)
	if err != nil {
		return err
	}
	client, err := registryClient()
	if err != nil {
		return err
	}
	digest, err := image.Digest()
	if err != nil {
		return err
	}
	pusher, err := remote.NewPusher(client...)
	if err != nil {
		return err
	}
	if err := pusher.Push(context.Background(), ref.Context().Digest(digest.String()), image); err != nil {
		return err
	}
	// Docker writes the tag without reading it first, which an immutable repository refuses. Pusher.Push
	// reads it first.
	if err := pusher.Put(context.Background(), ref, image); err != nil {
		return err
	}
	fmt.Printf("pushed %s %s\n", tag, digest)
	return nil
}

// pushable is an image or an index.
type pushable interface {
	remote.Taggable
	Digest() (v1.Hash, error)
}

// buildImage returns an image, or an index if there are platforms. The content depends only on the
// Dockerfile and the platform.
func buildImage(platforms string, dockerfile []byte) (pushable, error) {
	build := func(platform string) (v1.Image, error) {
		sum := sha256.Sum256(buildRecord(platform, dockerfile))
		source := rand.NewSource(int64(binary.BigEndian.Uint64(sum[:])))
		return random.Image(1<<10, 2, random.WithSource(source))
	}
	if platforms == "" {
		return build("")
	}
	var index v1.ImageIndex = empty.Index
	for text := range strings.SplitSeq(platforms, ",") {
		img, err := build(text)
		if err != nil {
			return nil, err
		}
		config, err := img.ConfigFile()
		if err != nil {
			return nil, err
		}
		platform, err := v1.ParsePlatform(text)
		if err != nil {
			return nil, err
		}
		config = config.DeepCopy()
		config.OS, config.Architecture = platform.OS, platform.Architecture
		if img, err = mutate.ConfigFile(img, config); err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(
			index,
			mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: platform}},
		)
	}
	return index, nil
}

// dockerPull reads an image or an index completely, and checks each digest.
func dockerPull(tag string) error {
	ref, err := name.ParseReference(tag, name.StrictValidation)
	if err != nil {
		return err
	}
	client, err := registryClient()
	if err != nil {
		return err
	}
	got, err := remote.Get(ref, client...)
	if err != nil {
		return err
	}
	if got.MediaType.IsIndex() {
		index, err := got.ImageIndex()
		if err != nil {
			return err
		}
		err = validate.Index(index)
		if err != nil {
			return err
		}
		manifest, err := index.IndexManifest()
		if err != nil {
			return err
		}
		for _, m := range manifest.Manifests {
			fmt.Printf("platform %s %s\n", m.Platform, m.Digest)
		}
	} else {
		img, err := got.Image()
		if err != nil {
			return err
		}
		if err := validate.Image(img); err != nil {
			return err
		}
	}
	fmt.Printf("pulled %s %s\n", tag, got.Digest)
	return nil
}

// registryClient returns the default options of a client, with the certificate of the emulator, which
// it reaches through HTTPS_PROXY.
func registryClient() ([]remote.Option, error) {
	pem, err := os.ReadFile(os.Getenv("AWS_CA_BUNDLE"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	transport := remote.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	return []remote.Option{
		remote.WithAuthFromKeychain(authn.DefaultKeychain),
		remote.WithTransport(transport),
	}, nil
}
