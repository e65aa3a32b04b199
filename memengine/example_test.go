package memengine_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/memengine"
)

// Rooms that remember: who comes back with the position of what he saw last gets what he missed, or is told that it cannot be had.
func Example() {
	engine := memengine.New(memengine.Options{
		History: []roomcast.Retention{{
			Name:     "chat",
			Match:    func(room string) bool { return strings.HasPrefix(room, "chat/") },
			Messages: 100,
			Age:      time.Hour,
		}},
	})
	defer engine.Close()

	ctx := context.Background()
	entries := []roomcast.Entry{{Message: roomcast.Text("Soup!")}, {Message: roomcast.Text("Coming.")}, {Message: roomcast.Text("Me too.")}}
	if err := engine.Publish(ctx, "chat/kitchen", entries); err != nil {
		log.Fatal(err)
	}
	seen := entries[0].Position // what Publish has set

	missed, err := engine.History(ctx, "chat/kitchen", seen, 100)
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range missed {
		fmt.Println(e.Position.Offset, e)
	}
	_, err = engine.History(ctx, "chat/kitchen", roomcast.Position{Epoch: "of last week", Offset: 7}, 100)
	fmt.Println(errors.Is(err, roomcast.ErrHistoryGone))
	// Output:
	// 2 Coming.
	// 3 Me too.
	// true
}

// A publisher that does not know whether its message arrived repeats it with the same key.
func ExampleEngine_Publish() {
	engine := memengine.New(memengine.Options{
		History: []roomcast.Retention{{Name: "all", Match: func(string) bool { return true }}},
	})
	defer engine.Close()
	for range 2 {
		order := []roomcast.Entry{{Message: roomcast.Text("One soup, please."), Once: "order 4711"}}
		if err := engine.Publish(context.Background(), "orders", order); err != nil {
			log.Fatal(err)
		}
		fmt.Println(order[0].Position.Offset, order[0].Again)
	}
	// Output:
	// 1 false
	// 1 true
}

// The nodes of a cluster in one process, for tests of what happens between nodes.
func ExampleNewCluster() {
	nodes := memengine.NewCluster(memengine.Options{}, 2)
	for _, node := range nodes {
		defer node.Close()
	}
	told := make(chan string)
	cancel := nodes[1].Watch(func(members []roomcast.Member) {
		for _, m := range members {
			told <- fmt.Sprintf("%s is on %s: %s", m.ID, m.Node, m.Info)
		}
	})
	defer cancel()
	nodes[0].Present(roomcast.Member{ID: "ann", Info: []byte("in the kitchen")})
	fmt.Println(<-told)
	// Output:
	// ann is on node-1: in the kitchen
}
