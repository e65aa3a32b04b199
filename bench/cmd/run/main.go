// Command run is the comparison: it puts the same scenarios to Roomcast and to the relays in peers/, each in turn, with an independent
// load generator, and writes results.json, RESULTS.md and the chart. `go run ./cmd/run -help` lists the flags.
package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// The files that are written.
const (
	resultsFile = "results.json"
	reportFile  = "RESULTS.md"
	chartFile   = "chart.svg"
	darkFile    = "chart-dark.svg"
)

// options are the command line.
type options struct {
	plan
	write, add, render bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := compare(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func compare(ctx context.Context, args []string) error {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if o.render {
		return renderFile(o.bench)
	}
	if err := o.check(); err != nil {
		return err
	}
	return o.run(ctx)
}

func parse(args []string) (*options, error) {
	o := &options{}
	o.progress = os.Stderr
	f := flag.NewFlagSet("run", flag.ContinueOnError)
	names, ids := f.String("servers", "", "servers to measure, with commas between: "+known(servers, func(s server) string { return s.name })+" (default all)"),
		f.String("scenarios", "", "scenarios to measure: "+known(scenarios, func(s scenario) string { return s.id })+" (default all)")
	f.IntVar(&o.repeat, "repeat", 3, "rounds; the median counts")
	f.IntVar(&o.retries, "retries", 2, "how often a disturbed run is made again")
	f.Float64Var(&o.seconds, "seconds", -1, "length of a run instead of the scenario's own")
	f.Float64Var(&o.warm, "warm", -1, "warming up instead of the scenario's own, in seconds")
	f.IntVar(&o.port, "port", 8090, "port for the servers")
	f.StringVar(&o.bench, "bench", ".", "the bench folder")
	f.StringVar(&o.roomcast, "roomcast", "", "our binary (default ../bin/roomcast seen from the bench folder)")
	f.BoolVar(&o.write, "write", false, "write "+strings.Join([]string{resultsFile, reportFile, chartFile, darkFile}, ", ")+"; else print the tables only")
	f.BoolVar(&o.add, "add", false, "with -write: keep what "+resultsFile+" has of other servers and scenarios")
	f.BoolVar(&o.render, "render", false, "measure nothing: write "+reportFile+" and the charts anew from "+resultsFile)
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	var err error
	if o.servers, err = choose(servers, *names, serverNamed); err != nil {
		return nil, fmt.Errorf("-servers: %w", err)
	}
	if o.scenarios, err = choose(scenarios, *ids, scenarioNamed); err != nil {
		return nil, fmt.Errorf("-scenarios: %w", err)
	}
	if o.repeat < 1 || o.retries < 0 {
		return nil, errors.New("-repeat must be at least 1, -retries at least 0")
	}
	if o.add && !o.write {
		return nil, errors.New("-add needs -write")
	}
	if o.bench, err = filepath.Abs(o.bench); err != nil {
		return nil, err
	}
	o.roomcast = cmp.Or(o.roomcast, filepath.Join(o.bench, "..", "bin", "roomcast"))
	if dir := os.Getenv("FANLOAD_DIR"); dir != "" {
		o.fanload, err = filepath.Abs(dir)
	}
	return o, err
}

func known[T any](all []T, name func(T) string) string {
	var names []string
	for _, v := range all {
		names = append(names, name(v))
	}
	return strings.Join(names, ",")
}

func choose[T any](all []T, names string, named func(string) (T, bool)) ([]T, error) {
	if names == "" {
		return all, nil
	}
	var chosen []T
	for name := range strings.SplitSeq(names, ",") {
		v, ok := named(strings.TrimSpace(name))
		if !ok {
			return nil, fmt.Errorf("there is no %q", name)
		}
		chosen = append(chosen, v)
	}
	return chosen, nil
}

// check finds out beforehand whether everything is there.
func (o *options) check() error {
	if runtime.GOOS != "linux" {
		return errors.New("needs Linux: the generator reads /proc")
	}
	if runtime.NumCPU() < 2 {
		return errors.New("needs 2 processors, one for the server and one for the generator")
	}
	if o.fanload == "" {
		return errors.New("FANLOAD_DIR is not set; set it to the folder of the load generator, with 'side', 'fanload' and 'fanlimit' in it")
	}
	for _, tool := range []string{"side", "fanload", "fanlimit"} {
		if _, err := exec.LookPath(filepath.Join(o.fanload, tool)); err != nil {
			return fmt.Errorf("no executable %q in FANLOAD_DIR (%s); build it there with make", tool, o.fanload)
		}
	}
	for _, s := range o.servers {
		if _, err := o.command(s, 0); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// run measures, and prints or writes what came out. Records are kept in a file of their own until all are there.
func (o *options) run(ctx context.Context) error {
	fresh := []record{{At: now(), Machine: describe(o.place, o.servers)}}
	var journal *os.File
	if o.write {
		var err error
		if journal, err = os.Create(filepath.Join(o.bench, resultsFile+".part")); err != nil {
			return err
		}
		defer journal.Close()
		if err := writeRecords(journal, fresh...); err != nil {
			return err
		}
	}
	failed := o.measure(ctx, func(recs ...record) error {
		fresh = append(fresh, recs...)
		if journal == nil {
			return nil
		}
		return writeRecords(journal, recs...)
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !o.write {
		sum, err := summaryOf(fresh)
		if err != nil {
			return err
		}
		fmt.Println(sum.report())
		return failed
	}
	if o.add {
		old, err := load(o.bench)
		if err != nil {
			return err
		}
		fresh = replace(old, fresh)
	}
	if err := store(o.bench, fresh); err != nil {
		return err
	}
	return errors.Join(failed, os.Remove(journal.Name()), renderFile(o.bench))
}

// summaryOf takes the medians, and puts together what is said of the machine.
func summaryOf(all []record) (*summary, error) {
	results, err := summarise(all)
	if err != nil {
		return nil, err
	}
	sum := &summary{results: results}
	for _, rec := range all {
		if rec.Machine == nil {
			continue
		}
		m := *rec.Machine
		if sum.machine != nil { // an earlier run had other servers
			m.Versions = map[string]string{}
			for _, versions := range []map[string]string{sum.machine.Versions, rec.Machine.Versions} {
				for k, v := range versions {
					m.Versions[k] = v
				}
			}
		}
		sum.machine = &m
	}
	return sum, nil
}

func load(dir string) ([]record, error) {
	b, err := os.ReadFile(filepath.Join(dir, resultsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all, err := readRecords(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", resultsFile, err)
	}
	return all, nil
}

func store(dir string, all []record) error {
	var b bytes.Buffer
	if err := writeRecords(&b, all...); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, resultsFile), b.Bytes(), 0o644)
}

// renderFile writes the report and the charts from results.json.
func renderFile(dir string) error {
	all, err := load(dir)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("%s is missing or empty", resultsFile)
	}
	sum, err := summaryOf(all)
	if err != nil {
		return err
	}
	doc, err := os.ReadFile(filepath.Join(dir, reportFile))
	if errors.Is(err, fs.ErrNotExist) {
		doc, err = []byte(blank()), nil
	}
	if err != nil {
		return err
	}
	text, err := insert(string(doc), section, sum.report())
	if err != nil {
		return fmt.Errorf("%s: %w", reportFile, err)
	}
	if err := os.WriteFile(filepath.Join(dir, reportFile), []byte(text), 0o644); err != nil {
		return err
	}
	for name, t := range map[string]theme{chartFile: light, darkFile: dark} {
		svg, err := sum.chart(t)
		if err != nil {
			return err
		}
		if svg == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), svg, 0o644); err != nil {
			return err
		}
	}
	return nil
}
