package roomcast_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/roomcasttest"
)

// certificate makes a certificate for 127.0.0.1 and returns its files and the pool that trusts it.
func certificate(t *testing.T) (certFile, keyFile string, trust *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile, trust = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), x509.NewCertPool()
	pemCert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	trust.AppendCertsFromPEM(pemCert)
	if err := errors.Join(os.WriteFile(certFile, pemCert, 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)); err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile, trust
}

// tlsHub is a hub on a port with TLS.
type tlsHub struct {
	*hub
	addr   string
	client *http.Client
	trust  *x509.CertPool
}

// newTLSHub serves a hub by ListenAndServeTLS until the end of the test.
func newTLSHub(t *testing.T, o roomcast.Options) *tlsHub {
	t.Helper()
	h, served := newHub(t, o, nil), make(chan error, 1)
	certFile, keyFile, trust := certificate(t)
	addr := freeAddr(t)
	go func() { served <- h.ListenAndServeTLS(addr, certFile, keyFile) }()
	// The client offers HTTP/2 like a browser; the server must choose HTTP/1.1 (RFC 7301).
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}, ForceAttemptHTTP2: true}
	t.Cleanup(func() {
		h.Close()
		transport.CloseIdleConnections()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("ListenAndServeTLS: %v, want http.ErrServerClosed", err)
		}
	})
	for {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			return &tlsHub{h, addr, &http.Client{Transport: transport}, trust}
		}
		if len(served) > 0 {
			t.Fatalf("ListenAndServeTLS: %v", <-served)
		}
	}
}

// freeAddr returns an address of this machine that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// dialTLS returns a foreign client in the room.
func (h *tlsHub) dialTLS(t *testing.T, room string) (*websocket.Conn, *roomcast.Conn) {
	t.Helper()
	client, res, err := websocket.Dial(limited(t), "wss://"+h.addr+"/"+room, &websocket.DialOptions{HTTPClient: h.client})
	if err != nil {
		t.Fatalf("dial: %v (%v)", err, res)
	}
	t.Cleanup(func() { client.CloseNow() })
	return client, <-h.conns
}

// limited returns a context that ends long after a test that works.
func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// expectRead checks what a foreign client reads next.
func expectRead(t *testing.T, client *websocket.Conn, want string) {
	t.Helper()
	_, got, err := client.Read(limited(t))
	expect(t, "read error", err, nil)
	expect(t, "read", string(got), want)
}

func TestTLSRooms(t *testing.T) {
	h := newTLSHub(t, roomcast.Options{})
	a, connA := h.dialTLS(t, "lobby")
	b, connB := h.dialTLS(t, "lobby")
	large := strings.Repeat("large ", 5000)
	for _, text := range []string{"hello", "", large} {
		expect(t, "write", a.Write(limited(t), websocket.MessageText, []byte(text)), nil)
		expectRead(t, b, text)
	}
	h.BroadcastExcept("lobby", roomcast.Text("to b"), connA)
	h.Broadcast("lobby", roomcast.Text("to both"))
	expectRead(t, a, "to both")
	expectRead(t, b, "to b")
	expectRead(t, b, "to both")
	// The close handshake is clean on both sides, whoever begins: Close returns no error when the answer has come.
	expect(t, "Close by the client", a.Close(websocket.StatusNormalClosure, "bye"), nil)
	expectAll(t, "members", h.Members("lobby"), connB)
	expect(t, "Conn.Close", connB.Close(4000, "go"), nil)
	_, _, err := b.Read(limited(t))
	expect(t, "close status", websocket.CloseStatus(err), 4000)
	expect(t, "Shutdown", h.Shutdown(limited(t)), nil)
	expectAll(t, "Close", h.endsOf(connA), roomcasttest.End{Code: 1000, Reason: "bye"})
}

func TestTLSShutdown(t *testing.T) {
	h := newTLSHub(t, roomcast.Options{})
	client, conn := h.dialTLS(t, "lobby")
	h.Broadcast("lobby", roomcast.Text("last words"))
	done := h.shutdown(limited(t))
	expectRead(t, client, "last words")
	_, _, err := client.Read(limited(t))
	expect(t, "close status", websocket.CloseStatus(err), websocket.StatusGoingAway)
	expect(t, "Shutdown", <-done, nil)
	expectAll(t, "Close", h.endsOf(conn), goingAway)
	if conn, err := net.Dial("tcp", h.addr); err == nil {
		conn.Close()
		t.Error("after Shutdown the port is still open")
	}
}

