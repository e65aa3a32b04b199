package natsengine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	secretKey   = "shared"
	secretBytes = 32
)

// secret returns the bytes that all nodes with the same prefix share. Whoever asks first makes them; they stay.
func secret(ctx context.Context, js jetstream.JetStream, prefix string, replicas int) ([]byte, error) {
	bucket := bucketName(prefix, "SECRET")
	kv, err := openBucket(ctx, js, jetstream.KeyValueConfig{
		Bucket: bucket, Description: "what all nodes share", Replicas: replicas, Storage: jetstream.FileStorage,
	})
	if err != nil {
		return nil, fmt.Errorf("natsengine: the shared secret: %w", err)
	}
	for {
		e, err := kv.Get(ctx, secretKey)
		if err == nil {
			if len(e.Value()) != secretBytes {
				return nil, fmt.Errorf("natsengine: the shared secret in bucket %s has %d bytes instead of %d: delete its key %q, and all nodes will share a new one", bucket, len(e.Value()), secretBytes, secretKey)
			}
			return e.Value(), nil
		}
		if !errors.Is(err, jetstream.ErrKeyNotFound) {
			return nil, fmt.Errorf("natsengine: the shared secret: %w", err)
		}
		fresh := make([]byte, secretBytes)
		rand.Read(fresh)
		_, err = kv.Create(ctx, secretKey, fresh)
		if err == nil {
			return fresh, nil
		}
		if !errors.Is(err, jetstream.ErrKeyExists) {
			return nil, fmt.Errorf("natsengine: the shared secret: %w", err)
		}
		// Another node was faster; the replica that was asked may not have it yet.
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("natsengine: the shared secret: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
