package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeTools is a folder with a generator that prints what the test has prepared: for each server one line per call.
func fakeTools(t *testing.T, lines map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("LOCK", filepath.Join(dir, "lock"))
	write := func(name, text string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	for server, text := range lines {
		write(server+".lines", text, 0o644)
	}
	write("side", `#!/bin/sh
cd "$(dirname "$0")" || exit 2
echo "$@" >>calls
line=$(head -n 1 "$1.lines")
sed -i 1d "$1.lines"
echo "$line"
case $line in *error*) exit 2;; *missing*) exit 1;; esac
`, 0o755)
	write("fanlimit", `#!/bin/sh
while [ "$1" != --batch ]; do shift; done
echo "{\"batch\":$2,\"cpu_ns_per_send\":$((4000 + $2)),\"cpu_ns_per_frame\":1}"
`, 0o755)
	return dir
}

// fakePlan is two rounds of one scenario, with empty files for binaries.
func fakePlan(t *testing.T, dir, id string, names ...string) *plan {
	t.Helper()
	p := &plan{place: place{bench: dir, fanload: dir, roomcast: filepath.Join(dir, "bin", ours), port: 8090},
		repeat: 2, retries: 1, seconds: 1, warm: -1, progress: io.Discard}
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, "bin", name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
		s, _ := serverNamed(name)
		p.servers = append(p.servers, s)
	}
	sc, _ := scenarioNamed(id)
	p.scenarios = []scenario{sc}
	return p
}

// TestMeasure holds that servers take turns, that a disturbed run is made again, that losses are a result, and that a server that
// does not come up does not hold up the others.
func TestMeasure(t *testing.T) {
	dir := fakeTools(t, map[string]string{
		"roomcast": `{"seconds":1,"v":1}
{"seconds":1,"v":2,"other_cpu_s":0.9}
{"seconds":1,"v":3}
`,
		"gorilla": `{"seconds":1,"v":4,"missing":7}
{"seconds":1,"v":5,"other_cpu_s":0.9}
{"seconds":1,"v":6,"other_cpu_s":0.5}
`,
		"gobwas": `{"name":"gobwas","error":"the server did not open port 8090"}
`,
	})
	p := fakePlan(t, dir, "b", ours, "gorilla", "gobwas")
	var all []record
	err := p.measure(context.Background(), func(recs ...record) error { all = append(all, recs...); return nil })
	if err == nil || !strings.Contains(err.Error(), "did not open port") {
		t.Errorf("measure = %v, want an error that says why gobwas is missing", err)
	}
	results, err := summarise(all)
	if err != nil {
		t.Fatal(err)
	}
	if v := results[source{scenario: "b", server: ours}].median["v"]; v != 2 {
		t.Errorf("ours = %v, want the median 2 of 1 and the second attempt's 3", v)
	}
	if r := results[source{scenario: "b", server: "gorilla"}]; r.median["v"] != 4 || r.median["missing"] != 7 {
		t.Errorf("gorilla = %+v, want the round that was not disturbed, with its losses", r)
	}
	if _, ok := results[source{scenario: "b", server: "gobwas"}]; ok {
		t.Error("gobwas has figures without having run")
	}
	if v, ok := (&summary{results: results}).limitAt(oneRoom.key, 1); !ok || v != 4001 {
		t.Errorf("limit = %v, %v, want fanlimit's 4001", v, ok)
	}
	checkCalls(t, dir)
}

// checkCalls holds that the generator was called in turns, and with what.
func checkCalls(t *testing.T, dir string) {
	t.Helper()
	calls, err := os.ReadFile(filepath.Join(dir, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for line := range strings.Lines(string(calls)) {
		order = append(order, strings.Fields(line)[0])
		if want := "-c 1000 -s 16 -w 16 -z 128 -d 1 -W 2"; !strings.Contains(line, want) {
			t.Errorf("called as %s, want %s", line, want)
		}
		if strings.HasPrefix(line, "gorilla") && !strings.Contains(line, "gorilla -buffer 1024 127.0.0.1:8090") {
			t.Errorf("called as %s, want the larger buffer", line)
		}
	}
	if want := "roomcast gorilla gobwas roomcast roomcast gorilla gorilla gobwas"; strings.Join(order, " ") != want {
		t.Errorf("order %v, want %s", order, want)
	}
}

func TestCommandSaysWhatIsMissing(t *testing.T) {
	p := place{bench: t.TempDir(), roomcast: filepath.Join(t.TempDir(), "roomcast")}
	for _, s := range servers {
		want := "make bench-setup"
		if s.name == ours {
			want = "make build"
		}
		if _, err := p.command(s, 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error that says %s", s.name, err, want)
		}
	}
}
