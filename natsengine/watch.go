package natsengine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

var (
	errNoAnswer   = errors.New("JetStream does not answer")
	errWatchEnded = errors.New("the reading of the bucket has ended")
	errStalled    = errors.New("the reading of the bucket has stopped: what is stored does not come")
)

// bucketName is the name of the bucket for one purpose.
func bucketName(prefix, what string) string {
	return strings.ToUpper(strings.ReplaceAll(prefix, ".", "_")) + "_" + what
}

// openBucket creates a bucket, or opens it as it is configured now.
func openBucket(ctx context.Context, js jetstream.JetStream, cfg jetstream.KeyValueConfig) (jetstream.KeyValue, error) {
	kv, err := js.CreateKeyValue(ctx, cfg)
	if errors.Is(err, jetstream.ErrBucketExists) {
		kv, err = js.UpdateKeyValue(ctx, cfg)
	}
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", cfg.Bucket, err)
	}
	return kv, nil
}

// reading is what a reading has to know of the one before.
type reading struct {
	created  time.Time // of the bucket; zero: there was none before
	last     uint64    // the latest revision read
	patience time.Duration
	failing  bool
}

// read takes in the bucket until close: the whole of it, then every change. Whenever something is wrong, and after every reconnect, it begins anew: a
// reading that has been interrupted may have missed deletions, since their marks do not stay.
func (p *presence) read() {
	r := reading{patience: p.patience()}
	for p.ctx.Err() == nil {
		err := p.readOnce(&r)
		p.mu.Lock()
		complete, connected := !p.pulse.complete.IsZero(), p.connected
		p.pulse.complete = time.Time{}
		if err != nil && connected {
			p.trouble = err
		}
		p.mu.Unlock()
		if err == nil || p.ctx.Err() != nil {
			continue
		}
		if complete {
			r.failing, r.patience = false, p.patience()
		}
		if connected && !r.failing {
			r.failing = true
			p.cfg.logger.Warn("the members of the cluster cannot be read: it is tried again until they can", "bucket", p.bucket, "error", err)
		}
		pause := time.NewTimer(p.tick())
		if !connected {
			pause.Stop()
		}
		select {
		case <-p.ctx.Done():
		case <-p.kick:
		case <-pause.C:
		}
		pause.Stop()
	}
}

// patience is how long the first attempt waits for an answer. A request that comes while a cluster chooses a leader is never answered.
func (p *presence) patience() time.Duration { return min(time.Second, p.cfg.timeout) }

// readOnce reads until something is wrong; without an error if the bucket is just to be read anew.
func (p *presence) readOnce(r *reading) error {
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	p.mu.Lock()
	p.interrupt = cancel
	connected := p.connected
	p.mu.Unlock()
	if !connected {
		return errWatchEnded
	}
	start := time.AfterFunc(r.patience, cancel)
	defer start.Stop()
	w, err := p.begin(ctx, r)
	if !start.Stop() {
		err = fmt.Errorf("%w within %v", errNoAnswer, r.patience)
		r.patience = min(2*r.patience, p.cfg.timeout)
	}
	if w != nil {
		defer func() {
			cancel() // ends it
			drain(w, p.cfg.timeout)
		}()
	}
	if err != nil {
		return err
	}
	check := time.NewTicker(p.stall() / 2)
	defer check.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return nil
		case <-p.kick:
			return nil
		case now := <-check.C:
			if p.stalled(now) {
				return errStalled
			}
		case e, ok := <-w.Updates():
			if !ok {
				return errWatchEnded
			}
			r.last = max(r.last, p.take(e))
		}
	}
}

// drain takes what is on its way from a reading that has been ended, which would otherwise wait for ever to hand it over. Its channel is closed
// then, unless it was ended while it was beginning.
func drain(w jetstream.KeyWatcher, timeout time.Duration) {
	end := time.NewTimer(timeout)
	defer end.Stop()
	for {
		select {
		case _, ok := <-w.Updates():
			if !ok {
				return
			}
		case <-end.C:
			return
		}
	}
}

