package main

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

// A mutant replaces some bytes of one file.
type mutant struct {
	id         int
	file       string // relative to the module
	source     []byte
	start, end int // of the bytes that text replaces
	text       string
}

func (m mutant) apply() []byte {
	return []byte(string(m.source[:m.start]) + m.text + string(m.source[m.end:]))
}

func (m mutant) position() string {
	return fmt.Sprintf("%s:%d", m.file, 1+strings.Count(string(m.source[:m.start]), "\n"))
}

// String returns the id, the position and the change: the line with "old -> new" in brackets.
func (m mutant) String() string {
	before, after := string(m.source[:m.start]), string(m.source[m.end:])
	before = before[strings.LastIndex(before, "\n")+1:]
	after, _, _ = strings.Cut(after, "\n")
	old := strings.Join(strings.Fields(string(m.source[m.start:m.end])), " ")
	if len(old) > 100 {
		old = old[:100] + "…"
	}
	return fmt.Sprintf("#%d %s: %s[%s -> %s]%s",
		m.id, m.position(), strings.TrimLeft(before, "\t"), old, m.text, after)
}

// findMutants returns the mutants of the files that are built on this system, in a fixed order.
func findMutants(dir string, packages []string) (all []mutant, err error) {
	for _, p := range packages {
		names, err := filepath.Glob(filepath.Join(dir, "internal", p, "*.go"))
		if err != nil || len(names) == 0 {
			return nil, fmt.Errorf("no files in internal/%s: %v", p, err)
		}
		for _, name := range names {
			match, err := build.Default.MatchFile(filepath.Split(name))
			if err != nil || !match || strings.HasSuffix(name, "_test.go") {
				continue
			}
			source, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			f := finder{positions: token.NewFileSet(), source: source}
			if f.file, err = filepath.Rel(dir, name); err != nil {
				return nil, err
			}
			const mode = parser.SkipObjectResolution
			parsed, err := parser.ParseFile(f.positions, name, source, mode)
			if err != nil {
				return nil, err
			}
			ast.Inspect(parsed, f.visit)
			all = append(all, f.found...)
		}
	}
	for i := range all {
		all[i].id = i
	}
	return all, nil
}

type finder struct {
	positions *token.FileSet
	file      string
	source    []byte
	found     []mutant
}

func (f *finder) offset(p token.Pos) int { return f.positions.Position(p).Offset }

func (f *finder) text(n ast.Node) string {
	return string(f.source[f.offset(n.Pos()):f.offset(n.End())])
}

func (f *finder) replace(from, to token.Pos, text string) {
	f.found = append(f.found, mutant{
		file: f.file, source: f.source, start: f.offset(from), end: f.offset(to), text: text,
	})
}

// removeElement removes an element of a list, with the comma after or before the element.
func removeElement[T ast.Node](f *finder, list []T, i int) {
	switch {
	case i+1 < len(list):
		f.replace(list[i].Pos(), list[i+1].Pos(), "")
	case i > 0:
		f.replace(list[i-1].End(), list[i].End(), "")
	default:
		f.replace(list[i].Pos(), list[i].End(), "")
	}
}

var otherOperator = map[token.Token]string{
	token.LAND: "||", token.LOR: "&&", token.ADD: "-", token.SUB: "+",
	token.LSS: "<=", token.LEQ: "<", token.GTR: ">=", token.GEQ: ">", token.EQL: "!=", token.NEQ: "==",
}

// visit is a table: the mutants of each kind of node.
func (f *finder) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.ImportSpec:
		return false
	case *ast.Field: // a struct tag is not mutated
		return n.Tag == nil
	case *ast.FuncDecl:
		f.function(n.Type, n.Body)
	case *ast.FuncLit:
		f.function(n.Type, n.Body)
	case *ast.IfStmt:
		if b, ok := n.Cond.(*ast.BinaryExpr); !ok || b.Op != token.EQL && b.Op != token.NEQ {
			f.replace(n.Cond.Pos(), n.Cond.End(), "!("+f.text(n.Cond)+")")
		}
	case *ast.BinaryExpr:
		if other := otherOperator[n.Op]; other != "" {
			f.replace(n.OpPos, n.OpPos+token.Pos(len(n.Op.String())), other)
		}
		lit, ok := n.X.(*ast.BasicLit)
		if ok && n.Op == token.MUL && strings.HasPrefix(f.text(n.Y), "time.") {
			f.replace(lit.Pos(), lit.End(), lit.Value+"0") // ten times as long
		}
	case *ast.ExprStmt, *ast.IncDecStmt, *ast.DeferStmt, *ast.BranchStmt:
		f.replace(n.Pos(), n.End(), "")
	case *ast.AssignStmt:
		f.assignment(n)
	case *ast.Ident:
		switch n.Name {
		case "true":
			f.replace(n.Pos(), n.End(), "false")
		case "false":
			f.replace(n.Pos(), n.End(), "true")
		}
	case *ast.BasicLit:
		f.literal(n)
	case *ast.CompositeLit:
		for i := range n.Elts {
			removeElement(f, n.Elts, i)
		}
	case *ast.CaseClause:
		if len(n.List) > 1 {
			for i := range n.List {
				removeElement(f, n.List, i)
			}
		}
		if len(n.List) > 0 {
			f.replace(n.Pos(), n.End(), "")
		}
	}
	return true
}

func (f *finder) assignment(n *ast.AssignStmt) {
	if n.Tok == token.ASSIGN && len(n.Lhs) == 1 && f.text(n.Rhs[0]) != "nil" {
		f.replace(n.Lhs[0].Pos(), n.Lhs[0].End(), "_") // what the value uses stays in use
	} else if n.Tok != token.DEFINE {
		f.replace(n.Pos(), n.End(), "")
	}
}

func (f *finder) literal(n *ast.BasicLit) {
	switch {
	case n.Kind == token.INT && n.Value == "0":
		f.replace(n.Pos(), n.End(), "1")
	case n.Kind == token.INT && n.Value == "1":
		f.replace(n.Pos(), n.End(), "0")
	case n.Kind == token.INT:
		f.replace(n.Pos(), n.End(), "("+n.Value+"+1)")
	case n.Kind == token.STRING && len(n.Value) > 2:
		f.replace(n.Pos(), n.End(), `""`)
	}
}

// function finds a return of nil in place of each error, and a return before the first statement.
func (f *finder) function(t *ast.FuncType, body *ast.BlockStmt) {
	if body == nil || len(body.List) == 0 {
		return
	}
	first := body.List[0].Pos()
	if t.Results == nil {
		f.replace(first, first, "return; ")
		return
	}
	results := t.Results.List
	if f.text(results[len(results)-1].Type) != "error" {
		return
	}
	if t.Results.NumFields() == 1 {
		f.replace(first, first, "if true { return nil }; ")
	}
	ast.Inspect(body, func(n ast.Node) bool {
		if r, ok := n.(*ast.ReturnStmt); ok && len(r.Results) == t.Results.NumFields() {
			if last := r.Results[len(r.Results)-1]; f.text(last) != "nil" {
				f.replace(last.Pos(), last.End(), "nil")
			}
		}
		_, inner := n.(*ast.FuncLit)
		return !inner
	})
}
