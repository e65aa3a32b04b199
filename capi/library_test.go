//go:build cgo && linux

package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"debug/elf"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// The two libraries have the functions of the header and nothing else.
func TestSymbols(t *testing.T) {
	library(t)
	header, err := os.ReadFile("snow_ws.h")
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	for _, m := range regexp.MustCompile(`(?m)^[a-z].* \*?(snow_ws_\w+)\(`).FindAllStringSubmatch(string(header), -1) {
		declared = append(declared, m[1])
	}
	slices.Sort(declared)
	if len(declared) != 14 {
		t.Errorf("the header declares %d functions, want 14: %q", len(declared), declared)
	}

	shared, err := elf.Open(filepath.Join(outDir, "lib", "libroomcast.so"))
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	symbols, err := shared.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	var exported []string
	for _, s := range symbols {
		if s.Section != elf.SHN_UNDEF {
			exported = append(exported, s.Name)
		}
	}
	slices.Sort(exported)
	if !slices.Equal(exported, declared) {
		t.Errorf("libroomcast.so exports %q, the header declares %q", exported, declared)
	}
	if soname, err := shared.DynString(elf.DT_SONAME); err != nil || !slices.Equal(soname, []string{"libroomcast.so.0"}) {
		t.Errorf("the soname is %q, %v; want libroomcast.so.0", soname, err)
	}

	names, _ := run(t, "nm", "--defined-only", "--extern-only", "--format=just-symbols", filepath.Join(outDir, "lib", "libroomcast.a"))
	global := slices.DeleteFunc(strings.Fields(names), func(s string) bool { return strings.HasSuffix(s, ":") })
	slices.Sort(global)
	if !slices.Equal(global, declared) {
		t.Errorf("libroomcast.a has the global symbols %q, the header declares %q", global, declared)
	}
}

// The header can be included by whatever a C or C++ program is compiled as.
func TestHeader(t *testing.T) {
	cc := compiler(t)
	for _, standard := range []string{"c99", "c11", "c17"} {
		run(t, cc[0], append(cc[1:], "-std="+standard, "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-xc", "snow_ws.h")...)
	}
	out, _ := run(t, "go", "env", "CXX")
	cxx := strings.Fields(out)
	if _, err := exec.LookPath(cxx[0]); err != nil {
		t.Skipf("not tested with C++: no %s in PATH", cxx[0])
	}
	run(t, cxx[0], append(cxx[1:], "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-xc++", "snow_ws.h")...)
}

// TestFunctions is testdata/functions.c, with the sanitizers over the shared library, and with the static one.
func TestFunctions(t *testing.T) {
	t.Run("shared", func(t *testing.T) {
		run(t, compile(t, "testdata/functions.c", sanitizers...), freePort(t))
	})
	t.Run("static", func(t *testing.T) {
		library(t)
		run(t, compile(t, "testdata/functions.c", filepath.Join(outDir, "lib", "libroomcast.a")), freePort(t))
	})
}

// The sanitizers see what a program does wrong with the strings of a callback, with the library in the process: without this test,
// those above would pass if they saw nothing.
func TestSanitizersSee(t *testing.T) {
	for mistake, want := range map[string]string{
		"keep":    "heap-use-after-free", // of the message of a callback
		"overrun": "heap-buffer-overflow",
		"leak":    "detected memory leaks",
	} {
		t.Run(mistake, func(t *testing.T) {
			out, err := exec.CommandContext(t.Context(), compile(t, "testdata/mistakes.c", sanitizers...), freePort(t), mistake).CombinedOutput()
			if err == nil || !strings.Contains(string(out), want) {
				t.Errorf("a program with this mistake ended with %v, want a report that says %q:\n%s", err, want, out)
			}
		})
	}
}

// TestServing is testdata/serving.c, whose TLS client is a foreign one.
func TestServing(t *testing.T) {
	cert, key, trust := certificate(t)
	tlsPort := freePort(t)
	p := start(t, command(t, compile(t, "testdata/serving.c", sanitizers...), freePort(t), freePort(t), tlsPort, cert, key))
	p.await(t, "tls")
	client := dial(t, "wss://localhost:"+tlsPort+"/", &websocket.DialOptions{HTTPClient: &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}, DisableKeepAlives: true}}})
	client.send("hello")
	client.expect("hello over TLS")
	if err := client.Close(4003, "done"); err != nil {
		t.Errorf("close: %v", err)
	}
	stderr := p.finish(t)

	// One line for each port that could not be served, which names it.
	lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
	if len(lines) != 9 {
		t.Errorf("standard error has %d lines, want 9:\n%s", len(lines), stderr)
	}
	for _, line := range lines {
		if !regexp.MustCompile(`^roomcast: nothing is served: port -?\d+: .*; .*(choose|stop|give) .+$`).MatchString(line) {
			t.Errorf("standard error has the line %q, want the port, the reason and a remedy", line)
		}
	}
}

// certificate makes a certificate for localhost and its key.
func certificate(t *testing.T) (certFile, keyFile string, trust *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	trust = x509.NewCertPool()
	trust.AddCert(parsed)
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", private), trust
}

// TestStress is testdata/stress.c, for as long as it takes to believe it.
func TestStress(t *testing.T) {
	seconds := "10"
	if testing.Short() {
		seconds = "2"
	}
	stdout, stderr := run(t, compile(t, "testdata/stress.c", sanitizers...), freePort(t), seconds)
	t.Log(stdout + stderr)
}

// A program that sets an origin that is none hears of it, and nothing is served.
func TestBadSettings(t *testing.T) {
	for setting, want := range map[string]string{
		"ROOMCAST_ALLOWED_ORIGIN=[": "ROOMCAST_ALLOWED_ORIGIN: ",
		"ROOMCAST_HOST=192.0.2.1":   "ROOMCAST_HOST",
	} {
		cmd := command(t, compile(t, "testdata/settings.c"), freePort(t))
		cmd.Env = append(cmd.Env, setting)
		out, err := cmd.CombinedOutput()
		if err != nil || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), want) {
			t.Errorf("with %s: %v, %q; want one line that names %s", setting, err, out, want)
		}
	}
}