// begin begins a reading. Another bucket under the same name, or one that has lost its end, has nothing to do with the revisions that are known.
func (p *presence) begin(ctx context.Context, r *reading) (jetstream.KeyWatcher, error) {
	kv, err := p.open(ctx, r)
	if err != nil {
		return nil, err
	}
	status, err := kv.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", p.bucket, err)
	}
	bucket, ok := status.(*jetstream.KeyValueBucketStatus)
	if !ok {
		return nil, fmt.Errorf("bucket %s: its state is a %T", p.bucket, status)
	}
	info := bucket.StreamInfo()
	forget := !info.Created.Equal(r.created) || info.State.LastSeq < r.last
	r.created, r.last = info.Created, info.State.LastSeq
	p.mu.Lock()
	p.table.begin(forget)
	p.pulse.limit = info.State.LastSeq
	p.pulse.heard = time.Now()
	p.pulse.complete = time.Time{}
	p.mu.Unlock()
	w, err := kv.WatchAll(ctx)
	if err != nil {
		return nil, fmt.Errorf("read bucket %s: %w", p.bucket, err)
	}
	return w, nil
}

// open creates the bucket the first time, or opens it as it is configured. Later it need only be there, which takes fewer servers of a cluster to say.
func (p *presence) open(ctx context.Context, r *reading) (jetstream.KeyValue, error) {
	if !r.created.IsZero() {
		kv, err := p.js.KeyValue(ctx, p.bucket)
		if err == nil {
			return kv, nil
		}
		if !errors.Is(err, jetstream.ErrBucketNotFound) {
			return nil, fmt.Errorf("bucket %s: %w", p.bucket, err)
		}
	}
	return openBucket(ctx, p.js, jetstream.KeyValueConfig{
		Bucket: p.bucket, Description: "who is there", Replicas: p.cfg.replicas, Storage: jetstream.FileStorage, LimitMarkerTTL: markerTTL,
	})
}

// take takes in one entry, and returns its revision; nil is the mark that all there was has come.
func (p *presence) take(e jetstream.KeyValueEntry) uint64 {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.changedLocked()
	p.pulse.heard = now
	if e == nil {
		p.table.pardon(now)
		p.pulse.complete = now
		p.pulse.settle = p.pulse.beat + 1
		if p.connected {
			p.trouble = nil
		}
		return 0
	}
	if id, ok := strings.CutPrefix(e.Key(), memberKey); ok {
		p.takeMember(id, e, now)
	} else if token, ok := strings.CutPrefix(e.Key(), leaseKey); ok {
		p.takeLease(token, e, now)
	}
	return e.Revision()
}

func (p *presence) takeMember(id string, e jetstream.KeyValueEntry, now time.Time) {
	if e.Operation() != jetstream.KeyValuePut {
		p.table.removed(id, e.Revision())
		return
	}
	h, info, err := decodeValue(e.Value())
	if err != nil || h.Owner == "" {
		p.cfg.logger.Warn("a key in the bucket of members is not understood: it is left alone", "bucket", p.bucket, "key", e.Key(), "error", err)
		return
	}
	p.table.put(id, e.Revision(), version{h.Owner, h.Node, info}, now)
}

func (p *presence) takeLease(token string, e jetstream.KeyValueEntry, now time.Time) {
	if e.Operation() != jetstream.KeyValuePut {
		p.table.leaseEnded(token, e.Revision(), now)
		return
	}
	h, _, err := decodeValue(e.Value())
	if err != nil {
		p.cfg.logger.Warn("a lease in the bucket of members is not understood", "bucket", p.bucket, "key", e.Key(), "error", err)
	}
	p.table.lease(token, h.Node, e.Revision(), now)
	if token != p.self {
		return
	}
	p.pulse.echoed = max(p.pulse.echoed, h.Beat)
	if h.Beat == p.pulse.beat {
		p.pulse.proof = p.pulse.begun
	}
	if p.pulse.settle != 0 && h.Beat >= p.pulse.settle {
		p.pulse.settle = 0
		p.table.settle(p.pulse.limit)
	}
}
