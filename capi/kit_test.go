//go:build cgo && linux

package main_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"
)

// patience bounds every single step; none of them comes near it unless something is broken.
const patience = time.Minute

var outDir string // everything that is built; removed when all tests have run

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "roomcast-capi-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "capi:", err)
		os.Exit(1)
	}
	outDir = dir
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(outDir) // it is in the temporary folder: nobody is hurt if it stays
		os.Exit(code)
	}))
}

// buildOnce makes the library in outDir.
var buildOnce = sync.OnceValue(func() error {
	out, err := exec.Command("./build.sh", outDir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("capi/build.sh: %w\n%s", err, out)
	}
	return nil
})

// library makes the library, once for all tests.
func library(t *testing.T) {
	t.Helper()
	if err := buildOnce(); err != nil {
		t.Fatal(err)
	}
}

// command is exec.Command with the environment of a program that uses the library.
func command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+filepath.Join(outDir, "lib"))
	return cmd
}

// run runs a program to its end, which must be a good one, and returns what it wrote.
func run(t *testing.T, name string, args ...string) (stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out.Bytes(), errs.Bytes())
	}
	return out.String(), errs.String()
}

// compiler is the C compiler of cgo, which has made the library.
func compiler(t *testing.T) []string {
	t.Helper()
	out, _ := run(t, "go", "env", "CC")
	return strings.Fields(out)
}

// sanitizers find what C does wrong with memory: addresses, leaks, undefined behaviour.
var sanitizers = []string{"-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"}

// compile makes a program of one C file and the library, and returns its path.
func compile(t *testing.T, source string, flags ...string) string {
	t.Helper()
	library(t)
	program := filepath.Join(t.TempDir(), strings.TrimSuffix(filepath.Base(source), ".c"))
	lib := filepath.Join(outDir, "lib")
	cc := append(compiler(t), "-std=c11", "-D_GNU_SOURCE", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread",
		"-I"+filepath.Join(outDir, "include"), source, "-o", program)
	cc = append(cc, flags...)
	if !slices.ContainsFunc(flags, func(f string) bool { return strings.HasSuffix(f, ".a") }) {
		cc = append(cc, "-L"+lib, "-lroomcast", "-Wl,-rpath,"+lib)
	}
	run(t, cc[0], cc[1:]...)
	return program
}

// freePort returns a port that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// program is one that runs until it is told to stop.
type program struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner // of its standard output
	errs  bytes.Buffer   // its standard error, complete when it has ended
}

// start starts a program, which is killed at the end of the test if it still runs.
func start(t *testing.T, cmd *exec.Cmd) *program {
	t.Helper()
	p := &program{cmd: cmd}
	cmd.Stderr = &p.errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	p.lines = bufio.NewScanner(out)
	return p
}

// await reads standard output up to a line that contains text.
func (p *program) await(t *testing.T, text string) {
	t.Helper()
	for p.lines.Scan() {
		if strings.Contains(p.lines.Text(), text) {
			return
		}
	}
	_ = p.cmd.Wait() // for the rest of standard error
	t.Fatalf("the program ended without a line that says %q\n%s", text, p.errs.Bytes())
}

// finish waits for a good end and returns standard error.
func (p *program) finish(t *testing.T) string {
	t.Helper()
	for p.lines.Scan() {
		t.Log(p.lines.Text())
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("%s: %v\n%s", p.cmd.Path, err, p.errs.Bytes())
	}
	return p.errs.String()
}

// interrupt ends a program as Ctrl-C does.
func (p *program) interrupt(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
}

// foreign is a client of github.com/coder/websocket.
type foreign struct {
	*websocket.Conn
	t   *testing.T
	ctx context.Context
}

func dial(t *testing.T, url string, options *websocket.DialOptions) foreign {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	conn, _, err := websocket.Dial(ctx, url, options)
	if err != nil {
		t.Fatalf("dial %s: %v", url, err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() }) // closed already if the test has come to its end
	return foreign{conn, t, ctx}
}

func (f foreign) send(text string) {
	f.t.Helper()
	if err := f.Write(f.ctx, websocket.MessageText, []byte(text)); err != nil {
		f.t.Fatal(err)
	}
}

func (f foreign) expect(want string) {
	f.t.Helper()
	kind, got, err := f.Read(f.ctx)
	if err != nil || kind != websocket.MessageText || string(got) != want {
		f.t.Fatalf("received %v %q, %v; want %q", kind, got, err, want)
	}
}

func (f foreign) expectClose(want websocket.StatusCode) {
	f.t.Helper()
	if _, got, err := f.Read(f.ctx); websocket.CloseStatus(err) != want {
		f.t.Fatalf("received %q, %v; want the close code %d", got, err, want)
	}
}
