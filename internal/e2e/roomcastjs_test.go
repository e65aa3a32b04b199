package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const clientDir = "../../client/js"

// TestClientJS runs the JavaScript client's own tests: a network in memory, and clocks that the tests move.
func TestClientJS(t *testing.T) {
	needNode(t)
	read(t, filepath.Join(clientDir, "roomcast.js")) // so that the test cache knows what this depends on
	scripts, err := filepath.Glob(filepath.Join(clientDir, "test", "*.test.mjs"))
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no tests in %s: %v", filepath.Join(clientDir, "test"), err)
	}
	for _, script := range scripts {
		t.Run(filepath.Base(script), func(t *testing.T) {
			read(t, script)
			runNode(t, script)
		})
	}
}

// TestClientJSInNode: every event of the client's life, against the built server.
func TestClientJSInNode(t *testing.T) {
	t.Parallel() // it waits, most of the time
	runLive(t, "client.node.test.mjs")
}

// TestClientJSResumes: connections that break, in rooms with a history, with one server.
func TestClientJSResumes(t *testing.T) {
	t.Parallel()
	runLive(t, "client.resume.test.mjs")
}

// TestClientJSInCluster: likewise with three servers, of which one is killed and all are stopped and started anew, one after the other.
func TestClientJSInCluster(t *testing.T) {
	t.Parallel()
	runLive(t, "client.cluster.test.mjs")
}

// TestClientJSThroughRestarts: a hundred clients through three restarts of the server.
func TestClientJSThroughRestarts(t *testing.T) { runLive(t, "client.restarts.test.mjs") }

// TestClientJSInChromium: the module as the server serves it.
func TestClientJSInChromium(t *testing.T) {
	t.Parallel()
	needChromium(t)
	runLive(t, "client.browser.test.mjs")
}

// runLive runs a script that starts the built binary itself.
func runLive(t *testing.T, script string, args ...string) {
	t.Helper()
	needNode(t, "ws", "playwright-core")
	read(t, filepath.Join(clientDir, "roomcast.js")) // so that the test cache knows what this depends on
	runNode(t, script, append([]string{binary(t)}, args...)...)
}

// TestClientJSTypes holds that the types that are shipped are those of the source, which tsc checks on the way.
func TestClientJSTypes(t *testing.T) {
	needNode(t, "typescript")
	read(t, filepath.Join(clientDir, "roomcast.js"))
	dir := t.TempDir()
	tsc := exec.CommandContext(t.Context(), "node", "node_modules/typescript/bin/tsc", "-p", clientDir, "--outDir", dir)
	if out, err := tsc.CombinedOutput(); err != nil {
		t.Fatalf("tsc -p %s: %v\n%s", clientDir, err, out)
	}
	if read(t, filepath.Join(dir, "roomcast.d.ts")) != read(t, filepath.Join(clientDir, "roomcast.d.ts")) {
		t.Error("client/js/roomcast.d.ts is not that of roomcast.js: run internal/e2e/node_modules/.bin/tsc -p client/js")
	}
}

// TestClientJSPackage holds that npm packs what a user needs, and nothing else.
func TestClientJSPackage(t *testing.T) {
	needNode(t)
	if _, err := exec.LookPath("npm"); err != nil {
		missing(t, "no npm in PATH")
	}
	read(t, filepath.Join(clientDir, "package.json"))
	npm := exec.CommandContext(t.Context(), "npm", "pack", "--dry-run", "--json", "--ignore-scripts", "--offline")
	npm.Dir = clientDir
	out, err := npm.Output()
	if err != nil {
		t.Fatalf("npm pack: %v\n%s", err, out)
	}
	var packed []struct {
		Files []struct{ Path string }
	}
	if err := json.Unmarshal(out, &packed); err != nil || len(packed) != 1 {
		t.Fatalf("npm pack --json: %v\n%s", err, out)
	}
	var files []string
	for _, file := range packed[0].Files {
		files = append(files, file.Path)
	}
	slices.Sort(files)
	if got, want := strings.Join(files, " "), "LICENSE README.md package.json roomcast.d.ts roomcast.js"; got != want {
		t.Errorf("the package holds %s; want %s", got, want)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
