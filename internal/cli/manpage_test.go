package cli

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// This file generates the man pages and completions of a release: .goreleaser.yaml runs it with
// -share. It is a test because it needs the commands, which this package does not export, and because
// the binary does not need it.

var share = flag.String("share", "",
	"write man pages and completions to `DIR`; SOURCE_DATE_EPOCH is the date of the pages")

// outputDir returns an empty directory for one kind of file: below -share, or a temporary one without
// -share.
func outputDir(t *testing.T, kind string) string {
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

// Each command has a man page with its flags, and .goreleaser.yaml lists every page, because
// goreleaser cannot derive the list.
func TestManPages(t *testing.T) {
	dir := outputDir(t, "man")
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
	root := Program{Env: environ()}.rootCommand()
	pages := append(root.Commands(), root)
	for _, command := range pages {
		name := pageName(command) + ".1.gz"
		text := manPage(command, day)
		for _, want := range []string{roff(command.Short), roff(command.UseLine()),
			roff(strings.Split(command.Example, "\n")[0]), ".SH EXAMPLES\n", ".SH ENVIRONMENT\n",
			".SH FILES\n", ".SH EXIT STATUS\n.TP\n"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s has no %q:\n%s", name, want, text)
			}
		}
		checkWidth(t, name, text)
		command.Flags().VisitAll(func(f *pflag.Flag) {
			if !strings.Contains(text, roff("--"+f.Name)) {
				t.Errorf("%s has no --%s", name, f.Name)
			}
		})
		if !strings.Contains(release, "- man/"+name+"\n") {
			t.Errorf(".goreleaser.yaml: homebrew_casks: manpages: man/%s is missing", name)
		}
		var page bytes.Buffer
		w := gzip.NewWriter(&page) // reproducible: the header contains no time and no name
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
	if listed := strings.Count(release, "- man/"); listed != len(pages) || listed < 10 {
		t.Errorf(".goreleaser.yaml lists %d man pages; there are %d", listed, len(pages))
	}
}

// checkWidth formats a man page for a terminal of 80 columns, and checks its width.
func checkWidth(t *testing.T, name, text string) {
	t.Helper()
	groff, err := exec.LookPath("groff")
	if err != nil { // the lines that groff does not fill
		_, example, _ := strings.Cut(text, ".EX\n")
		example, _, _ = strings.Cut(example, ".EE\n")
		for line := range strings.Lines(strings.ReplaceAll(example, `\`, "")) {
			if len(line) > exampleWidth {
				t.Errorf("%s: the example is too wide: %s", name, line)
			}
		}
		return
	}
	format := exec.Command(groff, "-man", "-Tascii", "-P-c", "-P-b", "-P-o", "-P-u", "-rLL=80n")
	format.Stdin = strings.NewReader(text)
	page, err := format.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v: %s", name, err, page)
	}
	for line := range strings.Lines(string(page)) {
		if len(line) > helpWidth+len("\n") {
			t.Errorf("%s: the line is too wide: %s", name, line)
		}
	}
}

func pageName(command *cobra.Command) string {
	return strings.ReplaceAll(command.CommandPath(), " ", "-")
}

// manPage returns the help of a command as a man(7) page. cobra's own generator depends on a Markdown
// parser, and prints the default of a flag instead of the name of its value.
func manPage(command *cobra.Command, day time.Time) string {
	var b strings.Builder
	section := func(name, text string) { fmt.Fprintf(&b, ".SH %s\n%s\n", name, text) }
	fmt.Fprintf(&b, ".TH DOCKER-CREDENTIAL-ECR-OIDC 1 %s docker-credential-ecr-oidc \"\"\n",
		day.UTC().Format(time.DateOnly))
	section("NAME", roff(pageName(command)+" - "+command.Short))
	section("SYNOPSIS", `\fB`+roff(command.UseLine())+`\fR`)
	description := command.Long
	if description == "" {
		description = command.Short + "."
	}
	section("DESCRIPTION", strings.ReplaceAll(roff(description), "\n\n", "\n.PP\n"))
	command.InitDefaultHelpFlag()
	section("OPTIONS", options(command.Flags()))
	section("EXAMPLES", ".EX\n"+roff(command.Example)+"\n.EE")
	for _, s := range referenceOf(command.Name()).sections() {
		section(strings.ToUpper(s.title), definitionList(s.definitions))
	}
	related := command.Commands()
	if command.HasParent() {
		related = append(related, command.Parent())
	}
	var links []string
	for _, c := range related {
		links = append(links, `\fB`+roff(pageName(c))+`\fR(1)`)
	}
	section("SEE ALSO", strings.Join(links, ",\n"))
	return b.String()
}

// definitionList returns definitions as tagged paragraphs.
func definitionList(definitions []definition) string {
	var all []string
	for _, d := range definitions {
		if d.name == "" {
			all = append(all, ".PP\n"+roff(d.text))
		} else {
			all = append(all, fmt.Sprintf(".TP\n\\fB%s\\fR\n%s", roff(d.name), roff(d.text)))
		}
	}
	return strings.Join(all, "\n")
}

func options(flags *pflag.FlagSet) string {
	var all []string
	flags.VisitAll(func(f *pflag.Flag) {
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		value, usage := pflag.UnquoteUsage(f)
		if value != "" && !strings.HasPrefix(value, "[") {
			value = " " + value
		}
		all = append(all, fmt.Sprintf(".TP\n\\fB%s\\fR\\fI%s\\fR\n%s", roff(name), roff(value),
			roff(usage)))
	})
	return strings.Join(all, "\n")
}

// roff escapes text for roff, so that a command copied from a page is the original command.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~",
		`\(ti`).Replace(text)
	text = strings.ReplaceAll("\n"+text, "\n.",
		"\n\\&.") // a period at the start of a line begins a request
	return text[1:]
}

// Each shell has a completion file with the name that the shell searches for.
func TestCompletions(t *testing.T) {
	dir := outputDir(t, "completions")
	for shell, file := range map[string]string{
		"bash":       "docker-credential-ecr-oidc.bash",
		"zsh":        "_docker-credential-ecr-oidc",
		"fish":       "docker-credential-ecr-oidc.fish",
		"powershell": "docker-credential-ecr-oidc.ps1",
	} {
		got := run("", args("completion", shell))
		if got.code != exitSuccess || got.stderr != "" ||
			!strings.Contains(got.stdout, "docker-credential-ecr-oidc") {
			t.Errorf("%s: %+v", shell, got)
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte(got.stdout), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
