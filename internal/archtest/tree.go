package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path"
	"strings"
)

// Tree is a module's files, read and parsed once and handed to every rule.
type Tree struct {
	Module string  // the module path in the root's go.mod
	Files  []*File // every text file, in the order of the listing
}

// File is one text file of a Tree.
type File struct {
	Path   string // slash-separated, relative to the root
	Dir    string // "." for the root
	Text   []byte
	Nested bool // belongs to a module of its own below the root

	// Go files only; AST is nil for everything else.
	Test      bool
	Generated bool
	AST       *ast.File
	Fset      *token.FileSet
	Broken    error // why it could not be parsed
}

// Finding is one broken rule at one place.
type Finding struct {
	Path string
	Line int
	Text string // what was found, its value and its budget
	Do   string // what to do about it
}

// String is the line a failing test prints.
func (f Finding) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", f.Path, f.Line, f.Text, f.Do)
}

// Load reads the named files of a module. Binary files and names that no longer exist are left out, and so is Go source that
// the go command ignores (testdata, folders that begin with a dot or an underscore).
func Load(fsys fs.FS, names []string) (*Tree, error) {
	mod, err := fs.ReadFile(fsys, "go.mod")
	if err != nil {
		return nil, fmt.Errorf("archtest: the root of a module has a go.mod: %w", err)
	}
	t := &Tree{Module: modulePath(mod)}
	nested := nestedModules(names)
	for _, name := range names {
		if info, err := fs.Stat(fsys, name); err != nil || !info.Mode().IsRegular() {
			continue // deleted since it was listed, or a link
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("archtest: read %s: %w", name, err)
		}
		if bytes.IndexByte(text[:min(len(text), 8000)], 0) >= 0 {
			continue
		}
		f := &File{Path: name, Dir: path.Dir(name), Text: text, Nested: inside(path.Dir(name), nested)}
		if strings.HasSuffix(name, ".go") && !ignoredByGo(name) {
			f.parse()
		}
		t.Files = append(t.Files, f)
	}
	return t, nil
}

// List names the files of the working tree in dir that are tracked or could be: everything git does not ignore.
func List(dir string) ([]string, error) {
	cmd := exec.Command("git", "ls-files", "-co", "--exclude-standard", "-z")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("archtest: git ls-files in %s (the rules are checked in a git checkout): %w", dir, err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"), nil
}

func (f *File) parse() {
	f.Test = strings.HasSuffix(f.Path, "_test.go")
	f.Fset = token.NewFileSet()
	f.AST, f.Broken = parser.ParseFile(f.Fset, f.Path, f.Text, parser.ParseComments|parser.SkipObjectResolution)
	if f.AST != nil {
		f.Generated = ast.IsGenerated(f.AST)
	}
}

// lines counts the way an editor does: a last line without a newline counts too.
func (f *File) lines() int {
	n := bytes.Count(f.Text, []byte("\n"))
	if len(f.Text) > 0 && f.Text[len(f.Text)-1] != '\n' {
		n++
	}
	return n
}

func (f *File) line(p token.Pos) int { return f.Fset.Position(p).Line }

// written yields the Go files that a person wrote and that could be parsed.
func (t *Tree) written() []*File {
	var files []*File
	for _, f := range t.Files {
		if f.AST != nil && !f.Generated {
			files = append(files, f)
		}
	}
	return files
}

// importName is the name by which f refers to the package, or "" if it does not import it.
func (f *File) importName(pkg string) string {
	for _, spec := range f.AST.Imports {
		if spec.Path.Value != `"`+pkg+`"` {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(pkg)
	}
	return ""
}

func modulePath(mod []byte) string {
	for line := range strings.Lines(string(mod)) {
		if rest, ok := strings.CutPrefix(line, "module "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// nestedModules are the folders below the root with a go.mod of their own.
func nestedModules(names []string) []string {
	var dirs []string
	for _, name := range names {
		if path.Base(name) == "go.mod" && name != "go.mod" {
			dirs = append(dirs, path.Dir(name))
		}
	}
	return dirs
}

func inside(dir string, roots []string) bool {
	for _, root := range roots {
		if dir == root || strings.HasPrefix(dir, root+"/") {
			return true
		}
	}
	return false
}

func ignoredByGo(name string) bool {
	for _, part := range strings.Split(name, "/") {
		if part == "testdata" || part == "vendor" || part[0] == '.' || part[0] == '_' {
			return true
		}
	}
	return false
}
