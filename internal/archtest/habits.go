package archtest

import (
	"bytes"
	"go/ast"
	"regexp"
	"slices"
	"strings"
)

func checkNoSleep(t *Tree) []Finding {
	return t.inspect(func(f *File, node ast.Node) (Finding, bool) {
		sel, ok := node.(*ast.SelectorExpr)
		if !ok || !f.Test || sel.Sel.Name != "Sleep" {
			return Finding{}, false
		}
		pkg, ok := sel.X.(*ast.Ident)
		finding := Finding{f.Path, f.line(sel.Pos()), "a test sleeps",
			"wait for the event itself (a channel, a read), or use testing/synctest over pipes"}
		return finding, ok && pkg.Name == f.importName("time")
	})
}

const leakChecker = "go.uber.org/goleak"

// checkLeakCheck asks every folder with tests for a TestMain that uses goleak.
func checkLeakCheck(t *Tree) []Finding {
	firstTest, checked := map[string]*File{}, map[string]bool{}
	var dirs []string
	for _, f := range t.written() {
		if !f.Test {
			continue
		}
		if firstTest[f.Dir] == nil {
			firstTest[f.Dir] = f
			dirs = append(dirs, f.Dir)
		}
		if leakChecked(f) {
			checked[f.Dir] = true
		}
	}
	var found []Finding
	for _, dir := range dirs {
		if !checked[dir] {
			found = append(found, Finding{firstTest[dir].Path, 1, "the tests of " + dir + " have no TestMain that uses goleak",
				"add func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }"})
		}
	}
	return found
}

func leakChecked(f *File) bool {
	name := f.importName(leakChecker)
	if name == "" {
		return false
	}
	for _, decl := range f.AST.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Recv != nil || fn.Name.Name != "TestMain" {
			continue
		}
		used := false
		ast.Inspect(fn, func(node ast.Node) bool {
			if sel, ok := node.(*ast.SelectorExpr); ok {
				pkg, ok := sel.X.(*ast.Ident)
				used = used || ok && pkg.Name == name
			}
			return true
		})
		return used
	}
	return false
}

// The names of machines and registries are written in two halves: this file is searched like any other.
var (
	machinePath = regexp.MustCompile(`(^|[^A-Za-z0-9_.~)}-])/(wo` + `rk|ro` + `ot|ho` + `me)/`)
	registries  = regexp.MustCompile(`\b(` + strings.Join([]string{
		`proxy\.golang` + `\.org`, `sum\.golang` + `\.org`, `goproxy` + `\.(io|cn)`,
		`registry\.npmjs` + `\.org`, `registry\.yarnpkg` + `\.com`, `registry\.npmmirror` + `\.com`,
		`(deb|security)\.debian` + `\.org`, `(archive|security)\.ubuntu` + `\.com`, `pypi` + `\.org`, `registry-1\.docker` + `\.io`,
	}, "|") + `)`)
)

func checkMachinePaths(t *Tree) []Finding {
	return t.search(machinePath, "a path of one machine", "make it relative to the checkout, or read it from the environment")
}

func checkRegistryHosts(t *Tree) []Finding {
	return t.search(registries, "a package registry", "leave it out: the go, npm and apt settings of the machine say it")
}

// search looks for a pattern in every text file, modules below the root included.
func (t *Tree) search(pattern *regexp.Regexp, what, do string) []Finding {
	var found []Finding
	for _, f := range t.Files {
		if !pattern.Match(f.Text) {
			continue
		}
		for i, line := range slices.Collect(bytes.Lines(f.Text)) {
			if m := pattern.Find(line); m != nil {
				found = append(found, Finding{f.Path, i + 1, what + " (" + strings.TrimSpace(string(m)) + ")", do})
			}
		}
	}
	return found
}
