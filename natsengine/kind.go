package natsengine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roomcast/roomcast"
)

// kind is the rooms that one Retention is for: they share a stream.
type kind struct {
	roomcast.Retention
	prefix   string
	stream   string
	replicas int
	window   time.Duration

	messages, bytes atomic.Int64  // stored when last looked
	seen            atomic.Uint64 // the highest sequence that is known to have been stored
	created         time.Time     // the stream; owned by Engine.setUp
}

func newKind(r roomcast.Retention, o Options) *kind {
	r.Messages = orElse(r.Messages, 1000)
	r.Age = orElse(r.Age, 24*time.Hour)
	r.Bytes = orElse(r.Bytes, 1<<30)
	return &kind{Retention: r, prefix: o.Prefix, stream: streamName(o.Prefix, r.Name), replicas: o.Replicas, window: min(o.Window, r.Age)}
}

// config is the stream. An entry is a message of its own at worst, so that as many messages are kept as there are to be entries.
func (k *kind) config() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              k.stream,
		Description:       "Roomcast: history of rooms",
		Subjects:          []string{logSubjects(k.prefix, k.Name)},
		Retention:         jetstream.LimitsPolicy,
		Discard:           jetstream.DiscardOld,
		Storage:           jetstream.FileStorage,
		Replicas:          k.replicas,
		MaxMsgsPerSubject: int64(k.Messages),
		MaxAge:            k.Age,
		MaxBytes:          k.Bytes,
		Duplicates:        k.window,
		AllowDirect:       true,
		RePublish:         &jetstream.RePublish{Source: logSubjects(k.prefix, k.Name), Destination: noticeSubjects(k.prefix, k.Name)},
	}
}

// saw notes that something is stored under a sequence.
func (k *kind) saw(seq uint64) {
	for seen := k.seen.Load(); seq > seen && !k.seen.CompareAndSwap(seen, seq); {
		seen = k.seen.Load()
	}
}

// found is what has become of a stream since the call of setUp before.
type found struct {
	again bool   // it is another one
	last  uint64 // its last sequence
	seen  uint64 // the one that was known before; if it is higher, the end of the stream is lost, or who leads it has not caught up
}

// setUp makes the stream what it is to be. Several nodes may do so at once: they want the same. Its settings are those of the node that has begun last,
// so that nodes which do not want the same do not change them all the time.
func (k *kind) setUp(ctx context.Context, js jetstream.JetStream) (f found, err error) {
	want := k.config()
	f.seen = k.seen.Load()
	stream, err := js.Stream(ctx, k.stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = js.CreateStream(ctx, want)
	}
	if err != nil {
		return f, fmt.Errorf("stream %s: %w", k.stream, err)
	}
	if k.created.IsZero() && !k.fits(stream.CachedInfo().Config) {
		if stream, err = js.UpdateStream(ctx, want); err != nil {
			return f, fmt.Errorf("stream %s has other settings, which cannot be changed: %w", k.stream, err)
		}
	}
	info := stream.CachedInfo()
	k.note(info)
	f.again = !k.created.IsZero() && !k.created.Equal(info.Created)
	f.last, k.created = info.State.LastSeq, info.Created
	return f, nil
}

// fits reports whether a stream is as it is to be, in what matters here; the rest is the operator's.
func (k *kind) fits(have jetstream.StreamConfig) bool {
	want := k.config()
	return slices.Equal(have.Subjects, want.Subjects) && have.Replicas == want.Replicas && have.MaxMsgsPerSubject == want.MaxMsgsPerSubject &&
		have.MaxAge == want.MaxAge && have.MaxBytes == want.MaxBytes && have.Duplicates == want.Duplicates && have.AllowDirect &&
		have.RePublish != nil && have.RePublish.Source == want.RePublish.Source && have.RePublish.Destination == want.RePublish.Destination
}

func (k *kind) note(info *jetstream.StreamInfo) {
	k.messages.Store(int64(info.State.Msgs))
	k.bytes.Store(int64(info.State.Bytes))
}
