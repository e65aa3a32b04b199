package main

import (
	"math"
	"strings"
	"testing"
)

func TestFormats(t *testing.T) {
	for _, c := range []struct {
		format func(float64) string
		v      float64
		want   string
	}{
		{count, 2_720_000, "2.72 M"}, {count, 31_400, "31.4 k"}, {count, 999_499, "999 k"}, {count, 999_500, "1.00 M"}, {count, 6_789, "6,789"},
		{nanoseconds, 98.76, "98.8 ns"}, {nanoseconds, 999.4, "999 ns"}, {nanoseconds, 4480, "4.48 µs"},
		{microseconds, 12.34, "12.3 µs"}, {microseconds, 6130, "6.13 ms"}, {microseconds, 1_230_000, "1.23 s"},
		{bytes1024, 600, "600 B"}, {bytes1024, 8271, "8.08 KiB"}, {bytes1024, 5 << 20, "5.00 MiB"},
		{times, 19.34, "19.3 ×"}, {times, 0.852, "0.85 ×"}, {times, 0.0456, "0.046 ×"}, {percent, 0.9549, "95.5 %"}, {plain, 0, "0"},
		{whole, 1_234_567, "1,234,567"}, {whole, -1234, "-1,234"}, {whole, -0.2, "0"}, {whole, 999, "999"},
	} {
		if got := c.format(c.v); got != c.want {
			t.Errorf("%v is written %q, want %q", c.v, got, c.want)
		}
	}
}

// TestLimitAt holds that the kernel's cost lies on the straight line between two steps, and goes on above the last.
func TestLimitAt(t *testing.T) {
	sum := &summary{results: map[source]result{}}
	if _, ok := sum.limitAt("room", 4); ok {
		t.Error("a limit without a ladder")
	}
	step := func(batch int, send float64) {
		sum.results[source{ladder: "room", batch: batch}] = result{median: figures{sendField: send}}
	}
	step(8, 4800)
	if v, ok := sum.limitAt("room", 100); !ok || v != 600 {
		t.Errorf("with a single step: %v, %v, want that step's 600", v, ok)
	}
	step(1, 4100)
	step(16, 6400)
	for batch, want := range map[float64]float64{0.5: 4100, 1: 4100, 4.5: 4450 / 4.5, 8: 600, 12: 5600. / 12, 16: 400, 32: 9600. / 32} {
		if v, ok := sum.limitAt("room", batch); !ok || math.Abs(v-want) > 1e-9 {
			t.Errorf("at %v frames: %v, want %v", batch, v, want)
		}
	}
}

// TestScenarios holds that every table is sorted by something it has, and that the goals are of scenarios there are.
func TestScenarios(t *testing.T) {
	seen := map[string]bool{}
	for _, sc := range scenarios {
		if seen[sc.id] || len(sc.runs) == 0 || len(sc.columns) == 0 || sc.order == "" || sc.about == "" {
			t.Errorf("scenario %q is there twice, or lacks something", sc.id)
		}
		seen[sc.id] = true
	}
	for _, g := range goals {
		if !seen[g.scenario] {
			t.Errorf("goal %q is of scenario %q, which there is not", g.text, g.scenario)
		}
	}
	for _, p := range panels {
		if !seen[p.scenario] {
			t.Errorf("panel %q is of scenario %q, which there is not", p.title, p.scenario)
		}
	}
}

func TestRunCommand(t *testing.T) {
	r := run{args: "-c 10 --mode idle", seconds: 3}
	if got, want := r.command(server{}, -1, -1), "-c 10 --mode idle -d 3 -W 0"; got != want {
		t.Errorf("command = %q, want %q", got, want)
	}
	if got, want := r.command(server{proto: "socketio"}, 0.5, 2), "-c 10 --mode idle -d 0.5 -W 2 --proto socketio"; got != want {
		t.Errorf("command = %q, want %q", got, want)
	}
}

func TestMachine(t *testing.T) {
	model, virtual := parseCPU("processor\t: 0\nmodel name\t: Abacus 9\ncpu family\t: 6\nmodel\t\t: 7\nflags\t\t: fpu hypervisor sse\nprocessor\t: 1\nmodel name\t: other\n")
	if model != "Abacus 9 (family 6, model 7)" || !virtual {
		t.Errorf("parseCPU = %q, %v", model, virtual)
	}
	if model, virtual := parseCPU(""); model != "unknown" || virtual {
		t.Errorf("parseCPU of nothing = %q, %v", model, virtual)
	}
	if got := parseMemory("MemFree: 1 kB\nMemTotal:       2048 kB\n"); got != 2<<20 {
		t.Errorf("parseMemory = %v, want 2 MiB", got)
	}
}

func TestParseCommandLine(t *testing.T) {
	o, err := parse([]string{"-servers", "roomcast,bun", "-scenarios", "a, c", "-repeat", "1", "-seconds", "2"})
	if err != nil {
		t.Fatal(err)
	}
	if len(o.servers) != 2 || o.servers[1].name != "bun" || len(o.scenarios) != 2 || o.scenarios[1].id != "c" || o.seconds != 2 || o.repeat != 1 {
		t.Errorf("parse = %+v", o)
	}
	for args, want := range map[string]string{
		"-servers nginx": `no "nginx"`, "-scenarios a,z": `no "z"`, "-repeat 0": "at least 1", "-add": "needs -write", "now": "unexpected",
	} {
		if _, err := parse(strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parse(%s) = %v, want an error with %q", args, err, want)
		}
	}
}
