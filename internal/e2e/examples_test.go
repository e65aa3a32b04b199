package e2e

import (
	"io/fs"
	"os"
	"os/exec"
	"testing"
)

// TestExamples: the chat and the cursors in two pages each, the notifications from Python to Node.
func TestExamples(t *testing.T) {
	t.Parallel()
	needChromium(t)
	if _, err := exec.LookPath("python3"); err != nil {
		missing(t, "no python3 in PATH")
	}
	err := fs.WalkDir(os.DirFS("../../examples"), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			read(t, "../../examples/"+name) // so that the test cache knows what this depends on
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	runLive(t, "examples.test.mjs")
}
