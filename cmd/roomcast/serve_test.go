package main

import (
	"net"
	"strings"
	"syscall"
	"testing"
)

func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	addr := taken.Addr().String()
	stdout, stderr, code := output(t, "serve", "--addr", addr)
	prefix, remedy := "roomcast: cannot listen on "+addr+": ", "; stop the other program or choose another address with --addr\n"
	if code != 1 || stdout != "" || !strings.HasPrefix(stderr, prefix) || !strings.HasSuffix(stderr, remedy) || strings.Count(stderr, "\n") != 1 {
		t.Errorf("code %d, stdout %q, stderr %q; want code 1 and the one line %q…%q", code, stdout, stderr, prefix, remedy)
	}
}

func TestCannotListen(t *testing.T) {
	for err, want := range map[error]string{
		syscall.EACCES:        "above 1023",
		syscall.EADDRNOTAVAIL: "of this machine",
		&net.OpError{Op: "listen", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "nowhere"}}: "lookup nowhere: no such host; choose another address",
	} {
		if got := cannotListen("nowhere:1", err).Error(); !strings.HasPrefix(got, "cannot listen on nowhere:1: ") || !strings.Contains(got, want) {
			t.Errorf("%v became %q, want %q in it", err, got, want)
		}
	}
}

func TestHome(t *testing.T) {
	for addr, want := range map[*net.TCPAddr]string{
		{IP: net.IPv4(127, 0, 0, 1), Port: 8080}: "http://127.0.0.1:8080/",
		{IP: net.IPv6loopback, Port: 1}:          "http://[::1]:1/",
		{IP: net.IPv6unspecified, Port: 80}:      "http://localhost:80/",
		{IP: net.IPv4zero, Port: 80}:             "http://localhost:80/",
	} {
		if got := home(addr); got != want {
			t.Errorf("home(%v) = %s, want %s", addr, got, want)
		}
	}
}
