package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// TestForeignClientNodeWS: npm `ws` does the main job, and the handshake is looked at as HTTP.
func TestForeignClientNodeWS(t *testing.T) {
	needNode(t, "ws")
	s := serve(t)
	runNode(t, "ws.test.mjs", "http://"+s.addr)
}

// TestPageInChromium: the page does its job in a browser, with servers that it starts, restarts and asks for tokens itself. Its pictures are kept by `go test -artifacts`, or in the folder that
// ROOMCAST_SCREENSHOTS names.
func TestPageInChromium(t *testing.T) {
	t.Parallel()
	needNode(t, "ws", "playwright-core")
	needChromium(t)
	pictures := os.Getenv("ROOMCAST_SCREENSHOTS")
	if pictures == "" {
		pictures = t.ArtifactDir()
	}
	bin := binary(t)
	t.Run("what it does", func(t *testing.T) { runNode(t, "page.test.mjs", bin) })
	t.Run("how it looks", func(t *testing.T) { runNode(t, "pagelook.test.mjs", bin, pictures) })
}

// missing skips the test, or fails it where everything must be there: in CI, and with ROOMCAST_E2E=required.
func missing(t *testing.T, what string) {
	t.Helper()
	report := t.Skipf
	if slices.Contains([]string{"1", "true"}, os.Getenv("CI")) || os.Getenv("ROOMCAST_E2E") == "required" {
		report = t.Fatalf
	}
	report("not tested: %s; run \"make setup\"", what)
}

func needNode(t *testing.T, packages ...string) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		missing(t, "no node in PATH (Node 20 or newer)")
	}
	for _, name := range packages {
		if _, err := os.Stat(filepath.Join("node_modules", name, "package.json")); err != nil {
			missing(t, "the npm package "+name+" is not in internal/e2e/node_modules")
		}
	}
}

func needChromium(t *testing.T) {
	t.Helper()
	needNode(t, "playwright-core")
	if err := exec.CommandContext(t.Context(), "node", "chromium.mjs").Run(); err != nil {
		missing(t, "no Chromium or Chrome (CHROMIUM may name one)")
	}
}

// runNode runs a script of this folder with node's test runner and fails with its report if it fails.
func runNode(t *testing.T, script string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", append([]string{"--test-reporter=spec", script}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it closes its browser before it goes
	cmd.WaitDelay = 10 * time.Second
	var report bytes.Buffer
	cmd.Stdout, cmd.Stderr = &report, &report
	if err := cmd.Run(); err != nil {
		t.Fatalf("node %s: %v\n%s", script, err, report.Bytes())
	}
	t.Logf("node %s\n%s", script, report.Bytes())
}
