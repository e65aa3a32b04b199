package config

import (
	"fmt"
	"time"

	"github.com/roomcast/roomcast"
)

// Timing is how long the server waits for a client.
type Timing struct {
	PingInterval     time.Duration `default:"30s" placeholder:"TIME" env:"ROOMCAST_PING_INTERVAL" help:"Time between two pings to a client; 0 for no pings (default: ${default})."`
	PongTimeout      time.Duration `placeholder:"TIME" env:"ROOMCAST_PONG_TIMEOUT" help:"How long a client has to answer a ping; then it is closed with 1001 (default: 10s, or the ping interval if that is less)."`
	HandshakeTimeout time.Duration `default:"10s" placeholder:"TIME" env:"ROOMCAST_HANDSHAKE_TIMEOUT" help:"How long a client has to send its request; then it is cut off (default: ${default})."`
	Drain            time.Duration `default:"20s" placeholder:"TIME" env:"ROOMCAST_DRAIN" help:"How long stopping may take: nobody is let in any more, the clients are told and closed in batches, and cut off at the end (default: ${default})."`
}

// minDrain is time for a Close frame.
const minDrain = 100 * time.Millisecond

// minPing keeps the heartbeat from becoming the traffic.
const minPing = 100 * time.Millisecond

func (t *Timing) problems() (found []error) {
	if t.PingInterval != 0 && t.PingInterval < minPing {
		found = append(found, invalid("ping-interval", t.PingInterval, fmt.Sprintf("set %v or more, or 0 for no pings", minPing)))
	} else if t.PingInterval != 0 && t.PongTimeout > t.PingInterval {
		found = append(found, invalid("pong-timeout", t.PongTimeout, fmt.Sprintf("set at most the --ping-interval, %v", t.PingInterval)))
	}
	if t.PongTimeout < 0 {
		found = append(found, invalid("pong-timeout", t.PongTimeout, "set a time such as 10s"))
	}
	if t.HandshakeTimeout <= 0 {
		found = append(found, invalid("handshake-timeout", t.HandshakeTimeout, "set a time such as 10s"))
	}
	if t.Drain < minDrain {
		found = append(found, invalid("drain", t.Drain, "set 100ms or more, such as 20s; a second signal stops at once"))
	}
	return found
}

func (t *Timing) apply(o *roomcast.Options) {
	o.PingInterval, o.PongTimeout, o.HandshakeTimeout = t.PingInterval, t.PongTimeout, t.HandshakeTimeout
	if t.PingInterval == 0 {
		o.PingInterval = -1 // no pings: there, zero stands for the default
	}
}
