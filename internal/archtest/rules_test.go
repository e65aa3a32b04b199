package archtest

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// sound is a small module that keeps every rule. The cases of TestRules break it in one place each.
func sound() map[string]string {
	doc := "// Package roomcast is rooms. "
	tests := "package roomcast\n\nimport (\n\t\"testing\"\n\t\"go.uber.org/goleak\"\n)\n\nfunc TestMain(m *testing.M) { goleak.VerifyTestMain(m) }\n"
	for _, g := range strings.Fields("1 2 3 4 5 6 7 8 9 10 11") {
		doc += "G" + g + ". "
		tests += "\nfunc TestG" + g + "_Holds(t *testing.T) {}\n"
	}
	return map[string]string{
		"go.mod": "module example.com/roomcast\n\ngo 1.26\n",
		"doc.go": doc + "\npackage roomcast\n",
		"options.go": "package roomcast\n\nimport (\n\t_ \"example.com/roomcast/internal/session\"\n\t_ \"golang.org/x/sys/unix\"\n)\n\n" +
			"// Options is how a server is set up.\ntype Options struct {\n\t// Limit is in bytes.\n\tLimit int\n\tPath  string // a folder\n}\n",
		"roomcast_test.go":            tests,
		"internal/session/session.go": "package session\n\nimport _ \"github.com/gobwas/ws\"\n\n// A and B are a group.\nconst (\n\tA = 1\n\tB = 2\n)\n",
		"internal/server/server.go":   "package server\n\nimport _ \"example.com/roomcast\"\n",
		"natsengine/engine.go":        "package natsengine\n\nimport _ \"github.com/nats-io/nats.go\"\n",
		"bench/go.mod":                "module example.com/roomcast/bench\n",
		"bench/main.go":               "package main\n\nimport _ \"github.com/gorilla/websocket\"\n",
		"README.md":                   "See https://example.com/home/ and ./work/.\n",
	}
}

