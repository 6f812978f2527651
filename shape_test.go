package repository_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// measure is a measured value and its limit.
type measure struct {
	name         string
	value, limit int
}

// shape has the measures of source files, and the statistics that the test prints.
type shape struct {
	measures              []measure
	longLines             []string // path:line
	lengths, complexities []int    // of the functions
	files, statements     int
}

// add measures one file. A tab counts as one column. Functions whose doc comment contains "table:"
// have no limits.
func (s *shape) add(path, source string) error {
	positions := token.NewFileSet()
	parsed, err := parser.ParseFile(positions, path, source,
		parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	lines := 0
	for line := range strings.Lines(source) {
		lines++
		if utf8.RuneCountInString(strings.TrimRight(line, "\r\n")) > 110 &&
			!strings.Contains(line, "// https://") {
			s.longLines = append(s.longLines, fmt.Sprintf("%s:%d", path, lines))
		}
	}
	s.files++
	s.statements += statements(parsed)
	s.measures = append(s.measures, measure{"lines of " + path, lines, 300})
	for _, d := range parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		length := positions.Position(f.End()).Line - positions.Position(f.Pos()).Line + 1
		branches := complexity(f)
		s.lengths, s.complexities = append(s.lengths, length), append(s.complexities, branches)
		if !strings.Contains(f.Doc.Text(), "table:") {
			name := path + " " + f.Name.Name
			s.measures = append(s.measures,
				measure{"lines of " + name, length, 60},
				measure{"complexity of " + name, branches, 20})
		}
	}
	return nil
}

// violations returns the measures that exceed their limit.
func (s *shape) violations() (found []string) {
	for _, m := range append(s.measures, measure{"lines over 110 columns", len(s.longLines), 0}) {
		if m.value > m.limit {
			found = append(found, fmt.Sprintf("%s: %d; the limit is %d", m.name,
				m.value, m.limit))
		}
	}
	return found
}

// complexity returns the cyclomatic complexity of a function, including its function literals.
func complexity(f *ast.FuncDecl) int {
	n := 1
	ast.Inspect(f, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt:
			n++
		case *ast.BinaryExpr:
			if node.Op == token.LAND || node.Op == token.LOR {
				n++
			}
		case *ast.CaseClause:
			if node.List != nil {
				n++
			}
		case *ast.CommClause:
			if node.Comm != nil {
				n++
			}
		}
		return true
	})
	return n
}

// statements counts the statements in a file the way "go test -cover" does.
func statements(file *ast.File) (n int) {
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.BlockStmt:
			n += len(node.List)
		case *ast.CaseClause:
			n += len(node.Body) - 1 // the switch's block counts the clause itself
		case *ast.CommClause:
			n += len(node.Body) - 1
		case *ast.IfStmt:
			if _, ok := node.Else.(*ast.IfStmt); ok {
				n++
			}
		}
		return true
	})
	return n
}

// The files, functions and lines of the program are short.
func TestShape(t *testing.T) {
	var s shape
	for _, root := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" ||
				strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return s.add(filepath.ToSlash(path), string(source))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, violation := range s.violations() {
		t.Error(violation)
	}
	if len(s.longLines) > 0 {
		t.Errorf("lines over 110 columns: %s", strings.Join(s.longLines, " "))
	}
	if s.files < 30 {
		t.Fatalf("%d files", s.files)
	}
	slices.Sort(s.lengths)
	n := len(s.lengths)
	t.Logf("%d files, %d functions, %d statements; "+
		"lines of a function: p50 %d, p90 %d, max %d; max complexity %d",
		s.files, n, s.statements, s.lengths[n/2], s.lengths[n*9/10], s.lengths[n-1],
		slices.Max(s.complexities))
}

// maxColumns is the limit of a line's width in all Go files. A tab counts as four columns.
const maxColumns = 120

// wideFiles are patterns of files that still have wider lines. When the lines of a file are broken,
// its pattern can be removed.
var wideFiles = []string{}

// url matches a URL in a line.
var url = regexp.MustCompile("https?://[^\\s\"'`]+")

