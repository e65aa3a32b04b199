package main

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseFigures(t *testing.T) {
	f, err := parseFigures([]byte(`{"name":"x","mode":"fan","seconds":5.0,"missing":-2,"spin":0}`))
	if want := (figures{"seconds": 5, "missing": -2, "spin": 0}); err != nil || !maps.Equal(f, want) {
		t.Errorf("parseFigures = %v, %v, want %v", f, err, want)
	}
	for line, want := range map[string]string{
		`{"name":"x","error":"port 8090 already in use"}`: "already in use",
		`fanload: no such option`:                         "not the generator's JSON",
	} {
		if _, err := parseFigures([]byte(line)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseFigures(%s) = %v, want an error with %q", line, err, want)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		of   []float64
		want float64
	}{{nil, 0}, {[]float64{7}, 7}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 3, 2}, 2.5}} {
		before := slices.Clone(c.of)
		if got := median(c.of); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.of, got, c.want)
		}
		if !slices.Equal(before, c.of) {
			t.Errorf("median changed its argument from %v to %v", before, c.of)
		}
	}
}

// TestSummarise holds that undisturbed rounds push out the disturbed ones, and that discarded attempts do not count.
func TestSummarise(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	rec := func(server string, round int, disturbed string, discarded bool, v string) record {
		return record{Scenario: "a", Server: server, Round: round, At: at.AddDate(0, 0, round), Disturbed: disturbed, Discarded: discarded,
			Figures: []byte(`{"v":` + v + `}`)}
	}
	got, err := summarise([]record{
		rec("x", 1, "", false, "10"), rec("x", 2, "noise", true, "1000"), rec("x", 2, "", false, "30"), rec("x", 3, "noise", false, "500"),
		rec("y", 1, "noise", false, "1"), rec("y", 2, "more", false, "3"),
		{Ladder: "room", Figures: []byte(`{"batch":8,"v":5}`)},
		{Machine: &machine{CPU: "any"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	check := func(key source, v float64, rounds, disturbed int) {
		t.Helper()
		if r := got[key]; r.median["v"] != v || r.rounds != rounds || len(r.disturbed) != disturbed {
			t.Errorf("%v: %+v, want v %v of %d rounds, %d disturbed", key, r, v, rounds, disturbed)
		}
	}
	check(source{scenario: "a", server: "x"}, 20, 2, 0)
	check(source{scenario: "a", server: "y"}, 2, 2, 2)
	check(source{ladder: "room", batch: 8}, 5, 1, 0)
	if last := got[source{scenario: "a", server: "x"}].last; !last.Equal(at.AddDate(0, 0, 2)) {
		t.Errorf("last = %v, want that of the second round, which counts", last)
	}
	if _, err := summarise([]record{{Scenario: "a", Server: "x", Figures: []byte(`{"error":"no"}`)}}); err == nil {
		t.Error("summarise took a failed run")
	}
}

func TestRecordsThereAndBack(t *testing.T) {
	want := []record{
		{At: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), Machine: &machine{CPU: "any <1 GHz", Cores: 2, Versions: map[string]string{"x": "1"}}},
		{Scenario: "g", Run: "none", Server: "x", Round: 2, Disturbed: "noise", Discarded: true, Figures: []byte(`{"v":1}`)},
		{Ladder: "room", Round: 1, Figures: []byte(`{"batch":8}`)},
	}
	var b bytes.Buffer
	if err := writeRecords(&b, want...); err != nil {
		t.Fatal(err)
	}
	first := b.String()
	if n := strings.Count(first, "\n"); n != len(want) {
		t.Errorf("%d lines for %d records", n, len(want))
	}
	got, err := readRecords(&b)
	if err != nil {
		t.Fatal(err)
	}
	b.Reset()
	if err := writeRecords(&b, got...); err != nil || b.String() != first {
		t.Errorf("read and written again:\n%s%v, want\n%s", b.String(), err, first)
	}
	if _, err := readRecords(strings.NewReader("{}\n{")); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("half a line: %v, want an error that names line 2", err)
	}
}

// TestReplace holds that new runs push out the old of the same scenario and server, and that what is known of machines stays.
func TestReplace(t *testing.T) {
	old := []record{{Machine: &machine{CPU: "old"}}, {Scenario: "a", Server: "x", Round: 1}, {Scenario: "a", Server: "y"},
		{Scenario: "b", Server: "x"}, {Ladder: "room"}, {Ladder: "rooms"}}
	fresh := []record{{Machine: &machine{CPU: "new"}}, {Scenario: "a", Server: "x", Round: 7}, {Ladder: "room", Round: 7}}
	var got []string
	for _, r := range replace(old, fresh) {
		name := r.Scenario + r.Server + r.Ladder
		if r.Machine != nil {
			name = r.Machine.CPU
		}
		if r.Round == 7 {
			name += "!"
		}
		got = append(got, name)
	}
	if want := "old ay bx rooms new ax! room!"; strings.Join(got, " ") != want {
		t.Errorf("replace = %v, want %s", got, want)
	}
}

func TestDisturbance(t *testing.T) {
	calm := figures{"seconds": 5, "other_cpu_s": 0.1, "steal_s": 0.02, "client_runq_wait_s": 0.05, "client_cpu_s": 4}
	with := func(key string, v float64) figures {
		f := maps.Clone(calm)
		f[key] = v
		return f
	}
	spinning := with("client_cpu_s", 5)
	spinning["spin"] = 1
	for _, c := range []struct {
		f    figures
		want string
	}{
		{calm, ""}, {figures{}, ""}, {spinning, ""},
		{with("other_cpu_s", 1), "others had 20 % of a processor"},
		{with("steal_s", 0.5), "10 % stolen by the hypervisor"},
		{with("client_runq_wait_s", 0.5), "the generator waited 10 % of the time"},
		{with("client_cpu_s", 4.9), "the generator was busy 98 % of the time and may be the limit"},
	} {
		what, bad := disturbance(c.f)
		if what != c.want || (bad > 0) != (c.want != "") {
			t.Errorf("disturbance(%v) = %q, %v, want %q", c.f, what, bad, c.want)
		}
	}
}

func TestBest(t *testing.T) {
	recs := make([]record, 3)
	best(recs, []float64{0.5, 0.1, 0.3})
	if !recs[0].Discarded || recs[1].Discarded || !recs[2].Discarded {
		t.Errorf("best kept %+v, want the second", recs)
	}
}
