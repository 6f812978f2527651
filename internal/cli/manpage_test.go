package cli

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// This file makes what a release installs beside the binary, man pages and completions:
// .goreleaser.yaml runs it with -share. It is a test because it has to see the program's commands,
// which no other package can, and because the binary that ships has no use for it.

var share = flag.String("share", "",
	"write man pages and completions below `DIR`; the pages are of the day in SOURCE_DATE_EPOCH")

// shared is the folder for one kind of file, empty.
func shared(t *testing.T, kind string) string {
	t.Helper()
	if *share == "" {
		return t.TempDir()
	}
	dir := filepath.Join(*share, kind)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Each command has a page, and the release's list of pages, which goreleaser cannot make itself,
// has each of them.
func TestManPages(t *testing.T) {
	dir := shared(t, "man")
	b, err := os.ReadFile("../../.goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	release := strings.ReplaceAll(string(b), "\r\n", "\n")
	var day time.Time
	if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		day = time.Unix(seconds, 0)
	}
	root := Program{Env: environ()}.commands()
	pages := append(root.Commands(), root)
	for _, command := range pages {
		name := pageName(command) + ".1.gz"
		text := manPage(command, day)
		for _, want := range []string{roff(command.Short), roff(command.UseLine()),
			roff(strings.Split(command.Example, "\n")[0])} {
			if !strings.Contains(text, want) {
				t.Errorf("%s has no %q:\n%s", name, want, text)
			}
		}
		command.Flags().VisitAll(func(f *pflag.Flag) {
			if !strings.Contains(text, roff("--"+f.Name)) {
				t.Errorf("%s has no --%s", name, f.Name)
			}
		})
		if !strings.Contains(release, "- man/"+name+"\n") {
			t.Errorf(".goreleaser.yaml: homebrew_casks: manpages: man/%s is missing", name)
		}
		var page bytes.Buffer
		w := gzip.NewWriter(&page) // whose header has neither time nor name
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), page.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if named := strings.Count(release, "- man/"); named != len(pages) || named < 10 {
		t.Errorf(".goreleaser.yaml names %d man pages; there are %d", named, len(pages))
	}
}

func pageName(command *cobra.Command) string {
	return strings.ReplaceAll(command.CommandPath(), " ", "-")
}

// manPage is a command's help in man(7). cobra has a generator too, but brings a Markdown parser
// for it, and shows a flag by its default instead of by what it takes.
func manPage(command *cobra.Command, day time.Time) string {
	var b strings.Builder
	section := func(name, text string) { fmt.Fprintf(&b, ".SH %s\n%s\n", name, text) }
	fmt.Fprintf(&b, ".TH DOCKER-CREDENTIAL-ECR-OIDC 1 %s docker-credential-ecr-oidc \"\"\n",
		day.UTC().Format(time.DateOnly))
	section("NAME", roff(pageName(command)+" - "+command.Short))
	section("SYNOPSIS", `\fB`+roff(command.UseLine())+`\fR`)
	about := command.Long
	if about == "" {
		about = command.Short + "."
	}
	section("DESCRIPTION", strings.ReplaceAll(roff(about), "\n\n", "\n.PP\n"))
	command.InitDefaultHelpFlag()
	section("OPTIONS", options(command.Flags()))
	section("EXAMPLES", ".EX\n"+roff(command.Example)+"\n.EE")
	others := command.Commands()
	if command.HasParent() {
		others = append(others, command.Parent())
	}
	var also []string
	for _, other := range others {
		also = append(also, `\fB`+roff(pageName(other))+`\fR(1)`)
	}
	section("SEE ALSO", strings.Join(also, ",\n"))
	return b.String()
}

func options(flags *pflag.FlagSet) string {
	var all []string
	flags.VisitAll(func(f *pflag.Flag) {
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		takes, usage := pflag.UnquoteUsage(f)
		if takes != "" && !strings.HasPrefix(takes, "[") {
			takes = " " + takes
		}
		all = append(all, fmt.Sprintf(".TP\n\\fB%s\\fR\\fI%s\\fR\n%s", roff(name), roff(takes),
			roff(usage)))
	})
	return strings.Join(all, "\n")
}

// roff quotes a text, so that what is copied from a page is what was written here.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~",
		`\(ti`).Replace(text)
	text = strings.ReplaceAll("\n"+text, "\n.",
		"\n\\&.") // at the start of a line it would be a request
	return text[1:]
}

// Each shell has its completion, under the name by which it is looked for.
func TestCompletions(t *testing.T) {
	dir := shared(t, "completions")
	for shell, file := range map[string]string{
		"bash":       "docker-credential-ecr-oidc.bash",
		"zsh":        "_docker-credential-ecr-oidc",
		"fish":       "docker-credential-ecr-oidc.fish",
		"powershell": "docker-credential-ecr-oidc.ps1",
	} {
		got := call("", args("completion", shell))
		if got.code != succeeded || got.stderr != "" ||
			!strings.Contains(got.stdout, "docker-credential-ecr-oidc") {
			t.Errorf("%s: %+v", shell, got)
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte(got.stdout), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
