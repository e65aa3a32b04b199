package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"strings"
)

// guarantees is how many the contract numbers: G1 to G11.
const guarantees = 11

const document = "say what it does and what the caller decides by it, beginning with its name"

// checkDocumented asks for a comment on every exported name: one at the declaration, or at the group it stands in.
func checkDocumented(t *Tree) []Finding {
	var found []Finding
	for _, f := range t.written() {
		if f.Test {
			continue
		}
		for _, decl := range f.AST.Decls {
			for _, name := range undocumented(decl) {
				found = append(found, Finding{f.Path, f.line(name.Pos()), name.Name + " is exported and has no doc comment", document})
			}
		}
	}
	return found
}

func undocumented(decl ast.Decl) []*ast.Ident {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && empty(d.Doc) && exportedReceiver(d) {
			return []*ast.Ident{d.Name}
		}
	case *ast.GenDecl:
		var names []*ast.Ident
		for _, spec := range d.Specs {
			names = append(names, undocumentedSpec(d, spec)...)
		}
		return names
	}
	return nil
}

func undocumentedSpec(d *ast.GenDecl, spec ast.Spec) []*ast.Ident {
	var names []*ast.Ident
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() && empty(s.Doc) && (empty(d.Doc) || d.Lparen.IsValid()) {
			names = append(names, s.Name)
		}
	case *ast.ValueSpec:
		if !empty(s.Doc) || !empty(s.Comment) || !empty(d.Doc) {
			return nil
		}
		for _, name := range s.Names {
			if name.IsExported() {
				names = append(names, name)
			}
		}
	}
	return names
}

// exportedReceiver is true for functions and for methods a user can see.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	typ := d.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}

// checkOptions asks for a comment on every field of the root package's Options.
func checkOptions(t *Tree) []Finding {
	var found []Finding
	for _, f := range t.rootSource() {
		for _, decl := range f.AST.Decls {
			d, ok := decl.(*ast.GenDecl)
			if !ok || d.Tok != token.TYPE {
				continue
			}
			for _, spec := range d.Specs {
				typ := spec.(*ast.TypeSpec)
				if s, ok := typ.Type.(*ast.StructType); ok && typ.Name.Name == "Options" {
					found = append(found, bareFields(f, s)...)
				}
			}
		}
	}
	return found
}

func bareFields(f *File, s *ast.StructType) []Finding {
	var found []Finding
	for _, field := range s.Fields.List {
		if !empty(field.Doc) || !empty(field.Comment) {
			continue
		}
		for _, name := range field.Names {
			found = append(found, Finding{f.Path, f.line(name.Pos()), "Options." + name.Name + " has no comment",
				"say its unit, its default and what follows from it"})
		}
	}
	return found
}

var guaranteeTest = regexp.MustCompile(`^TestG([0-9]+)_`)

// checkGuarantees asks for a test with the number of every guarantee, and for the number in the root package's documentation.
func checkGuarantees(t *Tree) []Finding {
	tested, written := map[string]bool{}, ""
	for _, f := range t.written() {
		if f.Dir == "." && !f.Test {
			written += f.AST.Doc.Text()
		}
		for _, decl := range f.AST.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && f.Test && !f.Nested {
				if m := guaranteeTest.FindStringSubmatch(fn.Name.Name); m != nil {
					tested[m[1]] = true
				}
			}
		}
	}
	var found []Finding
	for i := 1; i <= guarantees; i++ {
		n := fmt.Sprint(i)
		if !tested[n] {
			found = append(found, Finding{"doc.go", 1, "guarantee G" + n + " has no test",
				"write one whose name begins with TestG" + n + "_"})
		}
		if !regexp.MustCompile(`\bG` + n + `\b`).MatchString(written) {
			found = append(found, Finding{"doc.go", 1, "guarantee G" + n + " is not in the package documentation",
				"say it there under its number"})
		}
	}
	return found
}

func empty(c *ast.CommentGroup) bool { return strings.TrimSpace(c.Text()) == "" }
