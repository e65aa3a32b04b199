package natsengine

import (
	"testing"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/roomcasttest"
)

// suiteNodes are n nodes made for the suite. They lose patience with dead nodes soon.
func suiteNodes(t *testing.T, n int, o Options) []roomcast.Engine {
	t.Helper()
	o.History, o.Logger = roomcasttest.SuiteRetention(), testLogger(t)
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
