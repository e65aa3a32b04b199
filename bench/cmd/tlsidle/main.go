// Command tlsidle measures what an idle connection over TLS costs the server: it starts a server in a process of its own, connects
// clients that join a room and say nothing, and prints how much larger the server has become.
package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/roomcast/roomcast"
)

func main() {
	log.SetFlags(0)
	serving := flag.Bool("serve", false, "be the server")
	conns := flag.Int("conns", 15_000, "how many connections")
	flag.Parse()
	if *serving {
		log.Fatal(serve())
	}
	if err := measure(*conns); err != nil {
		log.Fatal(err)
	}
}

// serve is the server's process. It prints its address, and gives memory back when it is quiet, as the binary does.
func serve() error {
	dir, err := os.MkdirTemp("", "tlsidle")
	if err != nil {
		return err
	}
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := writeCertificate(certFile, keyFile); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	addr := l.Addr().String()
	_ = l.Close() // the port is free now
	go func() {
		for range time.Tick(time.Second) {
			debug.FreeOSMemory()
		}
	}()
	fmt.Println(addr)
	return roomcast.New(roomcast.Handler{
		Connect: func(c *roomcast.Conn, _ *http.Request) error { return c.Join(c.Path()) },
		Relay:   true,
	}, roomcast.Options{}).ListenAndServeTLS(addr, certFile, keyFile)
}

func measure(conns int) error {
	server := exec.Command(os.Args[0], "-serve")
	server.Env = append(os.Environ(), "GOMAXPROCS=1")
	server.Stderr = os.Stderr
	out, err := server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	defer func() {
		_ = server.Process.Kill() // it may have ended
		_ = server.Wait()
	}()
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return err
	}
	if err := connect(strings.TrimSpace(addr), 100, 0); err != nil { // what the first ones cost is not theirs
		return err
	}
	time.Sleep(3 * time.Second)
	before, err := rss(server.Process.Pid)
	if err != nil {
		return err
	}
	if err := connect(strings.TrimSpace(addr), conns, 1000); err != nil {
		return err
	}
	time.Sleep(3 * time.Second)
	after, err := rss(server.Process.Pid)
	if err != nil {
		return err
	}
	fmt.Printf("%d idle connections over TLS 1.3: %d bytes of process memory each\n", conns, (after-before)/conns)
	return nil
}

var open []net.Conn // keeps the connections from being collected

// connect opens connections and upgrades them.
func connect(addr string, n, room int) error {
	for i := range n {
		c, err := dial(addr)
		if err != nil {
			return err
		}
		open = append(open, c)
		fmt.Fprintf(c, "GET /rooms/%d HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", room+i/10)
		answer := make([]byte, 12)
		if _, err := c.Read(answer); err != nil || string(answer) != "HTTP/1.1 101" {
			return fmt.Errorf("connection %d: %q, %v", i, answer, err)
		}
	}
	return nil
}

// dial waits for the server to listen.
func dial(addr string) (c *tls.Conn, err error) {
	for range 100 {
		c, err = tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}) // the certificate is made for the occasion
		if err == nil {
			return c, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, err
}

// rss returns the resident memory of a process, in bytes.
func rss(pid int) (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, line, _ := strings.Cut(string(status), "VmRSS:")
	kib, err := strconv.Atoi(strings.Fields(line)[0])
	return kib << 10, err
}

func writeCertificate(certFile, keyFile string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tlsidle"},
		NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}
