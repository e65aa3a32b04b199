package roomcast_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
	gorilla "github.com/gorilla/websocket"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/roomcasttest"
)

var compressing = roomcast.Options{Compression: roomcast.CompressionOn}

const deflateOffer = "permessage-deflate; client_max_window_bits" // of browsers

// What is agreed on is a table of internal/session; this is where it comes from and goes to (RFC 6455, section 9.1; RFC 7692, section 5.1).
func TestCompressionHandshake(t *testing.T) {
	const agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	for _, c := range []struct {
		section, name string
		o             roomcast.Options
		offers        []string
		status        int
		want          string
	}{
		{"7692 5.1", "off by default", roomcast.Options{}, []string{deflateOffer}, 101, ""},
		{"7692 5.1", "not offered", compressing, nil, 101, ""},
		{"7692 5.1", "offered", compressing, []string{deflateOffer}, 101, agreed},
		{"7692 5.1", "offered in the second header", compressing, []string{"x-custom", deflateOffer}, 101, agreed},
		{"7692 5.1", "declined", compressing, []string{"permessage-deflate; server_max_window_bits=9"}, 101, ""},
		{"7692 7.1.2.1", "window to be confirmed", compressing, []string{"permessage-deflate; server_max_window_bits=\"15\""}, 101, agreed + "; server_max_window_bits=15"},
		{"6455 9.1", "malformed", compressing, []string{"permessage-deflate; ="}, 400, ""},
		{"6455 9.1", "malformed, and of no interest", roomcast.Options{}, []string{"permessage-deflate; ="}, 101, ""},
	} {
		t.Run(c.section+" "+c.name, func(t *testing.T) {
			r := roomcasttest.Request("/")
			r.Header["Sec-Websocket-Extensions"] = c.offers
			res := answerTo(t, roomcast.New(roomcast.Handler{}, c.o), r, c.status)
			expect(t, "Sec-WebSocket-Extensions", strings.Join(res.Header["Sec-Websocket-Extensions"], "|"), c.want)
			if body, _ := io.ReadAll(res.Body); c.status == 400 && !isClearLine(string(body), "Sec-WebSocket-Extensions") {
				t.Errorf("body %q, want one line that names the header", body)
			}
		})
	}
	if err := (roomcast.Options{Compression: 2}).Validate(); err == nil || !strings.Contains(err.Error(), "Options.Compression is 2") {
		t.Errorf("Validate: %v, want an error that names the field and the value", err)
	}
}

// dialDeflating is dialRaw with compression agreed on.
func (h *hub) dialDeflating(room string) (rawClient, *roomcast.Conn) {
	h.t.Helper()
	r := roomcasttest.Request("/" + room)
	r.Header.Set("Sec-WebSocket-Extensions", deflateOffer)
	return h.upgrade(r), <-h.conns
}

// deflate is what a client makes of a payload (RFC 7692, section 7.2.1).
func deflate(s string) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	io.WriteString(w, s)
	w.Flush()
	return b.Bytes()[:b.Len()-4]
}

// inflate is the reverse (RFC 7692, section 7.2.2).
func inflate(t *testing.T, p []byte) string {
	t.Helper()
	got, err := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(p), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff"))))
	if err != nil {
		t.Errorf("inflate: %v", err)
	}
	return string(got)
}

// deflatedFrame is a compressed frame of a client's.
func deflatedFrame(op ws.OpCode, fin bool, payload []byte) []byte {
	f := ws.NewFrame(op, fin, payload)
	f.Header.Rsv = ws.Rsv(true, false, false)
	return masked(f)
}

