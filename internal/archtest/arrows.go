package archtest

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// component is one folder with everything below it, and all it may import. What is not listed is refused.
type component struct {
	dir     string   // relative to the module, "." is the root package alone
	may     []string // other components
	tests   []string // other components that its tests may import besides
	outside []string // import path prefixes outside the module and the standard library; tests are free to use any
	why     string
}

// components is the map of DESIGN.md: imports point only downward.
var components = []component{
	{"internal/session", nil, nil, []string{"github.com/gobwas"},
		"bytes in, messages out: a leaf without I/O knows nothing of rooms, and can be fuzzed alone"},
	{"internal/netloop", nil, nil, []string{"golang.org/x/sys"},
		"a leaf that moves bytes knows neither frames nor rooms"},
	{"internal/door", []string{"internal/session", "internal/netloop"}, nil, nil,
		"who comes in, and how a request is answered, is a matter of bytes and net/http: what an upgraded connection is, it is not told"},
	{"internal/ring", nil, nil, nil,
		"a data structure knows nobody"},
	{"internal/loadgen", nil, []string{"."}, []string{"github.com/gobwas/ws", "github.com/HdrHistogram"},
		"a judge of the server has no code in common with it, and can be pointed at any other"},
	{"internal/wheel", nil, nil, nil,
		"a data structure knows nobody"},
	{"internal/mailbox", nil, nil, nil,
		"a data structure knows nobody"},
	{"internal/tally", nil, nil, nil,
		"numbers know nobody"},
	{"internal/roomname", nil, nil, nil,
		"what a name may be is no matter of what it names"},
	{".", []string{"internal/session", "internal/netloop", "internal/door", "internal/wheel", "internal/mailbox", "internal/roomname", "internal/tally"}, []string{"memengine", "roomcasttest"},
		[]string{"github.com/gobwas/ws", "golang.org/x/sys"},
		"library users must not pay for the server, its flags or the cluster"},
	{"roomcasttest", []string{"."}, nil, []string{"github.com/gobwas/ws"},
		"users' tests import it: it costs them nothing that roomcast does not cost already"},
	{"memengine", []string{".", "internal/ring"}, []string{"roomcasttest"}, nil,
		"an engine implements roomcast's interface through its public API; its history is a data structure that could serve others"},
	{"natsengine", []string{"."}, []string{"roomcasttest"}, []string{"github.com/nats-io"},
		"an engine implements roomcast's interface through its public API, like anybody's engine"},
	{"internal/pattern", nil, nil, nil,
		"what a name fits is no matter of rooms, tokens or flags"},
	{"internal/config", []string{".", "internal/loadgen", "internal/pattern"}, nil, []string{"github.com/alecthomas/kong", "go.yaml.in/yaml"},
		"settings are translated for roomcast and for the load generator; who uses them is no matter of theirs"},
	{"client/js", nil, nil, nil,
		"one file of JavaScript to be served: it runs in the browser, not here"},
	{"internal/server", []string{".", "client/js", "internal/config", "internal/pattern", "memengine", "natsengine"}, []string{"roomcasttest"},
		[]string{"github.com/danielgtaylor/huma", "github.com/golang-jwt", "github.com/MicahParks", "github.com/prometheus", "golang.org/x/time"},
		"the binary is a user of roomcast's public API: what it cannot do with it, no user can"},
	{"internal/client", nil, []string{"internal/server"}, []string{"github.com/coder/websocket"},
		"a client knows the server from docs/protocol.md alone: what it needs besides, nobody could write a client without"},
	{"cmd", []string{".", "internal/client", "internal/config", "internal/loadgen", "internal/server", "natsengine"}, []string{"roomcasttest"},
		[]string{"github.com/alecthomas/kong", "github.com/golang-jwt"},
		"a main is thin: flags in, server run; it sees the public API alone"},
	{"capi", []string{".", "internal/config", "internal/server", "natsengine"}, []string{"roomcasttest"}, nil,
		"the C library is a user of roomcast's public API like the binary"},
	{"examples", []string{".", "natsengine"}, []string{"roomcasttest"}, nil,
		"an example shows what a user of the module can write"},
	{"internal/e2e", nil, []string{"roomcasttest"}, nil,
		"end-to-end tests see the built binary from outside"},
	{"internal/chaos", nil, nil, []string{"github.com/coder/websocket"},
		"the fault suite sees built binaries from outside, and judges by what clients saw"},
	{"internal/archtest", nil, nil, nil,
		"the judge has no relations"},
}

