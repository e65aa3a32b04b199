package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience bounds every single step; none of them comes near it unless something is broken.
const patience = 30 * time.Second

var binDir string // of the built binary; removed when all tests have run

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "roomcast-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	binDir = dir
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(binDir) // it is in the temporary folder: nobody is hurt if it stays
		os.Exit(code)
	}))
}

// build makes the binary, once for all tests, and returns its path.
var build = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(binDir, "roomcast")
	if runtime.GOOS == "windows" {
		bin += ".exe"
	}
	out, err := exec.Command("go", "build", "-o", bin, "../../cmd/roomcast").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build ./cmd/roomcast: %w\n%s", err, out)
	}
	return bin, nil
})

// binary is the path of the binary.
func binary(t *testing.T) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("skipped: Windows has no SIGTERM to end the server with")
	}
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// server is a running `roomcast serve`.
type server struct {
	cmd    *exec.Cmd
	addr   string        // host:port
	exited chan struct{} // closed when the process has ended and everything it wrote was read

	mu  sync.Mutex
	log strings.Builder // standard error so far; guarded by mu
}

var addrAttr = regexp.MustCompile(`\baddr(?:=|":")([^\s"]+)`)

// serve starts the server on a free port and stops it at the end of the test, if the test has not.
func serve(t *testing.T, args ...string) *server {
	t.Helper()
	s := &server{
		cmd:    exec.Command(binary(t), append([]string{"serve", "--addr", "127.0.0.1:0"}, args...)...),
		exited: make(chan struct{}),
	}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found := make(chan string, 1) // never closed
	go s.follow(stderr, found)
	t.Cleanup(func() {
		s.stop(t)
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.output())
		}
	})
	select {
	case s.addr = <-found:
	case <-s.exited:
		t.Fatal("the server ended at once")
	case <-time.After(patience):
		t.Fatal("the server logs no line with addr=…")
	}
	return s
}

// follow reads standard error to its end and hands the first address it finds to found.
func (s *server) follow(stderr io.Reader, found chan<- string) {
	defer close(s.exited)
	lines := bufio.NewReader(stderr)
	for {
		line, err := lines.ReadString('\n')
		s.mu.Lock()
		s.log.WriteString(line)
		s.mu.Unlock()
		if err != nil {
			break
		}
		if m := addrAttr.FindStringSubmatch(line); m != nil {
			select {
			case found <- m[1]:
			default: // it was found before
			}
		}
	}
	_ = s.cmd.Wait() // stop looks at the exit code
}

func (s *server) output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// stop ends the server by SIGTERM and requires that it goes in time and with 0. A second call does nothing.
func (s *server) stop(t *testing.T) {
	t.Helper()
	select {
	case <-s.exited:
	default:
		if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Errorf("SIGTERM: %v", err)
		}
	}
	select {
	case <-s.exited:
	case <-time.After(patience):
		t.Errorf("the server still runs %v after SIGTERM; it is killed now", patience)
		_ = s.cmd.Process.Kill()
		<-s.exited
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the server's exit code = %d, want 0", code)
	}
}

func (s *server) room(name string) string { return "ws://" + s.addr + "/rooms/" + name }

// TestPortInUse: the second server on a port says so in one line and fails; the first one goes on.
func TestPortInUse(t *testing.T) {
	first := serve(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	var stdout, stderr strings.Builder
	second := exec.CommandContext(ctx, first.cmd.Path, "serve", "--addr", first.addr)
	second.Stdout, second.Stderr = &stdout, &stderr
	if err := second.Run(); err == nil || second.ProcessState.ExitCode() <= 0 {
		t.Errorf("a server on a port in use ends with %v, want an exit code above 0", err)
	}
	line := stderr.String()
	if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") || !strings.Contains(line, first.addr) || !strings.Contains(line, "in use") {
		t.Errorf("a server on a port in use says %q, want one line that names %s and says that it is in use", line, first.addr)
	}
	if stdout.Len() > 0 {
		t.Errorf("a server on a port in use prints %q, want nothing but its error", stdout.String())
	}

	a, b := joinCoder(t, first.room("still-there")), joinCoder(t, first.room("still-there"))
	a.send(t, text("hello"))
	b.expect(t, text("hello"))
}

// serveHelp is what serve says about its flags.
func serveHelp(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	help, err := exec.CommandContext(ctx, binary(t), "serve", "--help").Output()
	if err != nil {
		t.Fatalf("serve --help: %v", err)
	}
	return string(help)
}
