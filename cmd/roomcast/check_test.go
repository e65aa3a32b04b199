package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// settingsFile writes a configuration file.
func settingsFile(t *testing.T, content string) (name string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "roomcast.yaml")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestCheck holds that check says what serve would take, and from where.
func TestCheck(t *testing.T) {
	name := settingsFile(t, "max-rooms: 7\nallowed-origin: [https://a.example, '*.b.example']\n")
	cmd := program(t, "check", "--config", name, "--addr=127.0.0.1:1")
	cmd.Env = append(cmd.Env, "ROOMCAST_OUTBOX=64KiB")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(out)) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	for _, want := range []string{
		"SETTING VALUE SOURCE", "addr 127.0.0.1:1 flag", "max-rooms 7 " + name + ":1", "allowed-origin https://a.example, *.b.example " + name + ":2",
		"outbox 64KiB environment ROOMCAST_OUTBOX", "log-level info default",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("the line %q is missing in\n%s", want, out)
		}
	}
}

// TestCheckProblems holds that everything wrong is listed, a line each, and that serve refuses the same.
func TestCheckProblems(t *testing.T) {
	name := settingsFile(t, "adr: x\nmax-rooms: many\n")
	env := []string{"ROOMCAST_COMPRESSION=perhaps", "ROOMCAST_CONFIG=" + name}
	run := func(args ...string) (stdout, stderr string, code int) {
		cmd := program(t, args...)
		cmd.Env = append(cmd.Env, env...)
		var out, log strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &log
		_ = cmd.Run() // the exit code says it
		return out.String(), log.String(), cmd.ProcessState.ExitCode()
	}
	problems := []string{
		name + `:1: no setting is named "adr"; did you mean addr?`,
		name + ":2: max-rooms many: write a whole number",
		"ROOMCAST_COMPRESSION perhaps: write true or false",
		"--log-level all: write one of debug, info, warn, error",
		"--outbox 0B: set a size from 1B up to 2047MiB",
	}
	_, stderr, code := run("check", "--log-level=all", "--outbox=0")
	if want := "roomcast: " + strings.Join(problems, "\nroomcast: ") + "\n"; code != 2 || stderr != want {
		t.Errorf("code %d, stderr\n%s\nwant 2 and\n%s", code, stderr, want)
	}
	stdout, _, code := run("check", "--log-level=all", "--outbox=0", "--json")
	var r checked
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != 2 || !slices.Equal(r.Problems, problems) {
		t.Errorf("code %d, %v, problems %q; want 2 and %q", code, err, r.Problems, problems)
	}
	at := slices.IndexFunc(r.Settings, func(s checkedSetting) bool { return s.Name == "max-rooms" })
	if at < 0 || r.Settings[at] != (checkedSetting{"max-rooms", "many", "file", name, 2}) {
		t.Errorf("settings %+v, want max-rooms with its source", r.Settings)
	}
	stdout, stderr, code = run("serve", "--log-level=all", "--outbox=0")
	if want := "roomcast: " + problems[0] + " (and 4 more; roomcast check lists all)\n"; code != 2 || stdout != "" || stderr != want {
		t.Errorf("serve: code %d, stdout %q, stderr %q; want 2 and %q", code, stdout, stderr, want)
	}
	if _, stderr, code = run("check", "--qqqq"); code != 2 || stderr != "roomcast: unknown flag --qqqq; see roomcast check --help\n" {
		t.Errorf("unknown flag: code %d, stderr %q", code, stderr)
	}
}

// TestCheckSecrets holds that secrets are checked as serve does, and shown nowhere.
func TestCheckSecrets(t *testing.T) {
	const good, bad = "swordfish-swordfish-swordfish-swordfish", "swordfish"
	for secret, want := range map[string]int{good: 0, bad: 2} {
		name := settingsFile(t, "token-secret: ["+secret+"]\n")
		for _, args := range [][]string{{}, {"--json"}} {
			cmd := program(t, append([]string{"check", "--config", name}, args...)...)
			cmd.Env = append(cmd.Env, "ROOMCAST_API_KEY="+good)
			out, _ := cmd.CombinedOutput() // the exit code says it
			if code := cmd.ProcessState.ExitCode(); code != want || strings.Contains(string(out), "swordfish") || !strings.Contains(string(out), "********") {
				t.Errorf("%q: code %d, want %d, and no secret in\n%s", args, code, want, out)
			}
			if refused := strings.Contains(string(out), "--token-secret that is given: "); refused != (want != 0) {
				t.Errorf("%q: a secret of %d bytes: %s", args, len(secret), out)
			}
		}
	}
}

// TestCheckFilesForNATS holds that files which are not what they should be are told at the start, by check and by serve, without what is in them.
func TestCheckFilesForNATS(t *testing.T) {
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage, []byte("swordfish"), 0o600); err != nil {
		t.Fatal(err)
	}
	for flags, want := range map[string]string{
		"--nats-ca=" + garbage:                                 "--nats-ca " + garbage + ": there is no certificate in it; ",
		"--nats-creds=" + garbage:                              "--nats-creds " + garbage + ": there is no token of a user in it; ",
		"--nats-creds=" + garbage + ".none":                    "--nats-creds " + garbage + ".none: no such file or directory; ",
		"--nats-cert=" + garbage + " --nats-key=" + garbage:    "--nats-cert " + garbage + ": there is no certificate in it; ",
		"--nats-cert=" + garbage + ".none --nats-key=" + "any": "--nats-cert " + garbage + ".none: no such file or directory; ",
	} {
		for _, command := range []string{"check", "serve"} {
			cmd := program(t, append([]string{command, "--addr=127.0.0.1:0", "--nats=nats://127.0.0.1:1"}, strings.Fields(flags)...)...)
			var stderr strings.Builder
			cmd.Stderr = &stderr
			_ = cmd.Run() // the exit code says it
			if code := cmd.ProcessState.ExitCode(); code != 2 || !strings.HasPrefix(stderr.String(), "roomcast: "+want) ||
				strings.Count(stderr.String(), "\n") != 1 || strings.Contains(stderr.String(), "swordfish") {
				t.Errorf("%s %s: code %d, %s; want 2 and one line with %s", command, flags, code, &stderr, want)
			}
		}
	}
}
