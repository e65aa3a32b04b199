package archtest

import (
	"fmt"
	"go/ast"
)

// The budgets of DESIGN.md. They are not raised: what does not fit is split.
const (
	maxFileLines     = 600
	maxFunctionLines = 60
	maxStructFields  = 20
	maxRootLines     = 3000
	maxRootFiles     = 16
)

const split = "split along its nouns; do not raise the number"

func over(path string, line int, what string, value, budget int) Finding {
	return Finding{path, line, fmt.Sprintf("%s: %d, budget %d", what, value, budget), split}
}

func checkFileLines(t *Tree) []Finding {
	var found []Finding
	for _, f := range t.written() {
		if n := f.lines(); n > maxFileLines {
			found = append(found, over(f.Path, n, "lines in the file", n, maxFileLines))
		}
	}
	return found
}

// checkFunctionLines counts from the func keyword to the closing brace; function literals count for themselves as well.
func checkFunctionLines(t *Tree) []Finding {
	return t.inspect(func(f *File, node ast.Node) (Finding, bool) {
		name := "a function literal"
		switch fn := node.(type) {
		case *ast.FuncDecl:
			name = "func " + fn.Name.Name
		case *ast.FuncLit:
		default:
			return Finding{}, false
		}
		first := f.line(node.Pos())
		if fn, ok := node.(*ast.FuncDecl); ok {
			first = f.line(fn.Type.Func) // without its doc comment
		}
		n := f.line(node.End()) - first + 1
		return over(f.Path, first, "lines of "+name, n, maxFunctionLines), n > maxFunctionLines
	})
}

func checkStructFields(t *Tree) []Finding {
	return t.inspect(func(f *File, node ast.Node) (Finding, bool) {
		s, ok := node.(*ast.StructType)
		if !ok {
			return Finding{}, false
		}
		n := s.Fields.NumFields()
		return over(f.Path, f.line(s.Pos()), "fields of a struct", n, maxStructFields), n > maxStructFields
	})
}

func checkRootLines(t *Tree) []Finding {
	total, last := 0, ""
	for _, f := range t.rootSource() {
		total += f.lines()
		last = f.Path
	}
	if total <= maxRootLines {
		return nil
	}
	return []Finding{over(last, 1, "lines of the root package without its tests", total, maxRootLines)}
}

func checkRootFiles(t *Tree) []Finding {
	files := t.rootSource()
	if len(files) <= maxRootFiles {
		return nil
	}
	return []Finding{over(files[maxRootFiles].Path, 1, "files of the root package without its tests", len(files), maxRootFiles)}
}

func (t *Tree) rootSource() []*File {
	var files []*File
	for _, f := range t.written() {
		if f.Dir == "." && !f.Test {
			files = append(files, f)
		}
	}
	return files
}

// inspect collects what look finds in every syntax node of every written file, modules below the root included.
func (t *Tree) inspect(look func(*File, ast.Node) (Finding, bool)) []Finding {
	var found []Finding
	for _, f := range t.written() {
		ast.Inspect(f.AST, func(node ast.Node) bool {
			if finding, bad := look(f, node); bad {
				found = append(found, finding)
			}
			return true
		})
	}
	return found
}