// Who has agreed to it is sent compressed frames where that pays, and plain ones where not; the others are sent plain frames.
func TestCompressionOnTheWire(t *testing.T) {
	forEachTransport(t, func(t *testing.T, on func(*hub) *hub) {
		h := on(newHub(t, compressing, nil))
		client, conn := h.dialDeflating("lobby")
		plain, _ := h.dial("lobby")
		large := strings.Repeat("hello, world. ", 100)
		noise := make([]byte, 1000)
		rand.NewChaCha8([32]byte{}).Read(noise)
		for _, c := range []struct {
			name       string
			send       func()
			compressed bool
			want       string
		}{
			{"broadcast", func() { h.Broadcast("lobby", roomcast.Text(large)) }, true, large},
			{"small broadcast", func() { h.Broadcast("lobby", roomcast.Text(large[:255])) }, false, large[:255]},
			{"broadcast at the threshold", func() { h.Broadcast("lobby", roomcast.Text(large[:256])) }, true, large[:256]},
			{"empty broadcast", func() { h.Broadcast("lobby", roomcast.Text("")) }, false, ""},
			{"binary broadcast", func() { h.Broadcast("lobby", roomcast.Binary([]byte(large))) }, true, large},
			{"broadcast that does not become shorter", func() { h.Broadcast("lobby", roomcast.Binary(noise)) }, false, string(noise)},
			{"Send", func() { conn.Send(roomcast.Text(large)) }, true, large},
			{"small Send", func() { conn.Send(roomcast.Text("hello")) }, false, "hello"},
		} {
			c.send()
			head, err := ws.ReadHeader(client.br)
			payload := make([]byte, head.Length)
			if _, readErr := io.ReadFull(client.br, payload); err != nil || readErr != nil {
				t.Fatal(err, readErr)
			}
			expect(t, c.name+": RSV1", head.Rsv1(), c.compressed)
			got := string(payload)
			if c.compressed {
				got = inflate(t, payload)
			}
			expect(t, c.name, got, c.want)
			if c.name != "Send" && c.name != "small Send" {
				expect(t, c.name+", to the other", plain.Receive().String(), c.want)
			}
		}
		client.Close()
	})
}

// A client's compressed messages, in one frame and in fragments, reach everybody; what is wrong with them ends its connection alone.
func TestG8_CompressedViolations(t *testing.T) {
	large := strings.Repeat("hello, world. ", 100)
	z := deflate(large)
	for _, c := range []struct {
		section, name string
		frames        [][]byte
		want          string // received by the other
		code          int    // 0 if the connection stays
		why           roomcast.EndReason
	}{
		{"7692 6.2", "one frame", [][]byte{deflatedFrame(ws.OpText, true, z)}, large, 0, ""},
		{"7692 6.2", "fragments", [][]byte{deflatedFrame(ws.OpText, false, z[:9]), masked(ws.NewPongFrame(nil)), masked(ws.NewFrame(ws.OpContinuation, true, z[9:]))}, large, 0, ""},
		{"7692 6.1", "not compressed", [][]byte{masked(ws.NewTextFrame([]byte("hello")))}, "hello", 0, ""},
		{"7692 6.1", "RSV1 on a ping", [][]byte{deflatedFrame(ws.OpPing, true, nil)}, "", 1002, roomcast.EndProtocol},
		{"7692 6.1", "RSV1 on a continuation", [][]byte{deflatedFrame(ws.OpText, false, z[:9]), deflatedFrame(ws.OpContinuation, true, z[9:])}, "", 1002, roomcast.EndProtocol},
		{"7692 7.2.2", "not DEFLATE data", [][]byte{deflatedFrame(ws.OpText, true, []byte(large))}, "", 1002, roomcast.EndProtocol},
		{"6455 8.1", "not UTF-8", [][]byte{deflatedFrame(ws.OpText, true, deflate(large+"\xff"))}, "", 1007, roomcast.EndInvalidUTF8},
		{"6455 10.4", "at the limit", [][]byte{deflatedFrame(ws.OpText, true, deflate(strings.Repeat("x", 10_000)))}, strings.Repeat("x", 10_000), 0, ""},
		{"6455 10.4", "a byte more", [][]byte{deflatedFrame(ws.OpText, true, deflate(strings.Repeat("x", 10_001)))}, "", 1009, roomcast.EndTooBig},
		{"6455 10.4", "bomb", [][]byte{deflatedFrame(ws.OpBinary, true, deflate(strings.Repeat("x", 8_000_000)))}, "", 1009, roomcast.EndTooBig},
	} {
		t.Run(c.section+" "+c.name, func(t *testing.T) {
			forEachTransport(t, func(t *testing.T, on func(*hub) *hub) {
				h := on(newHub(t, roomcast.Options{Compression: roomcast.CompressionOn, MaxMessageBytes: 10_000}, nil))
				other, _ := h.dial("lobby")
				client, _ := h.dialDeflating("lobby")
				var end roomcasttest.End
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					_, _, end = client.rest()
				}()
				for _, f := range c.frames {
					client.Write(f)
				}
				if c.code == 0 {
					expect(t, "received", other.Receive().String(), c.want)
					client.Close()
				}
				<-ended
				if c.code != 0 {
					expect(t, "close code", end.Code, c.code)
					expect(t, "counted", h.Stats().Ended[c.why], 1)
				}
				h.Broadcast("lobby", roomcast.Text("still here"))
				expect(t, "the other", other.Receive().String(), "still here")
			})
		})
	}
}