func load(t *testing.T, files map[string]string) *Tree {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	tree, err := Load(fsys, slices.Sorted(maps.Keys(files)))
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

const mod = "example.com/roomcast"

func importing(pkg, imp string) string { return "package " + pkg + "\n\nimport _ \"" + imp + "\"\n" }

func function(lines int) string {
	return "package x\n\nfunc f() {\n" + strings.Repeat("\t_ = 0\n", lines-2) + "}\n"
}

func fields(n int) string {
	return "package x\n\ntype t struct {\n" + strings.Repeat("\t_ int\n", n) + "}\n"
}

func comments(lines int) string { return "package x\n" + strings.Repeat("//\n", lines-1) }

// broken are files put into the sound tree, the rule they break, and what its message must contain.
var broken = []struct {
	rule, path, text, want string
}{
	{"parses", "conn.go", "package roomcast\nfunc {", "conn.go:1: does not parse"},
	{"placed", "util/util.go", "package util", "util/util.go:1: util is in no component"},

	{"arrows", "internal/session/up.go", importing("session", mod), "internal/session/up.go:3: internal/session imports example.com/roomcast (bytes in"},
	{"arrows", "internal/session/up_test.go", importing("session", mod) + leakTest, "imports example.com/roomcast"},
	{"arrows", "internal/netloop/loop.go", importing("netloop", mod+"/internal/session"), "here to nothing"},
	{"arrows", "internal/ring/ring.go", importing("ring", mod+"/internal/netloop"), "internal/ring imports"},
	{"arrows", "server.go", importing("roomcast", mod+"/internal/server"), ". imports example.com/roomcast/internal/server"},
	{"arrows", "internal/server/peek.go", importing("server", mod+"/internal/session"), "a user of roomcast's public API"},
	{"arrows", "internal/server/auth/peek.go", importing("auth", mod+"/internal/netloop"), "internal/server/auth imports"},
	{"arrows", "cmd/roomcast/main.go", importing("main", mod+"/internal/ring"), "cmd/roomcast imports"},
	{"arrows", "internal/config/config.go", importing("config", mod+"/internal/server"), "internal/config imports"},
	{"arrows", "room.go", importing("roomcast", mod+"/roomcasttest"), "roomcasttest"},
	{"arrows", "room.go", importing("roomcast", mod+"/nowhere"), "nowhere"},
	{"outside", "conn.go", importing("roomcast", "github.com/klauspost/compress"), "conn.go:3: . imports github.com/klauspost/compress"},
	{"outside", "conn_windows.go", "//go:build windows\n\n" + importing("roomcast", "github.com/x/y"), "conn_windows.go:5:"},
	{"outside", "internal/ring/ring.go", importing("ring", "golang.org/x/sys/unix"), "allowed here besides the standard library: nothing"},
	{"owners", "cmd/roomcast/main.go", importing("main", "github.com/nats-io/nats.go"), "only natsengine may"},
	{"owners", "nats_test.go", importing("roomcast", "github.com/nats-io/nats-server/v2/server"), "only natsengine may"},

	{"file-lines", "internal/ring/long.go", comments(601), "long.go:601: lines in the file: 601, budget 600: split along its nouns; do not raise the number"},
	{"file-lines", "bench/long_test.go", comments(601) + leakTest[len("package x"):], "budget 600"},
	{"function-lines", "internal/ring/f.go", function(61), "f.go:3: lines of func f: 61, budget 60: split along its nouns"},
	{"function-lines", "bench/f.go", function(61), "bench/f.go:3"},
	{"function-lines", "internal/ring/f.go", "package x\n\nvar f = func() {\n" + strings.Repeat("\n", 59) + "}\n", "a function literal: 61, budget 60"},
	{"struct-fields", "internal/ring/s.go", fields(21), "s.go:3: fields of a struct: 21, budget 20: split along its nouns"},
	{"struct-fields", "bench/s.go", "package x\n\ntype t struct { a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u int }\n", "bench/s.go:3"},

	{"documented", "conn.go", "package roomcast\n\nfunc Naked() {}\n", "conn.go:3: Naked is exported and has no doc comment"},
	{"documented", "conn.go", "package roomcast\n\n// T is.\ntype T[K any] struct{}\n\nfunc (*T[K]) Naked() {}\n", "conn.go:6: Naked"},
	{"documented", "conn.go", "package roomcast\n\n// Kinds.\ntype (\n\tNaked int\n)\n", "conn.go:5: Naked"},
	{"documented", "conn.go", "package roomcast\n\nvar a, Naked = 1, 2\n", "conn.go:3: Naked"},
	{"documented", "bench/x.go", "package main\n\n//go:noinline\nfunc Naked() {}\n", "bench/x.go:4: Naked"},
	{"options", "options.go", "package roomcast\n\n// Options is.\ntype Options struct {\n\tLimit int\n}\n", "options.go:5: Options.Limit has no comment"},

	{"no-sleep", "a_test.go", "package roomcast\n\nimport \"time\"\n\nfunc nap() { time." + "Sleep(1) }\n", "a_test.go:5: a test sleeps"},
	{"no-sleep", "a_test.go", "package roomcast\n\nimport clock \"time\"\n\nvar nap = clock.Sleep\n", "a_test.go:5: a test sleeps"},
	{"leak-check", "internal/ring/ring_test.go", "package ring\n", "the tests of internal/ring have no TestMain"},
	{"leak-check", "bench/x_test.go", "package main\n\nimport \"testing\"\n\nfunc TestMain(m *testing.M) { m.Run() }\n", "the tests of bench"},
	{"leak-check", "internal/ring/ring_test.go", "package ring\n\nimport (\n\t\"testing\"\n\t_ \"go.uber.org/goleak\"\n)\n\nfunc TestMain(m *testing.M) { m.Run() }\n", "goleak"},

	{"machine-paths", "docs/a.md", "first\nsee /ro" + "ot/notes\n", "docs/a.md:2: a path of one machine (/ro" + "ot/)"},
	{"machine-paths", "Makefile", "X = /wo" + "rk/main\n", "Makefile:1"},
	{"machine-paths", "bench/a.sh", "cd \"/ho" + "me/x\"\n", "bench/a.sh:1"},
	{"registry-hosts", "package-lock.json", "\"https://registry.npmjs" + ".org/ws/\"\n", "package-lock.json:1: a package registry"},
	{"registry-hosts", "setup.sh", "export GOPROXY=https://proxy.golang" + ".org\n", "setup.sh:1"},
}

const leakTest = "package x\n\nimport (\n\t\"testing\"\n\t\"go.uber.org/goleak\"\n)\n\nfunc TestMain(m *testing.M) { goleak.VerifyTestMain(m) }\n"

func TestSoundTreePasses(t *testing.T) {
	tree := load(t, sound())
	for _, rule := range Rules {
		for _, finding := range rule.Check(tree) {
			t.Errorf("%s: %s", rule.Name, finding)
		}
	}
}

// TestAtTheBudget holds that a budget is what may be used, not what is one too many.
func TestAtTheBudget(t *testing.T) {
	files := sound()
	files["internal/ring/f.go"], files["internal/ring/s.go"], files["internal/ring/l.go"] = function(60), fields(20), comments(600)
	files["internal/ring/generated.go"] = "// Code generated by hand. DO NOT EDIT.\n\n" + comments(700)
	files["internal/ring/testdata/x.go"] = comments(700)
	tree := load(t, files)
	for _, rule := range Rules {
		for _, finding := range rule.Check(tree) {
			t.Errorf("%s: %s", rule.Name, finding)
		}
	}
}

func TestRules(t *testing.T) {
	shown := map[string]bool{"root-lines": true, "root-files": true, "guarantees": true} // have tests of their own
	for _, c := range broken {
		shown[c.rule] = true
		t.Run(c.rule+" "+c.path, func(t *testing.T) {
			files := sound()
			files[c.path] = c.text
			expect(t, c.rule, load(t, files), c.want)
		})
	}
	for _, rule := range Rules {
		if !shown[rule.Name] {
			t.Errorf("rule %q is never shown to fail", rule.Name)
		}
		if rule.Why == "" {
			t.Errorf("rule %q has no reason", rule.Name)
		}
	}
}

func TestRootBudgets(t *testing.T) {
	files := sound() // its root has 15 lines in two files beside the tests
	for _, name := range strings.Fields("a b c d e") {
		files[name+".go"] = comments(600)
	}
	expect(t, "root-lines", load(t, files), "lines of the root package without its tests: 3015, budget 3000: split")

	for _, name := range strings.Fields("f g h i j k l m n o") {
		files[name+".go"] = "package roomcast\n"
	}
	expect(t, "root-files", load(t, files), "files of the root package without its tests: 17, budget 16: split")
}

func TestGuaranteesAreNeeded(t *testing.T) {
	files := sound()
	files["roomcast_test.go"] = strings.Replace(files["roomcast_test.go"], "TestG1_", "TestG12_", 1)
	expect(t, "guarantees", load(t, files), "guarantee G1 has no test: write one whose name begins with TestG1_")

	files = sound()
	files["doc.go"] = strings.Replace(files["doc.go"], "G11.", "", 1)
	expect(t, "guarantees", load(t, files), "guarantee G11 is not in the package documentation")
}

// expect holds that the named rule finds exactly one fault in the tree.
func expect(t *testing.T, name string, tree *Tree, want string) {
	t.Helper()
	i := slices.IndexFunc(Rules, func(r Rule) bool { return r.Name == name })
	if i < 0 {
		t.Fatalf("there is no rule %q", name)
	}
	switch found := Rules[i].Check(tree); {
	case len(found) != 1:
		t.Errorf("%d findings of rule %s, want 1: %v", len(found), name, found)
	case !strings.Contains(found[0].String(), want):
		t.Errorf("finding %q does not say %q", found[0], want)
	}
}