// The end of the stream is authenticated (RFC 8446, section 6.1): a client can tell it from a cut.
func TestTLSCloseNotify(t *testing.T) {
	h := newTLSHub(t, roomcast.Options{CloseTimeout: time.Hour})
	client, err := tls.Dial("tcp", h.addr, &tls.Config{RootCAs: h.trust, NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	client.SetDeadline(time.Now().Add(time.Minute))
	expect(t, "protocol", client.ConnectionState().NegotiatedProtocol, "http/1.1")
	io.WriteString(client, strings.Replace(sampleUpgrade, "/chat", "/lobby", 1)+"\r\n")
	br := bufio.NewReader(client)
	if res, err := http.ReadResponse(br, nil); err != nil || res.StatusCode != 101 {
		t.Fatal(res, err)
	}
	client.Write(masked(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, ""))))
	op, _, err := roomcasttest.ReadFrame(br)
	expect(t, "opcode", op, ws.OpClose)
	expect(t, "error", err, nil)
	_, err = br.ReadByte() // io.ErrUnexpectedEOF if the stream was cut
	expect(t, "after the Close frame", err, io.EOF)
	// With both Close frames gone the server hangs up, and does not wait for the client to (RFC 6455, section 7.1.1).
	for ctx := limited(t); h.Stats().Connections > 0 && ctx.Err() == nil; runtime.Gosched() {
	}
	expect(t, "connections", h.Stats().Connections, 0)
}

// A client that has shut its sending side down behind its Close frame still gets all that was sent to it before.
func TestHalfClosed(t *testing.T) {
	for name, dial := range map[string]func(t *testing.T) (*hub, net.Conn){
		"TCP": func(t *testing.T) (*hub, net.Conn) {
			h := newHub(t, roomcast.Options{OutboxBytes: 64 << 20}, nil)
			conn, err := net.Dial("tcp", strings.TrimPrefix(h.listen(), "ws://"))
			expect(t, "dial", err, nil)
			return h, conn
		},
		"TLS": func(t *testing.T) (*hub, net.Conn) {
			h := newTLSHub(t, roomcast.Options{OutboxBytes: 64 << 20})
			conn, err := tls.Dial("tcp", h.addr, &tls.Config{RootCAs: h.trust})
			expect(t, "dial", err, nil)
			return h.hub, conn
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, client := dial(t)
			defer client.Close()
			client.SetDeadline(time.Now().Add(time.Minute))
			br := bufio.NewReader(client)
			io.WriteString(client, sampleUpgrade+"\r\n")
			if res, err := http.ReadResponse(br, nil); err != nil || res.StatusCode != 101 {
				t.Fatal(res, err)
			}
			conn := <-h.conns
			for range 32 { // more than the sockets hold
				expect(t, "Send", conn.Send(messageOf(1<<20, "x")), nil)
			}
			client.Write(masked(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "bye"))))
			expect(t, "CloseWrite", client.(interface{ CloseWrite() error }).CloseWrite(), nil)
			for h.Stats().Ended[roomcast.EndClient] == 0 {
				runtime.Gosched()
			}
			got, _, end := rawClient{client, br}.rest()
			expect(t, "messages", len(got), 32)
			expect(t, "end", end, roomcasttest.End{Code: 1000, Reason: "bye"})
		})
	}
}

// Who does not speak TLS is told so; who is at home there is not disturbed.
func TestTLSPlainHTTP(t *testing.T) {
	h := newTLSHub(t, roomcast.Options{})
	client, _ := h.dialTLS(t, "lobby")
	for _, request := range []string{sampleUpgrade + "\r\n", "junk that is no TLS record\r\n\r\n"} {
		conn, err := net.Dial("tcp", h.addr)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(time.Minute))
		io.WriteString(conn, request)
		answer, _ := io.ReadAll(conn) // until the server hangs up
		conn.Close()
		if request[0] == 'G' && !strings.HasPrefix(string(answer), "HTTP/1.0 400 ") {
			t.Errorf("answer %q, want 400", answer)
		}
	}
	h.Broadcast("lobby", roomcast.Text("still here"))
	expectRead(t, client, "still here")
	expect(t, "accepted", h.Stats().Accepted, 1)
}

