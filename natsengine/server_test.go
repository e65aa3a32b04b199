package natsengine

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
)

func TestRunServerKeepsItsData(t *testing.T) {
	dir := t.TempDir()
	s := runServer(t, ServerOptions{Dir: dir})
	if s.ClientURL() != "" {
		t.Errorf("without Listen its URL is %q", s.ClientURL())
	}
	nc, js := dial(t, s)
	first, err := secret(t.Context(), js, "app", 1)
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	s.Close()

	s = runServer(t, ServerOptions{Dir: dir, Listen: "127.0.0.1:0"})
	if !strings.HasPrefix(s.ClientURL(), "nats://127.0.0.1:") {
		t.Errorf("its URL is %q", s.ClientURL())
	}
	nc, js = dial(t, s)
	defer nc.Close()
	again, err := secret(t.Context(), js, "app", 1)
	if err != nil || !bytes.Equal(first, again) {
		t.Errorf("after a restart the secret is another one (%v)", err)
	}
}

func TestRunServerRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	inUse := t.TempDir()
	runServer(t, ServerOptions{Dir: inUse})
	peers := []string{"127.0.0.1:6222"}
	for name, c := range map[string]struct {
		o    ServerOptions
		want string
	}{
		"no dir":             {ServerOptions{}, "Dir is empty"},
		"a file":             {ServerOptions{Dir: file}, "not a directory"},
		"dir in use":         {ServerOptions{Dir: inUse}, "in use by another server"},
		"taken port":         {ServerOptions{Dir: t.TempDir(), Listen: taken.Addr().String()}, "address already in use"},
		"taken cluster port": {ServerOptions{Dir: t.TempDir(), Name: "a", Peers: peers, ClusterListen: taken.Addr().String()}, "address already in use"},
		"no port":            {ServerOptions{Dir: t.TempDir(), Listen: "127.0.0.1"}, "no host:port"},
		"peers, no name":     {ServerOptions{Dir: t.TempDir(), ClusterListen: "127.0.0.1:0", Peers: peers}, "without Name"},
		"peers, no address":  {ServerOptions{Dir: t.TempDir(), Name: "a", Peers: peers}, "without ClusterListen"},
		"address, no peers":  {ServerOptions{Dir: t.TempDir(), Name: "a", ClusterListen: "127.0.0.1:0"}, "without Peers"},
		"a peer's secret":    {ServerOptions{Dir: t.TempDir(), Name: "a", ClusterListen: "127.0.0.1:0", Peers: []string{"u:p@h:1"}}, "no host:port"},
		"a blank":            {ServerOptions{Dir: t.TempDir(), Name: "a b"}, "blanks"},
		"size":               {ServerOptions{Dir: t.TempDir(), MaxStore: -1}, "MaxStore"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := RunServer(c.o)
			if err == nil {
				s.Close()
				t.Fatal("it runs")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v; it should say %q", err, c.want)
			}
		})
	}
}

func TestServerLogIsQuiet(t *testing.T) {
	var out bytes.Buffer
	s := runServer(t, ServerOptions{Logger: slog.New(slog.NewTextHandler(&out, nil))})
	s.Close()
	if out.Len() > 0 {
		t.Errorf("a server that starts and ends says\n%s", &out)
	}
}

func TestSecretIsShared(t *testing.T) {
	s := runServer(t, ServerOptions{})
	nc, js := dial(t, s)
	defer nc.Close()
	const nodes = 8
	got := make(chan []byte, nodes)
	for range nodes {
		go func() {
			b, err := secret(t.Context(), js, "app", 1)
			if err != nil {
				t.Error(err)
			}
			got <- b
		}()
	}
	first := <-got
	if len(first) != 32 {
		t.Fatalf("it has %d bytes", len(first))
	}
	for range nodes - 1 {
		if !bytes.Equal(first, <-got) {
			t.Error("two nodes have different secrets")
		}
	}
	other, err := secret(t.Context(), js, "other", 1)
	if err != nil || bytes.Equal(first, other) {
		t.Errorf("another prefix has the same secret (%v)", err)
	}
}

// Servers that no other process may be a client of make a cluster all the same, and keep such clients out.
func TestClusterWithoutListen(t *testing.T) {
	c := runClusterOf(t, 3, func() string { return "" })
	for _, s := range c.servers {
		if s.ClientURL() != "" {
			t.Errorf("its URL is %q", s.ClientURL())
		}
		nc, err := nats.Connect("nats://" + s.nats.Addr().String())
		if !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("a client of another process: %v, want ErrAuthorization", err)
		}
		nc.Close()
	}
}

// Who does not know the secret of a cluster is not let in, and the secret is in no log line.
func TestClusterSecret(t *testing.T) {
	var lines lockedBuffer
	logger := slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
	first, second := freeAddr(t), freeAddr(t)
	const secret, wrong = "the-secret-of-the-cluster", "another-secret-altogether"
	server := func(name, listen, peer, secret string) *Server {
		return runServer(t, ServerOptions{Name: name, ClusterListen: listen, Peers: []string{peer}, Secret: secret, Logger: logger})
	}
	a := server("a", first, second, secret)
	server("stranger", freeAddr(t), first, wrong)
	eventually(t, "the stranger is refused", func() bool { return strings.Contains(lines.String(), "uthorization") })
	if n := a.nats.NumRoutes(); n != 0 {
		t.Errorf("%d routes, want none", n)
	}
	server("b", second, first, secret)
	eventually(t, "the two have found each other", func() bool { return a.nats.NumRoutes() > 0 })
	for _, text := range []string{secret, wrong} {
		if strings.Contains(lines.String(), text) {
			t.Errorf("the log has %q in it", text)
		}
	}
}

// lockedBuffer may be written to from anywhere.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
