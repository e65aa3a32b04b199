package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with the file; `go test ./cmd/run -update` rewrites it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s (-update rewrites it):\n%s", name, got)
	}
}

// sample is a small comparison, made up.
func sample(t *testing.T) *summary {
	t.Helper()
	at := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	all := []record{{At: at, Machine: &machine{CPU: "Abacus 9", Cores: 2, Memory: 8 << 30, Kernel: "Linux 6.1", Virtual: true,
		Versions: map[string]string{ours: "v1, go1.26", "bun": "1.0", "gobwas": "v0.9, go1.26", "socketio": "4.0, Node v20"}}}}
	add := func(sc, run, server, disturbed, format string, args ...any) {
		all = append(all, record{Scenario: sc, Run: run, Server: server, Round: 1, At: at, Disturbed: disturbed, Figures: fmt.Appendf(nil, format, args...)})
	}
	const fan = `{"deliveries_per_s":%g,"server_cpu_ns_per_delivery_all":%g,"deliveries_per_read":%g,"lat_p50_us":%g,"lat_p99_us":%g,"missing":%d}`
	for _, sc := range []string{"a", "b", "c", "d"} {
		add(sc, "", ours, "", fan, 3e6, 300., 20., 8000., 12345., 0)
		add(sc, "", "bun", "", fan, 2.5e6, 350., 15., 9000., 20000., 0)
		add(sc, "", "gobwas", "others had 20 % of a processor", fan, 2e6, 420., 24., 900., 50.5, 1234)
	}
	add("a", "", "socketio", "", fan, 9_990., 7000., 1., 2e6, 3e6, 0)
	for server, v := range map[string]float64{ours: 512, "bun": 2000, "gobwas": 9000} {
		add("e", "", server, "", `{"rss_per_conn":%g,"rss_before":8e6,"rss_end":%g}`, v, 8e6+15000*v)
		add("f", "", server, "", `{"server_cpu_us_per_handshake":%g,"handshakes_per_s":%g,"lat_p99_us":1500,"failed":0}`, 20+v/100, 1e6/(20+v/100))
		add("g", "none", server, "", `{"deliveries_per_s":4e5,"server_cpu_ns_per_delivery_all":1500,"rss_connected":1e7,"rss_end":1.2e7}`)
		add("g", "stalled", server, "", `{"deliveries_per_s":%g,"rss_connected":1e7,"rss_end":1.5e7,"stalled_closed":50,"missing":0,"closed_by_server":%d}`,
			4e5-v*10, int(v/9000))
	}
	for _, key := range []string{oneRoom.key, coldRoom.key, manyRooms.key} {
		for _, batch := range []float64{1, 2, 32} {
			all = append(all, record{Ladder: key, At: at, Figures: fmt.Appendf(nil, `{"batch":%g,"cpu_ns_per_send":%g}`, batch, 4000+100*batch)})
		}
	}
	sum, err := summaryOf(all)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func TestReport(t *testing.T) { golden(t, "report.golden", sample(t).report()) }

func TestInsert(t *testing.T) {
	doc, err := insert(blank(), section, "first\n")
	if err != nil {
		t.Fatal(err)
	}
	doc = "By hand, above.\n" + doc + "\n## What was tried\n\nBy hand, below.\n"
	again, err := insert(doc, section, "second\n")
	if want := strings.Replace(doc, "first\n", "second\n", 1); err != nil || again != want {
		t.Errorf("inserted again: %q, %v, want %q", again, err, want)
	}
	for _, broken := range []string{"", strings.ReplaceAll(doc, ": end", "")} {
		if _, err := insert(broken, section, "x"); err == nil {
			t.Errorf("insert into %.20q… took it, want an error that names the missing line", broken)
		}
	}
}

// TestRender holds that a folder with results.json is enough for the rest, and that what stands outside the markers stays.
func TestRender(t *testing.T) {
	dir := t.TempDir()
	if err := renderFile(dir); err == nil {
		t.Error("rendered without results.json")
	}
	recs := []record{{Scenario: "a", Server: ours, Figures: []byte(`{"deliveries_per_s":1e6}`)}}
	if err := store(dir, recs); err != nil {
		t.Fatal(err)
	}
	if err := renderFile(dir); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, reportFile)
	first, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	const note = "\n## What was tried\n"
	if err := os.WriteFile(name, append(first, note...), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := renderFile(dir); err != nil {
		t.Fatal(err)
	}
	if second, err := os.ReadFile(name); err != nil || string(second) != string(first)+note {
		t.Errorf("rendered again: %s, %v", second, err)
	}
}

// TestChart holds that both variants are well-formed, name every server, and are the same each time.
func TestChart(t *testing.T) {
	sum := sample(t)
	for name, variant := range map[string]theme{"light": light, "dark": dark} {
		svg, err := sum.chart(variant)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"Roomcast", "Bun", "gobwas/ws (writev)", "Socket.IO (Node)", "3.00 M", "512 B", "Arial"} {
			if !bytes.Contains(svg, []byte(want)) {
				t.Errorf("%s: %q is missing", name, want)
			}
		}
		in := xml.NewDecoder(bytes.NewReader(svg))
		for err == nil {
			_, err = in.Token()
		}
		if !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
		if again, _ := sum.chart(variant); !bytes.Equal(again, svg) {
			t.Errorf("%s: drawn again it is another", name)
		}
	}
	if svg, err := (&summary{}).chart(light); svg != nil || err != nil {
		t.Errorf("chart of nothing = %d bytes, %v", len(svg), err)
	}
}
