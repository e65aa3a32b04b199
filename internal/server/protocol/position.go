package protocol

import (
	"errors"
	"fmt"
	"strconv"
)

// MaxEpochBytes is how long the name of an epoch may be.
const MaxEpochBytes = 16

// maxOffset is the largest number that every JSON parser keeps as it is.
const maxOffset = 1<<53 - 1

// Position is a place in the history of a room: that of a message, or of all up to it. The zero Position stands for a room without history.
type Position struct {
	Epoch  string // which numbering of the room's messages; at most MaxEpochBytes
	Offset uint64 // counts from 1; 0 is before the first. Below 2^53
}

// RoomPosition is how much of a room a client has.
type RoomPosition struct {
	Room string // a name nobody has checked yet
	Position
}

// append adds the position as the members "epoch" and "offset", unless there is none.
func (p Position) append(dst []byte) []byte {
	if p.Epoch == "" {
		return dst
	}
	dst = appendString(appendName(dst, "epoch"), p.Epoch)
	return strconv.AppendUint(appendName(dst, "offset"), p.Offset, 10)
}

// positions reads "rooms", an array of positions with their rooms.
func positions(value []byte) (all []RoomPosition, err error) {
	if absent(value) {
		return nil, nil
	}
	if value[0] != '[' {
		return nil, errors.New(`"rooms" has to be an array of {"room": "…", "epoch": "…", "offset": 0}`)
	}
	array(value, 0, 1, func(element []byte) {
		if err != nil {
			return
		}
		var one RoomPosition
		one, err = place("rooms", element, true)
		all = append(all, one)
	})
	return all, err
}

// maybe reads a position that may be left out.
func maybe(name string, value []byte) (*Position, error) {
	if absent(value) {
		return nil, nil
	}
	p, err := place(name, value, false)
	return &p.Position, err
}

// place reads a position, with its room if it has one. The name is for the error.
func place(name string, value []byte, withRoom bool) (at RoomPosition, err error) {
	if absent(value) || value[0] != '{' {
		return at, fmt.Errorf(`%q has to have "epoch" and "offset" in an object`, name)
	}
	found, err := pick(name, value, "epoch", "offset", "room")
	if err != nil {
		return at, err
	}
	if at.Epoch, err = text(name+".epoch", found[0]); err != nil {
		return at, err
	}
	if at.Epoch == "" || len(at.Epoch) > MaxEpochBytes {
		return at, fmt.Errorf("%q has %d bytes; send the epoch as it came, it has 1 to %d", name+".epoch", len(at.Epoch), MaxEpochBytes)
	}
	var ok bool
	if at.Offset, ok = whole(found[1]); !ok {
		return at, fmt.Errorf("%q has to be a whole number from 0 to %d", name+".offset", uint64(maxOffset))
	}
	if withRoom {
		at.Room, err = text(name+".room", found[2])
	}
	return at, err
}

// whole reads a number without sign, fraction and exponent.
func whole(value []byte) (n uint64, ok bool) {
	n, err := strconv.ParseUint(string(value), 10, 64)
	return n, err == nil && n <= maxOffset
}
