package config

import (
	"time"

	"github.com/roomcast/roomcast"
)

// Flow is how messages leave.
type Flow struct {
	Coalesce    time.Duration `default:"0s" placeholder:"TIME" env:"ROOMCAST_COALESCE" help:"How long a message may wait for others, so that fewer and larger writes leave: latency for processor time (default: ${default})."`
	Compression bool          `env:"ROOMCAST_COMPRESSION" help:"Compress messages of 256 bytes and more for the clients that offer permessage-deflate: less traffic for more CPU."`
}

func (f *Flow) problems() []error {
	if f.Coalesce < 0 || f.Coalesce > time.Second {
		return []error{invalid("coalesce", f.Coalesce, "set a time up to 1s such as 5ms, or 0 for none")}
	}
	return nil
}

func (f *Flow) apply(o *roomcast.Options) {
	o.Coalesce, o.Compression = f.Coalesce, roomcast.CompressionOff
	if f.Compression {
		o.Compression = roomcast.CompressionOn
	}
}
