package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/roomcast/roomcast"
)

// BenchmarkPublish is a publication to a room that nobody is in, without the network: alone, and as one of a hundred in a batch.
func BenchmarkPublish(b *testing.B) {
	const data = `"data":{"text":"lunch is ready, come and get it before it is cold"}}`
	for name, c := range map[string]struct {
		path, body string
		each       int
	}{
		"one":   {"/v1/rooms/kitchen/messages", "{" + data, 1},
		"batch": {"/v1/batch", `{"publications":[` + strings.TrimSuffix(strings.Repeat(`{"to":{"room":"kitchen"},`+data+",", 100), ",") + "]}", 100},
	} {
		b.Run(name, func(b *testing.B) {
			w := start(b, roomcast.Options{})
			w.api.keys = keyring{"correct-horse-16"}
			b.ReportAllocs()
			for n := 0; n < b.N; n += c.each {
				r := request(post, c.path, c.body)
				r.Header.Set("Authorization", "Bearer correct-horse-16")
				w.api.ServeHTTP(nowhere{}, r)
			}
		})
	}
}

// nowhere is an http.ResponseWriter that keeps nothing.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) WriteHeader(int)             {}
