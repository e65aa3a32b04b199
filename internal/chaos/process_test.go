//go:build unix

package chaos

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// process is a program that is started, killed and started again with the same arguments. Its methods are called by one goroutine at a time.
type process struct {
	name   string
	bin    string
	args   []string
	log    string // the file with what it says, of all its lives
	cmd    *exec.Cmd
	exited chan struct{} // closed when the present life has ended
	paused bool
}

// newProcess is a process that does not run yet; it does not outlive the test.
func newProcess(t *testing.T, name, bin string, args ...string) *process {
	t.Helper()
	dir := os.Getenv("CHAOS_LOGS")
	if dir == "" {
		dir = t.TempDir()
	}
	p := &process{name: name, bin: bin, args: args, log: filepath.Join(dir, logName(t)+"-"+name+".log")}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("the last lines of %s:\n%s", p.name, p.tail(25))
		}
	})
	return p
}

// logName is what the names of a test's files begin with.
func logName(t *testing.T) string { return strings.ReplaceAll(t.Name(), "/", "-") }

func (p *process) start() error {
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close() // the process has its own
	fmt.Fprintf(out, "--- started at %s\n", time.Now().Format("15:04:05.000"))
	cmd := exec.Command(p.bin, p.args...)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = out, out, dieWithTest()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	exited := make(chan struct{})
	p.cmd, p.exited, p.paused = cmd, exited, false
	go func() {
		defer close(exited)
		_ = cmd.Wait() // how it ended is in its log
	}()
	return nil
}

func (p *process) running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// kill is SIGKILL; it returns when the process is gone.
func (p *process) kill() { p.end(syscall.SIGKILL) }

// stop is SIGTERM, and SIGKILL if that takes too long.
func (p *process) stop(bound time.Duration) error {
	if !p.running() {
		return fmt.Errorf("%s has ended by itself; its log says why", p.name)
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may end at this moment
	timer := time.NewTimer(bound)
	defer timer.Stop()
	select {
	case <-p.exited:
		return nil
	case <-timer.C:
		p.kill()
		return fmt.Errorf("%s still ran %v after SIGTERM", p.name, bound)
	}
}

func (p *process) end(sig syscall.Signal) {
	if p.running() {
		_ = p.cmd.Process.Signal(sig) // it may end at this moment
		<-p.exited
	}
}

func (p *process) pause()   { p.signal(syscall.SIGSTOP, true) }
func (p *process) carryOn() { p.signal(syscall.SIGCONT, false) }
func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) signal(sig syscall.Signal, paused bool) {
	if p.running() {
		_ = p.cmd.Process.Signal(sig) // it may end at this moment
		p.paused = paused
	}
}

// tail is the last lines of its log.
func (p *process) tail(n int) string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// panicked tells whether its log has a panic or a race in it.
func (p *process) panicked() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return ""
	}
	for _, sign := range []string{"panic: ", "WARNING: DATA RACE", "fatal error: "} {
		if i := strings.Index(string(text), sign); i >= 0 {
			return string(text[i:min(len(text), i+4000)])
		}
	}
	return ""
}

// nextPort is where freeAddr looks; not at the same place in every run.
var nextPort atomic.Uint32

func init() { nextPort.Store(uint32(os.Getpid() * 37 % 10000)) }

// freeAddr is a loopback address that nobody listens on. It is not one that the system gives to outgoing connections, which could take it
// while the process that has it is dead.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 200 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20000+nextPort.Add(1)%10000)
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal("no free port among 200 from 20000 to 30000")
	return ""
}

// until polls until there is no error, and returns the last one when the time is over.
func until(ctx context.Context, bound time.Duration, look func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := look(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("after %v: %w", bound, err)
		case <-ticker.C:
		}
	}
}

// browser is for requests to processes that may be paused: nothing of it outlives a request.
var browser = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// well asks for a page that answers 200 if all is well.
func well(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := browser.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		var text [500]byte
		n, _ := res.Body.Read(text[:]) // whatever it says
		return fmt.Errorf("%s: %s: %s", url, res.Status, text[:n])
	}
	return nil
}