// wideLines returns the numbers of the lines that are wider than maxColumns. Two kinds of lines have no
// limit: a line that is within the limit without its URLs, because a URL cannot be broken; and the
// continuation lines of a raw string, because their text is compared with expected output.
func wideLines(source string) (wide []int, err error) {
	positions := token.NewFileSet()
	parsed, err := parser.ParseFile(positions, "", source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	raw := map[int]bool{}
	ast.Inspect(parsed, func(node ast.Node) bool {
		if literal, ok := node.(*ast.BasicLit); ok && strings.HasPrefix(literal.Value, "`") {
			first, last := positions.Position(literal.Pos()).Line, positions.Position(literal.End()).Line
			for n := first + 1; n <= last; n++ {
				raw[n] = true
			}
		}
		return true
	})
	n := 0
	for line := range strings.Lines(source) {
		n++
		line = url.ReplaceAllString(strings.TrimRight(line, "\r\n"), "")
		if utf8.RuneCountInString(line)+3*strings.Count(line, "\t") > maxColumns && !raw[n] {
			wide = append(wide, n)
		}
	}
	return wide, nil
}

// TestLineWidth checks the width of the lines of all Go files.
func TestLineWidth(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			hidden := strings.HasPrefix(d.Name(), ".") && path != "."
			if hidden || d.Name() == "node_modules" || path == "dist" {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		path = filepath.ToSlash(path)
		wide, err := wideLines(string(source))
		if err != nil {
			return err
		}
		allowed := slices.ContainsFunc(wideFiles, func(pattern string) bool {
			matched, err := filepath.Match(filepath.FromSlash(pattern), filepath.FromSlash(path))
			if err != nil {
				t.Fatal(err)
			}
			return matched
		})
		for _, n := range wide {
			if !allowed {
				t.Errorf("%s:%d: the line is wider than %d columns", path, n, maxColumns)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 100 {
		t.Fatalf("%d files", files)
	}
}

// TestWideLines checks which lines wideLines returns.
func TestWideLines(t *testing.T) {
	tests := []struct {
		name, line string
		want       []int
	}{
		{"at the limit", "\t// " + strings.Repeat("é", maxColumns-7), nil},
		{"over the limit", "\t// " + strings.Repeat("é", maxColumns-6), []int{3}},
		{"long URL", "// See https://example.com/" + strings.Repeat("a", maxColumns) + ".", nil},
		{"URL in a long line", "// https://example.com " + strings.Repeat("a", maxColumns), []int{3}},
		{"first line of a raw string", "const s = `" + strings.Repeat("a", maxColumns) + "`", []int{3}},
		{"next line of a raw string", "const s = `\n" + strings.Repeat("a", maxColumns+1) + "`", nil},
	}
	for _, tt := range tests {
		got, err := wideLines("package p\n\n" + tt.line + "\n")
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: lines %v, %v, want %v", tt.name, got, err, tt.want)
		}
	}
}

// TestShapeViolations checks that TestShape can fail.
func TestShapeViolations(t *testing.T) {
	const source = `package p

// f is complex.
func f(a, b bool, c chan int) int {
	if a && b {
		return 1
	} else if a || b {
		return 2
	}
	for range c {
		switch {
		case a, b:
			func() {
				for {
				}
			}()
		default:
		}
	}
	select {
	case <-c:
	default:
		a = b
	}
	return 0
}
`
	// body returns the source with one statement repeated n times.
	body := func(n int) string {
		return strings.Replace(source, "a = b\n", strings.Repeat("a = b\n", n), 1)
	}
	wide := "//" + strings.Repeat("é", 108) + "\n"
	tests := []struct {
		name, source string
		want         []string
	}{
		{"good", source, nil},
		{"long file", source + strings.Repeat("\n", 275),
			[]string{`lines of p.go: 301; the limit is 300`}},
		{"long function", body(39), []string{`lines of p.go f: 61; the limit is 60`}},
		{"long table", strings.Replace(body(99), "complex", "a table: of 99 rows", 1), nil},
		{"wide line", source + wide, nil},
		{"too wide a line", source + "/" + wide,
			[]string{`lines over 110 columns: 1; the limit is 0`}},
		{"complex", strings.Replace(source, "a && b", "a"+strings.Repeat(" && b", 13), 1),
			[]string{`complexity of p.go f: 21; the limit is 20`}},
	}
	for _, tt := range tests {
		var s shape
		if err := s.add("p.go", tt.source); err != nil {
			t.Fatal(err)
		}
		if got := s.violations(); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	var s shape
	if err := s.add("p.go", source); err != nil || s.complexities[0] != 9 || s.statements != 11 {
		t.Errorf("%v, complexity %v, want 9; %d statements, want 11", err, s.complexities,
			s.statements)
	}
}