func TestTLSFiles(t *testing.T) {
	certFile, keyFile, _ := certificate(t)
	missing := filepath.Join(t.TempDir(), "missing.pem")
	for _, files := range [][2]string{{missing, keyFile}, {certFile, missing}, {keyFile, certFile}, {certFile, certFile}} {
		addr := freeAddr(t)
		err := roomcast.New(roomcast.Handler{}, roomcast.Options{}).ListenAndServeTLS(addr, files[0], files[1])
		text := fmt.Sprint(err)
		if !strings.HasPrefix(text, "roomcast: ") || strings.Contains(text, "\n") {
			t.Errorf("ListenAndServeTLS(%v): %v, want one clear line", files, err)
		}
		if wrong := files[0] == missing || files[1] == missing; wrong && (!strings.Contains(text, missing) || !errors.Is(err, os.ErrNotExist)) {
			t.Errorf("ListenAndServeTLS(%v): %v, want the name of the missing file", files, err)
		}
		l, err := net.Listen("tcp", addr) // the port is free again
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
}

func TestServeAfterShutdown(t *testing.T) {
	for _, end := range []func(*roomcast.Server) error{
		func(s *roomcast.Server) error { return s.Shutdown(context.Background()) }, (*roomcast.Server).Close,
	} {
		srv, l := roomcast.New(roomcast.Handler{}, roomcast.Options{}), newPipeListener()
		expect(t, "end", end(srv), nil)
		expect(t, "Serve", srv.Serve(l), http.ErrServerClosed)
		select {
		case <-l.closed:
		default:
			t.Error("Serve has not closed its listener")
		}
		expect(t, "ListenAndServe", srv.ListenAndServe("127.0.0.1:0"), http.ErrServerClosed)
	}
}

// A port in use is one clear error; a listener that ends in another way than by Shutdown is, too.
func TestServeErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	srv := roomcast.New(roomcast.Handler{}, roomcast.Options{})
	err = srv.ListenAndServe(taken.Addr().String())
	if text := fmt.Sprint(err); !strings.HasPrefix(text, "roomcast: ") || !strings.Contains(text, taken.Addr().String()) {
		t.Errorf("ListenAndServe: %v, want an error that names the address", err)
	}
	l := newPipeListener()
	l.Close()
	if err := srv.Serve(l); !errors.Is(err, net.ErrClosed) || !strings.HasPrefix(err.Error(), "roomcast: ") {
		t.Errorf("Serve: %v, want net.ErrClosed", err)
	}
}

// hurt lets one client of a server end in each way that is logged with a reason.
func hurt(t *testing.T, o roomcast.Options) {
	o.OutboxBytes, o.MaxMessageBytes = 100, 100
	h := newHub(t, o, func(*roomcast.Conn, roomcast.Message) { panic("oh no") })
	bystander, _ := h.dial("other")
	for _, f := range []ws.Frame{ws.NewTextFrame([]byte("panic")), ws.NewTextFrame([]byte("\xff")), ws.NewTextFrame(make([]byte, 101)),
		ws.NewFrame(3, true, nil), ws.NewCloseFrame(nil)} {
		client, _ := h.dial("lobby")
		client.Write(f)
		client.End()
	}
	slow, _ := h.dialRaw("lobby")
	h.Broadcast("lobby", messageOf(100, "x"))
	h.Broadcast("lobby", messageOf(100, "x"))
	slow.rest()
	mute, _ := h.dial("lobby")
	mute.Mute()
	pass(time.Minute)
	h.Broadcast("other", roomcast.Text("still here"))
	expect(t, "got by a bystander", bystander.Receive().String(), "still here")
	expect(t, "Shutdown", h.Shutdown(limited(t)), nil)
}

func TestLogger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		hurt(t, roomcast.Options{Logger: slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		for why, level := range map[roomcast.EndReason]string{
			roomcast.EndPanic: "INFO", roomcast.EndInvalidUTF8: "WARN", roomcast.EndTooBig: "WARN", roomcast.EndProtocol: "WARN",
			roomcast.EndOutboxFull: "WARN", roomcast.EndPongTimeout: "WARN", roomcast.EndClient: "INFO", roomcast.EndShutdown: "INFO",
		} {
			lines := 0
			for line := range strings.Lines(logged.String()) {
				if strings.Contains(line, "level="+level) && strings.Contains(line, "why="+string(why)+" code=") && strings.Contains(line, " conn=") && strings.Contains(line, " lasted=") &&
					strings.Contains(line, " received=") && strings.Contains(line, " sent=") {
					lines++
				}
			}
			expect(t, "lines at "+level+" about "+string(why), lines, 1)
		}
	})
}

// fullDisk is where nothing can be written to.
type fullDisk struct{ tried int }

func (d *fullDisk) Write([]byte) (int, error) {
	d.tried++
	return 0, errors.New("no space left on device")
}

func TestLoggerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &fullDisk{}
		hurt(t, roomcast.Options{Logger: slog.New(slog.NewTextHandler(disk, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		if disk.tried < 9 {
			t.Errorf("%d lines logged in vain, want at least 9", disk.tried)
		}
	})
}

// Without a Logger nothing is written, not even by way of the standard one.
func TestLoggerNil(t *testing.T) {
	var logged bytes.Buffer
	standard, output := slog.Default(), log.Writer()
	defer func() { slog.SetDefault(standard); log.SetOutput(output) }()
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})))
	synctest.Test(t, func(t *testing.T) { hurt(t, roomcast.Options{}) })
	expect(t, "logged", logged.String(), "")
}
