package archtest

import (
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const root = "../.."

// TestModule checks this very module.
func TestModule(t *testing.T) {
	visitFolders(t)
	names, err := List(root)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := Load(os.DirFS(root), names)
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range Rules {
		t.Run(rule.Name, func(t *testing.T) {
			for _, finding := range rule.Check(tree) {
				t.Error(finding)
			}
			if t.Failed() {
				t.Log("why this rule: " + rule.Why)
			}
		})
	}
}

// visitFolders opens every folder, so that the go command's test cache sees a new file: git, which lists them, is another process.
func visitFolders(t *testing.T) {
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && name != "." && (d.Name()[0] == '.' || d.Name() == "node_modules") {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		t.Log(err) // a file went away meanwhile
	}
}

// TestRootDependencies checks what a user of the root package links, through all its imports and on each kind of system.
func TestRootDependencies(t *testing.T) {
	for _, goos := range []string{"linux", "darwin", "windows"} {
		cmd := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".")
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("GOOS=%s go list -deps: %v", goos, err)
		}
		deps := strings.Fields(string(out))
		if len(deps) == 0 {
			t.Fatalf("GOOS=%s: the root package is not in its own dependency list", goos)
		}
		for _, dep := range Outsiders(deps, "github.com/roomcast/roomcast", RootDependencies) {
			t.Errorf("GOOS=%s: the root package links %s; it may link %s alone: library users pay for each", goos, dep, strings.Join(RootDependencies, ", "))
		}
	}
}

func TestOutsiders(t *testing.T) {
	deps := []string{"example.com/m", "example.com/m/internal/a", "golang.org/x/sys/unix", "golang.org/x/system", "example.com/more"}
	got := Outsiders(deps, "example.com/m", []string{"golang.org/x/sys"})
	if want := []string{"golang.org/x/system", "example.com/more"}; !slices.Equal(got, want) {
		t.Errorf("Outsiders = %q, want %q", got, want)
	}
}

func TestLoadNeedsAModule(t *testing.T) {
	if _, err := Load(os.DirFS(t.TempDir()), nil); err == nil || !strings.Contains(err.Error(), "go.mod") {
		t.Errorf("Load of an empty folder = %v, want an error that names go.mod", err)
	}
	if _, err := List(t.TempDir()); err == nil || !strings.Contains(err.Error(), "git checkout") {
		t.Errorf("List outside a checkout = %v, want an error that says so", err)
	}
}

// TestComponentsSayWhy holds that each line of the map has its reason and names only folders that are on the map.
func TestComponentsSayWhy(t *testing.T) {
	for _, c := range components {
		if c.why == "" {
			t.Errorf("component %s has no reason", c.dir)
		}
		for _, dir := range slices.Concat(c.may, c.tests) {
			if to := componentOf(dir); to == nil || to.dir != dir {
				t.Errorf("component %s may import %s, which is not on the map", c.dir, dir)
			}
		}
	}
	for _, o := range owners {
		if o.why == "" || len(o.by) == 0 {
			t.Errorf("owner of %s: needs a folder and a reason", o.prefix)
		}
	}
}
