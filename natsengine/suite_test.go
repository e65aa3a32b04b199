package natsengine

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/roomcasttest"
)

// suiteNodes are n nodes made for the suite.
func suiteNodes(t *testing.T, n int, o Options) []roomcast.Engine {
	t.Helper()
	o.History, o.Logger, o.Linger = roomcasttest.SuiteRetention(), testLogger(t), 100*time.Millisecond
	var nodes []roomcast.Engine
	for range n {
		e, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Close)
		eventually(t, "a node is ready", func() bool { return e.Ready() == nil })
		nodes = append(nodes, e)
	}
	return nodes
}

func TestSuiteEmbedded(t *testing.T) {
	roomcasttest.EngineSuite(t, func(t *testing.T, n int) []roomcast.Engine {
		return suiteNodes(t, n, Options{Server: runServer(t, ServerOptions{})})
	})
}

// TestSuiteClustered has every node in another process's place: each with the server in it, and everything stored on all three.
func TestSuiteClustered(t *testing.T) {
	c := runCluster(t, 3)
	roomcasttest.EngineSuite(t, func(t *testing.T, n int) []roomcast.Engine {
		var nodes []roomcast.Engine
		for i := range n {
			nodes = append(nodes, suiteNodes(t, 1, Options{Server: c.servers[i], Replicas: 3})...)
		}
		return nodes
	})
}

func TestSuiteExternal(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds nats-server")
	}
	url := runProcess(t)
	roomcasttest.EngineSuite(t, func(t *testing.T, n int) []roomcast.Engine {
		return suiteNodes(t, n, Options{URL: url})
	})
}

// runProcess runs nats-server as everybody does, in a process of its own until the test ends, and returns its address.
func runProcess(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	bin := filepath.Join(dir, "nats-server")
	if out, err := exec.Command("go", "build", "-o", bin, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		t.Fatalf("build nats-server: %v\n%s", err, out)
	}
	cmd := exec.Command(bin, "--addr", "127.0.0.1", "--port", "-1", "--jetstream", "--store_dir", filepath.Join(dir, "data"), "--ports_file_dir", dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var ports struct {
		Nats []string `json:"nats"`
	}
	eventually(t, "nats-server says where it listens", func() bool {
		files, _ := filepath.Glob(filepath.Join(dir, "*.ports"))
		if len(files) == 0 {
			return false
		}
		data, err := os.ReadFile(files[0])
		return err == nil && json.Unmarshal(data, &ports) == nil && len(ports.Nats) > 0
	})
	return ports.Nats[0]
}
