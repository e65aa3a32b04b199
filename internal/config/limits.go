package config

import (
	"math"

	"github.com/roomcast/roomcast"
)

// Limits is how much one client may do.
type Limits struct {
	MaxMessage Bytes `default:"16MiB" placeholder:"SIZE" env:"ROOMCAST_MAX_MESSAGE" help:"Largest message a client may send; a larger one closes its connection with 1009 (default: ${default})."`
	Outbox     Bytes `default:"1MiB" placeholder:"SIZE" env:"ROOMCAST_OUTBOX" help:"How much may wait for a client that does not read; past it, the client is closed with 1013 (default: ${default})."`
	MaxRooms   int   `default:"1000" placeholder:"N" env:"ROOMCAST_MAX_ROOMS" help:"How many rooms one connection may be in (default: ${default})."`
}

// maxRoomName is how long the name of a room may be, in bytes.
const maxRoomName = 255

func (l *Limits) problems() (found []error) {
	for _, f := range []struct {
		flag  string
		value Bytes
	}{{"max-message", l.MaxMessage}, {"outbox", l.Outbox}} {
		if f.value < 1 || f.value > math.MaxInt32 {
			found = append(found, invalid(f.flag, f.value, "set a size from 1B up to 2047MiB"))
		}
	}
	if l.MaxRooms < 1 {
		found = append(found, invalid("max-rooms", l.MaxRooms, "set 1 or more"))
	}
	return found
}

func (l *Limits) apply(o *roomcast.Options) {
	o.MaxMessageBytes, o.OutboxBytes, o.MaxRoomsPerConn, o.MaxRoomNameBytes = int(l.MaxMessage), int(l.Outbox), l.MaxRooms, maxRoomName
}