// Without an agreement RSV1 stays a violation (RFC 6455, section 5.2).
func TestG8_CompressedWithoutAgreement(t *testing.T) {
	forEachTransport(t, func(t *testing.T, on func(*hub) *hub) {
		for _, o := range []roomcast.Options{{}, compressing} {
			h := on(newHub(t, o, nil))
			client, _ := h.dial("lobby")
			client.WriteRaw(deflatedFrame(ws.OpText, true, deflate("hello"))[:6]) // no more is read
			expect(t, "close code", client.End().Code, 1002)
		}
	})
}

// foreigner is a client that others wrote.
type foreigner interface {
	read(t *testing.T) string
	write(t *testing.T, text string)
}

type coderClient struct{ *websocket.Conn }

func (c coderClient) read(t *testing.T) string {
	_, data, err := c.Read(limited(t))
	expect(t, "coder read", err, nil)
	return string(data)
}

func (c coderClient) write(t *testing.T, text string) {
	expect(t, "coder write", c.Write(limited(t), websocket.MessageText, []byte(text)), nil)
}

func dialCoder(t *testing.T, url string, mode websocket.CompressionMode) foreigner {
	t.Helper()
	c, res, err := websocket.Dial(limited(t), url, &websocket.DialOptions{CompressionMode: mode, CompressionThreshold: 1})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "coder: agreed", res.Header.Get("Sec-WebSocket-Extensions") != "", mode != websocket.CompressionDisabled)
	c.SetReadLimit(-1)
	t.Cleanup(func() { c.CloseNow() })
	return coderClient{c}
}

type gorillaClient struct{ *gorilla.Conn }

func (c gorillaClient) read(t *testing.T) string {
	_, data, err := c.ReadMessage()
	expect(t, "gorilla read", err, nil)
	return string(data)
}

func (c gorillaClient) write(t *testing.T, text string) {
	expect(t, "gorilla write", c.WriteMessage(gorilla.TextMessage, []byte(text)), nil)
}

func dialGorilla(t *testing.T, url string, compress bool) foreigner {
	t.Helper()
	c, res, err := (&gorilla.Dialer{EnableCompression: compress}).DialContext(limited(t), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "gorilla: agreed", res.Header.Get("Sec-WebSocket-Extensions") != "", compress)
	t.Cleanup(func() { c.Close() })
	return gorillaClient{c}
}

// A room of foreign clients, some with compression and some without, hears each of them unchanged.
func TestCompressionMixedRoom(t *testing.T) {
	h := newHub(t, roomcast.Options{Compression: roomcast.CompressionOn, OutboxBytes: 64 << 20}, nil)
	url := h.listen() + "/lobby"
	var room []foreigner
	join := func(f foreigner) {
		room = append(room, f)
		<-h.conns
	}
	join(dialCoder(t, url, websocket.CompressionNoContextTakeover))
	join(dialGorilla(t, url, true))
	join(dialCoder(t, url, websocket.CompressionContextTakeover)) // it is told not to
	join(dialCoder(t, url, websocket.CompressionDisabled))
	join(dialGorilla(t, url, false))
	for _, text := range []string{
		"", "hello", "grüße, 世界 👋", strings.Repeat("grüße, 世界 👋 ", 20), strings.Repeat("0123456789", 30_000), strings.Repeat("ab", 1<<19),
	} {
		for i, sender := range room {
			message := fmt.Sprint(i, ": ", text)
			if text == "" {
				message = ""
			}
			var sending sync.WaitGroup
			sending.Go(func() { sender.write(t, message) }) // the large ones are under way while the others read
			for j, member := range room {
				if j == i {
					continue
				}
				if got := member.read(t); got != message {
					t.Errorf("from %d to %d: %d bytes, want the %d that were sent", i, j, len(got), len(message))
				}
			}
			sending.Wait()
		}
		h.Broadcast("lobby", roomcast.Text("to all: "+text))
		for _, member := range room {
			expect(t, "broadcast", member.read(t), "to all: "+text)
		}
	}
}
