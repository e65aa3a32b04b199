package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// asRoomcast, set in the environment, makes this test binary behave as the program itself.
const asRoomcast = "ROOMCAST_TEST_AS_PROGRAM"

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) {
	if os.Getenv(asRoomcast) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// program is the command line, ready to be started, with nothing of the environment that would change it.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "ROOMCAST_") && !strings.HasPrefix(v, "COLUMNS=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, asRoomcast+"=1", "COLUMNS=110", "GORACE=atexit_sleep_ms=0")
	return cmd
}

// output runs the command line to its end.
func output(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := program(t, args...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	var failed *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return out.String(), log.String(), cmd.ProcessState.ExitCode()
}

// TestHelp holds the help to its golden files; `go test ./cmd/roomcast -update` rewrites them.
func TestHelp(t *testing.T) {
	for _, command := range []string{"", "serve", "check", "join", "watch", "send", "rooms", "bench", "token", "completion", "version"} {
		golden := "testdata/" + strings.TrimPrefix(command+"-", "-") + "help.golden"
		got, _, code := output(t, strings.Fields(command+" --help")...)
		if code != 0 {
			t.Errorf("%s: exit code %d, want 0", command, code)
		}
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("roomcast %s --help differs from %s (-update rewrites it):\n%s", command, golden, got)
		}
	}
}

// TestUsageErrors holds that a command line that makes no sense is one line that says so, and exit code 2.
func TestUsageErrors(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"", `expected one of "serve", "check", "join", "watch", "send", ...; see roomcast --help`},
		{"sing", "unexpected argument sing"},
		{"sevre", `unexpected argument sevre, did you mean "serve"?; see roomcast --help`},
		{"serve --qqqq", "unknown flag --qqqq; see roomcast serve --help"},
		{"serve --addr=here", "--addr here: write host:port such as"},
		{"serve --max-message=much", `--max-message: "much" is not a size`},
		{"serve --addr=here --max-rooms=0", "(and 1 more; roomcast check lists all)"},
		{"serve --config=nowhere.yaml", "--config nowhere.yaml: "},
		{"bench -d 5", `--duration: "5" has no unit; write 5s; see roomcast bench --help`},
		{"join a --url=http://here", "--url http://here: write it as ws://"},
		{"join", `expected "<room>"; see roomcast join --help`},
		{"watch", `expected "<room> ..."; see roomcast watch --help`},
		{"send", "no room given: write roomcast send ROOM DATA"},
		{"send a b --to-user=c", "a room, a, and --to-user or --to-connection: give one of them"},
		{"send --to-user=c --to-connection=d e", "--to-user and --to-connection can't be used together"},
		{"send --to-user=c e --key=k", "--key k: leave it out"},
		{"send a b --lines", `a message, "b", and --lines`},
		{"send a --lines --idempotency-key=k", "--idempotency-key k: leave it out with --lines"},
		{"send a b --api=here", "--api here: write it as http://"},
		{"rooms --api=ws://here", "--api ws://here: write it as http://"},
		{"completion tcsh", `must be one of "bash","zsh","fish"`},
	} {
		stdout, stderr, code := output(t, strings.Fields(c.args)...)
		if code != 2 || stdout != "" || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "roomcast: ") {
			t.Errorf("roomcast %s: code %d, stdout %q, stderr %q; want code 2 and one line with %q", c.args, code, stdout, stderr, c.want)
		}
	}
}

// TestHabits holds that what people try first works.
func TestHabits(t *testing.T) {
	for args, like := range map[string]string{
		"help": "--help", "help serve": "serve --help", "--version": "version", "-h": "--help", "version --json": "version --json",
	} {
		want, _, _ := output(t, strings.Fields(like)...)
		if got, stderr, code := output(t, strings.Fields(args)...); code != 0 || got != want || got == "" || stderr != "" {
			t.Errorf("roomcast %s: code %d, stderr %q, stdout %q; want that of roomcast %s", args, code, stderr, got, like)
		}
	}
	stdout, _, _ := output(t, "version", "--json")
	var b build
	if err := json.Unmarshal([]byte(stdout), &b); err != nil || b.Version == "" || !strings.HasPrefix(b.Go, "go1.") {
		t.Errorf("version --json: %q, %v", stdout, err)
	}
}

func TestVersion(t *testing.T) {
	stdout, _, code := output(t, "version")
	if code != 0 || !strings.HasPrefix(stdout, "roomcast ") || !strings.Contains(stdout, "commit ") || !strings.Contains(stdout, "go1.") {
		t.Errorf("code %d, stdout %q; want version, commit and toolchain", code, stdout)
	}
	got := version(&debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"},
	}}, true).String()
	if !strings.HasPrefix(got, "roomcast v1.2.3, commit abc with changes, go") {
		t.Errorf("version = %q", got)
	}
	if got := version(nil, false).String(); !strings.HasPrefix(got, "roomcast unknown, commit unknown, ") {
		t.Errorf("version without build information = %q", got)
	}
}
