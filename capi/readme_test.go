//go:build cgo && linux

package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadme does in a fresh copy of the checkout what the README says, line by line, and talks to the relays that come of it.
func TestReadme(t *testing.T) {
	for _, tool := range []string{"make", "pkg-config", "python3"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(t, "no "+tool+" in PATH; run \"make setup\"")
		}
	}
	var setUp, relays []string
	for _, line := range readmeLines(t, "From C and other languages") {
		if strings.Contains(line, "relay 9000") || strings.Contains(line, "relay.py 9000") {
			relays = append(relays, line)
		} else {
			setUp = append(setUp, line)
		}
	}
	if len(relays) != 2 {
		t.Fatalf("the README starts %q, want a relay in C and one in Python", relays)
	}
	checkout, home := freshCopy(t), t.TempDir()
	shell := func(script string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), "bash", "-ec", script)
		cmd.Dir = checkout
		cmd.Env = append(goSettings(t), "HOME="+home)
		return cmd
	}
	if out, err := shell(strings.Join(setUp, "\n")).CombinedOutput(); err != nil {
		t.Fatalf("%s\n%v\n%s", strings.Join(setUp, "\n"), err, out)
	}
	for _, line := range relays {
		t.Run(strings.Fields(line)[0], func(t *testing.T) {
			port := freePort(t)
			script := "exec " + strings.Replace(line, "9000", port, 1)
			for _, l := range setUp {
				if strings.HasPrefix(l, "export ") {
					script = l + "\n" + script
				}
			}
			relay := start(t, shell(script))
			relay.await(t, "Relaying on ")
			chat(t, relay, "ws://127.0.0.1:"+port+"/any/path")
		})
	}
}

// chat is what a relay is there for: each message reaches the others, and Ctrl-C ends it in good order.
func chat(t *testing.T, relay *program, url string) {
	a, b, c := dial(t, url, nil), dial(t, url, nil), dial(t, url, nil)
	a.send("grüße, 世界 👋")
	b.expect("grüße, 世界 👋")
	c.expect("grüße, 世界 👋")
	b.send("to the others")
	a.expect("to the others") // and not its own message before it
	c.expect("to the others")
	if err := c.Close(4001, "bye"); err != nil {
		t.Errorf("close: %v", err)
	}
	a.send("still here")
	b.expect("still here")
	relay.interrupt(t)
	a.expectClose(1001)
	b.expectClose(1001)
	if stderr := relay.finish(t); stderr != "" {
		t.Errorf("standard error: %s", stderr)
	}
}

// missing skips the test, or fails it where everything must be there: in CI.
func missing(t *testing.T, what string) {
	t.Helper()
	if ci := os.Getenv("CI"); ci == "1" || ci == "true" {
		t.Fatal("not tested: " + what)
	}
	t.Skip("not tested: " + what)
}

// readmeLines returns the lines of the first shell block of a section of the README.
func readmeLines(t *testing.T, section string) []string {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(readme), "\n## "+section+"\n")
	_, text, open := strings.Cut(text, "\n```sh\n")
	text, _, closed := strings.Cut(text, "\n```")
	if !found || !open || !closed {
		t.Fatalf("the README has no section %q with a shell block", section)
	}
	return strings.Split(text, "\n")
}

// freshCopy copies the files that git has, or would have, into a folder, which it returns.
func freshCopy(t *testing.T) string {
	t.Helper()
	to := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "git", "-C", "..", "ls-files", "-co", "--exclude-standard", "-z").Output()
	if err != nil {
		t.Fatalf("git ls-files (this test needs a git checkout): %v", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		from := filepath.Join("..", name)
		info, err := os.Stat(from)
		if err != nil || !info.Mode().IsRegular() {
			continue // deleted since it was listed, or a link
		}
		text, err := os.ReadFile(from)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), text, info.Mode().Perm())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// goSettings is the environment, with what the go command would otherwise look for in another home.
func goSettings(t *testing.T) []string {
	t.Helper()
	env := os.Environ()
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOSUMDB", "GOFLAGS", "GOENV"} {
		out, _ := run(t, "go", "env", name)
		env = append(env, name+"="+strings.TrimSpace(out))
	}
	return env
}
