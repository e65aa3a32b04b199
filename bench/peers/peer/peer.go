// Package peer is what the Go relays of the comparison share, so that none is better off for its surroundings: the command line,
// the listener, the path of a room, and the list of a room's members.
package peer

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
)

// prefix is where the rooms are.
const prefix = "/rooms/"

// Buffer is how many messages may wait for one member in those relays that hand them over in a channel. A member whose channel is
// full is cut off. It is 256 unless the command line says otherwise.
var Buffer = flag.Int("buffer", 256, "messages that may wait for a member, where the relay has a channel per member")

// Listen reads the command line and opens the address it names. The address that was opened is printed: port 0 takes a free one.
func Listen() net.Listener {
	flag.Usage = func() {
		fmt.Fprintf(os.Stderr, "usage: %s [-buffer N] HOST:PORT\n", os.Args[0])
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	l, err := net.Listen("tcp", flag.Arg(0))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(l.Addr())
	return l
}

// RoomName is the room that a request's path names, or "" if it names none.
func RoomName(path string) string {
	name, ok := strings.CutPrefix(path, prefix)
	if !ok {
		return ""
	}
	return name
}

// Serve runs upgrade for every request that names a room, on net/http, until the process ends.
func Serve(upgrade func(w http.ResponseWriter, r *http.Request, room string)) {
	log.Fatal(http.Serve(Listen(), Handler(upgrade)))
}

// Handler answers 404 to what names no room.
func Handler(upgrade func(w http.ResponseWriter, r *http.Request, room string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		room := RoomName(r.URL.Path)
		if room == "" {
			http.NotFound(w, r)
			return
		}
		upgrade(w, r, room)
	})
}
