package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// plan is what is to be measured.
type plan struct {
	place
	servers   []server
	scenarios []scenario
	repeat    int     // rounds
	retries   int     // further attempts at a run that was disturbed
	seconds   float64 // replaces the scenario's own, unless negative
	warm      float64
	progress  io.Writer
}

// measure goes through the plan and hands every record to save as soon as it is there. A server that cannot be measured is reported
// and left out; the others go on.
func (p *plan) measure(ctx context.Context, save func(...record) error) error {
	total := 0
	for _, sc := range p.scenarios {
		total += len(p.servers) * len(sc.runs) * p.repeat
	}
	done, ladders := 0, map[string]bool{}
	var failed []error
	for _, sc := range p.scenarios {
		climb := sc.ladder.key != "" && !ladders[sc.ladder.key]
		ladders[sc.ladder.key] = true
		for round := 1; round <= p.repeat; round++ {
			for _, s := range p.servers {
				for _, r := range sc.runs {
					done++
					fmt.Fprintf(p.progress, "[%d/%d] %s %s%s, round %d: ", done, total, sc.id, s.name, dash(r.key), round)
					recs, err := p.attempts(ctx, sc, r, s, round)
					if ctx.Err() != nil {
						return ctx.Err()
					}
					if err != nil {
						fmt.Fprintln(p.progress, err)
						failed = append(failed, fmt.Errorf("%s %s: %w", sc.id, s.name, err))
						continue
					}
					if err := save(recs...); err != nil {
						return err
					}
				}
			}
			if climb {
				if err := p.limits(ctx, sc.ladder, round, save); err != nil {
					return err
				}
			}
		}
	}
	return errors.Join(failed...)
}

func dash(key string) string {
	if key == "" {
		return ""
	}
	return " (" + key + ")"
}

// attempts makes one run, and again while it is disturbed.
func (p *plan) attempts(ctx context.Context, sc scenario, r run, s server, round int) ([]record, error) {
	var recs []record
	var badness []float64
	for len(recs) <= p.retries {
		line, err := p.side(ctx, sc, r, s)
		if err != nil {
			return nil, err
		}
		f, err := parseFigures(line)
		if err != nil {
			return nil, err
		}
		what, bad := "", 0.0
		if !sc.calm {
			what, bad = disturbance(f)
		}
		recs = append(recs, record{Scenario: sc.id, Run: r.key, Server: s.name, Round: round, At: now(), Disturbed: what, Figures: line})
		badness = append(badness, bad)
		fmt.Fprintln(p.progress, oneLine(sc, f), what)
		if bad == 0 {
			break
		}
	}
	best(recs, badness)
	return recs, nil
}

func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

// oneLine is a run in short, for the one who waits.
func oneLine(sc scenario, f figures) string {
	var parts []string
	add := func(key, format string, scale float64) {
		if v, ok := f[key]; ok && v != 0 {
			parts = append(parts, fmt.Sprintf(format, v*scale))
		}
	}
	if len(sc.runs) > 0 && f["lat_n"] > 0 {
		add("deliveries_per_s", "%.3f M/s", 1e-6)
		add(cpuField, "%.0f ns each", 1)
		add("lat_p50_us", "p50 %.0f µs", 1)
	}
	add("handshakes_per_s", "%.0f handshakes/s", 1)
	add("server_cpu_us_per_handshake", "%.1f µs each", 1)
	if f["deliveries"] == 0 {
		add("rss_per_conn", "%.0f bytes per connection", 1)
	}
	add("missing", "%.0f MISSING", 1)
	add("closed_by_server", "%.0f CUT OFF", 1)
	add("errors", "%.0f ERRORS", 1)
	return strings.Join(parts, ", ")
}

// side runs the generator against one server that it starts afresh, and returns the line it prints.
func (p *plan) side(ctx context.Context, sc scenario, r run, s server) ([]byte, error) {
	cmdline, err := p.command(s, sc.buffer)
	if err != nil {
		return nil, err
	}
	args := append([]string{s.name, strconv.Itoa(p.port), r.command(s, p.seconds, p.warm), "--"}, cmdline...)
	cmd := exec.CommandContext(ctx, filepath.Join(p.fanload, "side"), args...)
	cmd.Env = append(os.Environ(), "REPEAT=1")
	out, err := output(cmd)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 && len(out) > 0 {
		err = nil // it ran, and saw losses: they are in the figures
	}
	if err != nil && len(out) > 0 {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return out, err
}

// limits runs fanlimit at each step of the ladder.
func (p *plan) limits(ctx context.Context, l ladder, round int, save func(...record) error) error {
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	seconds, warm := 2.0, 0.5
	if p.seconds >= 0 {
		seconds = min(seconds, p.seconds)
	}
	for _, batch := range l.batches {
		args := strings.Fields(l.args)
		args = append(args, "--batch", strconv.Itoa(batch), "--cpu-send", cpuOf("SRV_CPU", "0"), "--cpu-recv", cpuOf("CLI_CPU", "1"),
			"-d", strconv.FormatFloat(seconds, 'g', -1, 64), "-W", strconv.FormatFloat(warm, 'g', -1, 64))
		line, err := output(exec.CommandContext(ctx, filepath.Join(p.fanload, "fanlimit"), args...))
		if err != nil {
			return fmt.Errorf("fanlimit %s: %w", strings.Join(args, " "), err)
		}
		f, err := parseFigures(line)
		if err != nil {
			return fmt.Errorf("fanlimit: %w", err)
		}
		fmt.Fprintf(p.progress, "fanlimit, %s, %d a send, round %d: %.0f ns each\n", l.key, batch, round, f[limitField])
		if err := save(record{Ladder: l.key, Round: round, At: now(), Figures: line}); err != nil {
			return err
		}
	}
	return nil
}

func cpuOf(env, otherwise string) string {
	if v := os.Getenv(env); v != "" {
		return v
	}
	return otherwise
}

// output runs cmd and returns the last line it prints. Its complaints are kept for the error.
func output(cmd *exec.Cmd) ([]byte, error) {
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // side ends the server it started
	cmd.WaitDelay = time.Minute
	err := cmd.Run()
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	last := lines[len(lines)-1]
	if err != nil && len(last) == 0 {
		err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(log.Bytes()))
	}
	return last, err
}

// lock takes the lock by which side keeps two measurements from overlapping.
func lock() (unlock func(), err error) {
	name := os.Getenv("LOCK")
	if name == "" {
		name = filepath.Join(os.TempDir(), "roomcast-bench.lock")
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}
