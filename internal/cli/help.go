package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// helpWidth is the width of the help in columns.
const helpWidth = 80

// printHelp prints the help of a command. It does not use cobra's templates, because package
// text/template makes the binary larger.
func printHelp(command *cobra.Command, _ []string) {
	text := command.Long
	if text == "" {
		text = command.Short + "."
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s", text, usage(command))
	for _, s := range referenceOf(command.Name()).sections() {
		fmt.Fprintf(&b, "\n%s:\n%s", s.title, formatDefinitions(s.definitions))
	}
	// Run reports an error of this write.
	fmt.Fprint(command.OutOrStdout(), b.String())
}

// printUsage prints the usage of a command, its examples and flags, and the commands below it.
func printUsage(command *cobra.Command) error {
	_, err := fmt.Fprint(command.OutOrStderr(), usage(command))
	return err
}

func usage(command *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage:\n  %s\n", command.UseLine())
	fmt.Fprintf(&b, "\nExamples:\n%s\n", command.Example)
	for _, group := range command.Groups() {
		fmt.Fprintf(&b, "\n%s\n", group.Title)
		for _, c := range command.Commands() {
			if c.GroupID == group.ID {
				fmt.Fprintf(&b, "  %-10s  %s\n", c.Name(), c.Short)
			}
		}
	}
	fmt.Fprintf(&b, "\nFlags:\n%s", command.LocalFlags().FlagUsagesWrapped(helpWidth))
	if command.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\nUse \"%s COMMAND --help\" for more.\n", command.CommandPath())
	}
	return b.String()
}

// shortUsage returns the usage of a command, its first example, and the command that prints all help.
func shortUsage(command *cobra.Command) string {
	if !command.HasParent() {
		return command.UsageString()
	}
	example, rest, _ := strings.Cut(command.Example, "\n")
	for strings.HasPrefix(rest, continuation) {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		example += "\n" + line
	}
	return fmt.Sprintf("Usage:\n  %s\n\nExample:\n%s\n\nUse \"%s --help\" for more.\n",
		command.UseLine(), example, command.CommandPath())
}

// exampleWidth is the width of an example in columns. A man page indents examples by 7 columns.
const exampleWidth = helpWidth - 8

// continuation is the indentation of the second and later lines of an example.
const continuation = "      "

// examples returns shell commands as the value of a command's Example. It breaks a long pipeline after
// "|" where it can, and other long commands at spaces.
func examples(commands ...string) string {
	var b strings.Builder
	for i, command := range commands {
		if i > 0 {
			b.WriteByte('\n')
		}
		line := " "
		for i, part := range strings.SplitAfter(command, " | ") {
			fits := len(line)+len(" ")+len(strings.TrimSpace(part)) <= exampleWidth
			if i > 0 && !fits {
				b.WriteString(line + "\n")
				line = continuation[1:]
			}
			for word := range strings.FieldsSeq(part) {
				if !fits && len(line)+len(" ")+len(word)+len(` \`) > exampleWidth {
					b.WriteString(line + " \\\n")
					line = continuation[1:]
				}
				line += " " + word
			}
		}
		b.WriteString(line)
	}
	return b.String()
}

// formatDefinitions formats definitions in two columns. A long name is on a separate line. A text
// without a name is a paragraph.
func formatDefinitions(definitions []definition) string {
	const widest = len("ECR_OIDC_SESSION_POLICY")
	column := 0
	for _, d := range definitions {
		if len(d.name) <= widest {
			column = max(column, len(d.name))
		}
	}
	var b strings.Builder
	for i, d := range definitions {
		indent := strings.Repeat(" ", column+3)
		line := fmt.Sprintf("  %-*s ", column, d.name)
		switch {
		case d.name == "":
			indent, line = " ", " "
			if i > 0 {
				b.WriteByte('\n')
			}
		case len(d.name) > widest:
			b.WriteString("  " + d.name + "\n")
			line = indent
		}
		for word := range strings.FieldsSeq(d.text) {
			if len(line)+len(" ")+len(word) > helpWidth {
				b.WriteString(line + "\n")
				line = indent
			}
			line += " " + word
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}
