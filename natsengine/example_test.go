package natsengine_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/natsengine"
)

// A NATS server in the process keeps what is said in rooms that begin with "log/".
func Example() {
	dir, err := os.MkdirTemp("", "roomcast")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	server, err := natsengine.RunServer(natsengine.ServerOptions{Dir: dir})
	if err != nil {
		panic(err)
	}
	defer server.Close()
	engine, err := natsengine.New(natsengine.Options{
		Server:  server,
		History: []roomcast.Retention{{Name: "log", Match: func(room string) bool { return len(room) > 4 && room[:4] == "log/" }, Age: time.Hour}},
	})
	if err != nil {
		panic(err)
	}
	defer engine.Close()
	for range time.Tick(10 * time.Millisecond) { // a server would go on, and let its health check say so
		if engine.Ready() == nil {
			break
		}
	}
	if err := engine.Publish(context.Background(), "log/kitchen", []roomcast.Entry{{Message: roomcast.Text("tea is ready")}}); err != nil {
		panic(err)
	}
	entries, err := engine.History(context.Background(), "log/kitchen", roomcast.Position{}, 10)
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		fmt.Println(e.Position.Offset, e)
	}
	// Output: 1 tea is ready
}
