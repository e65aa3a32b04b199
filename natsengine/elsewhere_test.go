package natsengine

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/roomcast/roomcast"
)

// A node leaves a NATS server that is of no use to it, here for the want of JetStream, for another one that it knows.
func TestGoesToAnotherServer(t *testing.T) {
	useless := &broker{t: t, opts: server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true}}
	useless.start()
	t.Cleanup(useless.stop)
	useful := newBroker(t)
	for range 3 { // the first server is a matter of chance
		e, err := New(Options{
			URL: useless.srv.ClientURL() + "," + useful.srv.ClientURL(), History: []roomcast.Retention{everything()}, Lease: 200 * time.Millisecond,
			Logger: testLogger(t),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Close)
		eventually(t, "the node is ready", func() bool { return e.Ready() == nil })
	}
}
