package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestComplete(t *testing.T) {
	node := newParser(&commands{}).Model.Node
	for typed, want := range map[string]string{
		"":                        "serve check join watch send rooms bench token completion version help",
		"se":                      "serve send",
		"help se":                 "serve send",
		"nope ":                   "",
		"__":                      "",
		"serve ":                  "",
		"serve --log-":            "--log-format --log-level",
		"serve --log-level ":      "debug info warn error",
		"serve --log-level d":     "debug",
		"serve --log-level=":      "--log-level=debug --log-level=info --log-level=warn --log-level=error",
		"serve --log-level =":     "debug info warn error", // as bash cuts it
		"serve --log-level = w":   "warn",
		"serve --compression ":    "",
		"serve --compression --o": "--outbox",
		"serve --config ":         "",
		"serve --nope=":           "",
		"bench --wa":              "--warmup",
		"rooms -":                 "--api --api-key --pattern --members --json --help",
		"bench -d ":               "",
		"completion ":             "bash zsh fish",
		"completion z":            "zsh",
	} {
		var got []string
		for _, c := range complete(node, strings.Split(typed, " ")) {
			got = append(got, c.word)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("roomcast %s: %q, want %q", typed, got, want)
		}
	}
	if got := complete(node, nil); len(got) == 0 {
		t.Error("nothing typed: no candidates")
	}
}

// TestBashCompletion runs the script in bash, with the program in the PATH.
func TestBashCompletion(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skipf("there is no bash: %v", err)
	}
	script, _, _ := output(t, "completion", "bash")
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(exe, filepath.Join(dir, "roomcast")); err != nil {
		t.Skipf("this system has no links: %v", err)
	}
	for typed, want := range map[string][]string{
		"roomcast se":                 {"serve", "send"},
		"roomcast ser":                {"serve"},
		"roomcast serve --log-level ": {"debug", "info", "warn", "error"},
		"roomcast serve --addr ":      nil,
	} {
		words := strings.Split(typed, " ")
		cmd := exec.CommandContext(t.Context(), bash, "--norc", "-c", script+`
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _roomcast; printf '%s\n' "${COMPREPLY[@]}"; complete -p roomcast >/dev/null`, "bash")
		cmd.Args = append(cmd.Args, words...)
		cmd.Env = append(program(t).Env, "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"))
		out, err := cmd.Output()
		if got := strings.Fields(string(out)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v; want %q", typed, got, err, want)
		}
	}
}

// TestScripts holds that each shell has a script, and that where the shell is installed it takes it.
func TestScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		script, stderr, code := output(t, "completion", shell)
		if code != 0 || stderr != "" || !strings.Contains(script, "__complete") {
			t.Errorf("%s: code %d, stderr %q, script %q", shell, code, stderr, script)
		}
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		cmd := exec.CommandContext(t.Context(), path, "-n")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s -n: %v, %s", shell, err, out)
		}
	}
}
