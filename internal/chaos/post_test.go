//go:build unix

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/chaos/client"
	"github.com/roomcast/roomcast/internal/chaos/history"
)

// poster is a backend that publishes over the HTTP API: with an idempotency key, and again on another node until it is done.
type poster struct {
	fleet  *fleet
	name   string
	random *rand.Rand

	mu   sync.Mutex
	sent map[string][]*history.Publish
}

// post starts a backend.
func (f *fleet) post(i int, pause time.Duration, rooms ...string) {
	p := &poster{fleet: f, name: fmt.Sprint("backend", i), random: rand.New(rand.NewPCG(f.seed, uint64(i)+3000)), sent: map[string][]*history.Publish{}}
	f.posts = append(f.posts, p)
	f.tasks.Go(func() {
		for seq := 1; f.pause(pause/4 + time.Duration(p.random.Int64N(int64(pause*3/2)))); seq++ {
			if err := p.publish(rooms[p.random.IntN(len(rooms))], seq); err != nil {
				f.mu.Lock()
				f.unacked = append(f.unacked, err.Error())
				f.mu.Unlock()
				return
			}
		}
	})
}

func (p *poster) publish(room string, seq int) error {
	sent := &history.Publish{ID: history.ID{By: p.name, Seq: seq}, Begun: time.Since(p.fleet.began)}
	p.mu.Lock()
	p.sent[room] = append(p.sent[room], sent)
	p.mu.Unlock()
	body, err := json.Marshal(map[string]any{
		"data":            client.Payload{By: p.name, Seq: seq, Pad: strings.Repeat("y", p.random.IntN(200))},
		"idempotency_key": fmt.Sprint(p.name, "-", seq),
	})
	if err != nil {
		return err
	}
	for {
		node := strings.TrimSuffix(p.fleet.urls[p.random.IntN(len(p.fleet.urls))], "/ws")
		p.mu.Lock()
		sent.Tries++
		p.mu.Unlock()
		at, err := p.try(node+"/v1/rooms/"+url.PathEscape(room)+"/messages", body)
		if err == nil {
			p.mu.Lock()
			sent.Acked, sent.At = time.Since(p.fleet.began), at
			p.mu.Unlock()
			return nil
		}
		timer := time.NewTimer(100 * time.Millisecond)
		select {
		case <-timer.C:
		case <-p.fleet.final.Done():
			timer.Stop()
			return fmt.Errorf("%s to %s after %d tries: %w", p.name, room, sent.Tries, err)
		}
	}
}

// try sends it to one node. The position is zero if the answer does not say it.
func (p *poster) try(url string, body []byte) (at history.Position, err error) {
	req, err := http.NewRequestWithContext(context.WithoutCancel(p.fleet.ctx), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return at, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := browser.Do(req)
	if err != nil {
		return at, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return at, err
	}
	if res.StatusCode != http.StatusOK {
		return at, fmt.Errorf("%s: %.300s", res.Status, text)
	}
	var answer struct {
		Epoch  string `json:"epoch"`
		Offset uint64 `json:"offset"`
	}
	err = json.Unmarshal(text, &answer)
	return history.Position{Epoch: answer.Epoch, Offset: answer.Offset}, err
}

// in is what it has sent to a room.
func (p *poster) in(room string) (all []history.Publish) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, sent := range p.sent[room] {
		all = append(all, *sent)
	}
	return all
}
