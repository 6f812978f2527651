// Command pack writes archives in the format of a release: pack BINARY OUT.tar.gz OUT.zip.
package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"log"
	"os"
	"time"
)

func main() {
	binary, err := os.ReadFile(os.Args[1])
	check(err)
	const name = "docker-credential-ecr-oidc"
	when := time.Date(2026, 11, 20, 12, 0, 0, 123456789, time.UTC) // fractional seconds require a PAX header

	var tarred bytes.Buffer
	gz := gzip.NewWriter(&tarred)
	tw := tar.NewWriter(gz)
	for _, f := range []struct {
		name    string
		mode    int64
		content []byte
	}{
		{"LICENSE", 0o644, []byte("license")},
		{"man/" + name, 0o644, []byte("a page")},
		{name, 0o755, binary},
		{"README.md", 0o644, nil},
	} {
		check(tw.WriteHeader(&tar.Header{
			Name:    f.name,
			Mode:    f.mode,
			Size:    int64(len(f.content)),
			ModTime: when,
			Format:  tar.FormatPAX,
		}))
		_, err := tw.Write(f.content)
		check(err)
	}
	check(tw.Close())
	check(gz.Close())
	check(os.WriteFile(os.Args[2], tarred.Bytes(), 0o600))

	var zipped bytes.Buffer
	zw := zip.NewWriter(&zipped)
	for _, f := range []struct {
		name    string
		content []byte
	}{
		{"LICENSE", []byte("license")},
		{"man/" + name + ".exe", []byte("a page")},
		{name + ".exe", binary},
	} {
		w, err := zw.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: when})
		check(err)
		_, err = w.Write(f.content)
		check(err)
	}
	check(zw.Close())
	check(os.WriteFile(os.Args[3], zipped.Bytes(), 0o600))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
