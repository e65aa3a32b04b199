package natsengine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	memberKey = "s."
	leaseKey  = "n."

	// markerTTL is how long the mark of a deleted key stays. Who has not seen it by then reads the whole bucket anew.
	markerTTL = time.Minute
)

// head is the first line of every value. What follows it in the key of a member is its Info, as it is.
type head struct {
	Node  string `json:"node"`
	Owner string `json:"owner,omitempty"` // of a member: who presents it
	Beat  uint64 `json:"beat,omitempty"`  // of a lease: counts its refreshes
}

func encodeValue(h head, info []byte) ([]byte, error) {
	line, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("natsengine: encode the head of a key: %w", err)
	}
	return append(append(line, '\n'), info...), nil
}

func decodeValue(value []byte) (h head, info []byte, err error) {
	line, info, _ := bytes.Cut(value, []byte{'\n'})
	if err := json.Unmarshal(line, &h); err != nil {
		return head{}, nil, fmt.Errorf("natsengine: decode the head of a key: %w", err)
	}
	return h, info, nil
}

// writeLocked starts as many writers as there is work for.
func (p *presence) writeLocked() {
	for range min(len(p.table.queue), maxWriters-p.writers) {
		if !p.connected || p.ctx.Err() != nil {
			break
		}
		p.writers++
		p.tasks.Go(p.write)
	}
	if p.closing && p.writers == 0 && !p.table.pending() {
		p.outLocked()
	}
}

// write writes until there is nothing left to write.
func (p *presence) write() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.connected && p.ctx.Err() == nil {
		j, ok := p.table.next()
		if !ok {
			break
		}
		p.mu.Unlock()
		rev := p.do(j)
		p.mu.Lock()
		p.table.written(j, rev)
		p.changedLocked()
	}
	p.writers--
	p.changedLocked()
}

// do returns the revision that a write got, 0 if it failed: it will be tried again if it is still wanted then.
func (p *presence) do(j job) (rev uint64) {
	ctx, cancel := context.WithTimeout(p.ctx, p.cfg.timeout)
	defer cancel()
	var err error
	if j.gone {
		rev, err = p.erase(ctx, p.js, memberKey+j.id, j.rev)
	} else {
		rev, err = p.store(ctx, memberKey+j.id, head{Node: p.cfg.node, Owner: p.self}, j.info, j.rev)
	}
	if err != nil {
		if conflict(err) && j.tries%8 == 7 { // what it conflicts with should have been read by now
			p.reread()
		} else if !conflict(err) && p.ctx.Err() == nil {
			p.cfg.logger.Debug("a member could not be written: it will be tried again", "id", j.id, "error", err)
		}
		return 0
	}
	return rev
}

// store puts a key; with a revision only if it still has that one.
func (p *presence) store(ctx context.Context, key string, h head, info []byte, rev uint64) (uint64, error) {
	value, err := encodeValue(h, info)
	if err != nil {
		return 0, err
	}
	return p.publish(ctx, p.js, &nats.Msg{Header: nats.Header{}, Data: value}, key, rev)
}

// erase deletes a key; with a revision only if it still has that one. The mark it leaves deletes itself.
func (p *presence) erase(ctx context.Context, js jetstream.JetStream, key string, rev uint64) (uint64, error) {
	m := &nats.Msg{Header: nats.Header{
		"KV-Operation":         []string{"PURGE"},
		jetstream.MsgRollup:    []string{jetstream.MsgRollupSubject},
		jetstream.MsgTTLHeader: []string{markerTTL.String()},
	}}
	return p.publish(ctx, js, m, key, rev)
}

func (p *presence) publish(ctx context.Context, js jetstream.JetStream, m *nats.Msg, key string, rev uint64) (uint64, error) {
	m.Subject = "$KV." + p.bucket + "." + key
	if rev != 0 {
		m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(rev, 10))
	}
	ack, err := js.PublishMsg(ctx, m)
	if err != nil {
		return 0, fmt.Errorf("natsengine: write %s: %w", key, err)
	}
	return ack.Sequence, nil
}

// conflict reports whether a write found another revision than it expected. Streams with replicas have an error code of their own for it.
func conflict(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) &&
		(api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}
