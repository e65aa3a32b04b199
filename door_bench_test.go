package roomcast_test

import (
	"io"
	"net"
	"testing"

	"github.com/roomcast/roomcast"
)

// BenchmarkHandshake is one client that comes, is upgraded and is lost, through the door and through net/http. What the client does
// counts too; it is the same for both.
//
//	go test -run '^$' -bench Handshake -cpu 1 .
func BenchmarkHandshake(b *testing.B) {
	for name, door := range map[string]bool{"door": true, "net-http": false} {
		b.Run(name, func(b *testing.B) {
			srv := roomcast.New(roomcast.Handler{}, roomcast.Options{})
			addr := listenOn(b, srv, srv, door)
			stays, _ := upgradeTCP(b, addr, "") // its loop does not end between two others
			defer stays.Close()
			request, answer := []byte(sampleUpgrade+"\r\n"), make([]byte, 129) // of the 101
			b.ReportAllocs()
			for b.Loop() {
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					b.Fatal(err)
				}
				conn.Write(request)
				if _, err := io.ReadFull(conn, answer); err != nil {
					b.Fatal(err)
				}
				reset(conn.(*net.TCPConn))
			}
		})
	}
}