// owners are dependencies that one component alone may import, its tests included.
var owners = []struct {
	prefix string
	by     []string
	why    string
}{
	{"github.com/nats-io", []string{"natsengine"}, "nobody pays for the cluster unless he imports the engine"},
}

// RootDependencies is all that the root package may link besides the module and the standard library, tests left aside.
var RootDependencies = []string{"github.com/gobwas/ws", "github.com/gobwas/httphead", "github.com/gobwas/pool", "golang.org/x/sys"}

// Outsiders returns the packages of a dependency list (`go list -deps`, the standard library left out) that are neither in
// the module nor below an allowed prefix.
func Outsiders(deps []string, module string, allowed []string) []string {
	var found []string
	for _, dep := range deps {
		if !hasPath(dep, module) && !underAny(dep, allowed) {
			found = append(found, dep)
		}
	}
	return found
}

func checkPlaced(t *Tree) []Finding {
	var found []Finding
	seen := map[string]bool{}
	for _, f := range t.Files {
		if f.AST == nil || f.Nested || seen[f.Dir] || componentOf(f.Dir) != nil {
			continue
		}
		seen[f.Dir] = true
		found = append(found, Finding{f.Path, 1, f.Dir + " is in no component",
			"give the new folder its line, with a reason, in components (internal/archtest/arrows.go)"})
	}
	return found
}

func checkArrows(t *Tree) []Finding {
	var found []Finding
	t.eachImport(func(f *File, line int, imp string) {
		if !hasPath(imp, t.Module) {
			return
		}
		from, to := componentOf(f.Dir), componentOf(t.dirOf(imp))
		switch {
		case from == nil: // checkPlaced has said so
		case to != nil && (to == from || slices.Contains(from.may, to.dir)):
		case to != nil && f.Test && slices.Contains(from.tests, to.dir):
		default:
			found = append(found, Finding{f.Path, line, fmt.Sprintf("%s imports %s (%s)", f.Dir, imp, from.why),
				fmt.Sprintf("imports point only downward, here to %s: move the shared noun down, or declare an interface where it is used", listOf(from.may))})
		}
	})
	return found
}

func checkOutside(t *Tree) []Finding {
	var found []Finding
	t.eachImport(func(f *File, line int, imp string) {
		from := componentOf(f.Dir)
		if from == nil || f.Test || standard(imp) || hasPath(imp, t.Module) || underAny(imp, from.outside) {
			return
		}
		found = append(found, Finding{f.Path, line, fmt.Sprintf("%s imports %s (%s)", f.Dir, imp, from.why),
			fmt.Sprintf("allowed here besides the standard library: %s; do without it, or record the decision in docs/decisions first", listOf(from.outside))})
	})
	return found
}

func checkOwners(t *Tree) []Finding {
	var found []Finding
	t.eachImport(func(f *File, line int, imp string) {
		for _, o := range owners {
			from := componentOf(f.Dir)
			if !hasPath(imp, o.prefix) || from != nil && slices.Contains(o.by, from.dir) {
				continue
			}
			found = append(found, Finding{f.Path, line, fmt.Sprintf("%s imports %s (%s)", f.Dir, imp, o.why),
				fmt.Sprintf("only %s may: use what it offers, or move the code there", listOf(o.by))})
		}
	})
	return found
}

// eachImport calls visit for every import of the module's own Go files; modules below it have their own rules.
func (t *Tree) eachImport(visit func(f *File, line int, imp string)) {
	for _, f := range t.Files {
		if f.AST == nil || f.Nested {
			continue
		}
		for _, spec := range f.AST.Imports {
			if imp, err := strconv.Unquote(spec.Path.Value); err == nil {
				visit(f, f.line(spec.Pos()), imp)
			}
		}
	}
}

// dirOf is the folder of one of the module's own packages.
func (t *Tree) dirOf(imp string) string {
	return path.Clean(strings.TrimPrefix(strings.TrimPrefix(imp, t.Module), "/"))
}

// componentOf is the component a folder lies in. The root package has no folders below it: those are components themselves.
func componentOf(dir string) *component {
	for i, c := range components {
		if dir == c.dir || c.dir != "." && hasPath(dir, c.dir) {
			return &components[i]
		}
	}
	return nil
}

// standard reports whether an import path belongs to the standard library (or to cgo): those have no dot in the first element.
func standard(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	return !strings.Contains(first, ".")
}

// hasPath reports whether p is the path root or lies below it.
func hasPath(p, root string) bool { return p == root || strings.HasPrefix(p, root+"/") }

func underAny(p string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return hasPath(p, root) })
}

func listOf(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}
