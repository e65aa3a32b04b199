package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/pattern"
)

// Flow is how messages leave.
type Flow struct {
	Coalesce    time.Duration `default:"0s" placeholder:"TIME" env:"ROOMCAST_COALESCE" help:"How long a message may wait for others, so that fewer and larger writes leave: latency for processor time (default: ${default})."`
	Compression bool          `env:"ROOMCAST_COMPRESSION" help:"Compress messages of 256 bytes and more for the clients that offer permessage-deflate: less traffic for more CPU."`
	Slow        []string      `sep:"none" reload:"true" placeholder:"PATTERN=POLICY" env:"ROOMCAST_SLOW" help:"What becomes of messages for a member that reads too slowly, by the name of the room: close (its connection, with 1013; so in every room that no pattern fits), drop-newest, drop-oldest, or keep-latest (of each sender or key). In a pattern, * is any characters but /, and ** any. May be repeated; the first that fits counts."`
}

func (f *Flow) problems() []error {
	var found []error
	if f.Coalesce < 0 || f.Coalesce > time.Second {
		found = append(found, invalid("coalesce", f.Coalesce, "set a time up to 1s such as 5ms, or 0 for none"))
	}
	for _, text := range lines(f.Slow) {
		if _, err := parseSlow(text); err != nil {
			found = append(found, invalid("slow", strconv.Quote(text), err.Error()))
		}
	}
	return found
}

// slowRule is what becomes of messages in the rooms that fit.
type slowRule struct {
	rooms  pattern.Pattern
	policy roomcast.Slow
}

var slowPolicies = map[string]roomcast.Slow{
	"close": roomcast.SlowClose, "drop-newest": roomcast.SlowDropNewest, "drop-oldest": roomcast.SlowDropOldest,
	"keep-latest": roomcast.SlowKeepLatest,
}

func parseSlow(text string) (slowRule, error) {
	i := strings.LastIndexByte(text, '=')
	policy, known := slowPolicies[text[i+1:]]
	if i < 0 || !known {
		return slowRule{}, errors.New("write a pattern and one of close, drop-newest, drop-oldest and keep-latest, such as 'cursors/*=keep-latest'")
	}
	rooms, err := pattern.Compile(text[:i])
	if err != nil {
		return slowRule{}, fmt.Errorf("write a pattern such as 'cursors/*=keep-latest': %w", err)
	}
	return slowRule{rooms, policy}, nil
}

// SlowPolicy is roomcast.Options.Slow.
func (f *Flow) SlowPolicy() func(room string) roomcast.Slow {
	var rules []slowRule
	for _, text := range lines(f.Slow) {
		if rule, err := parseSlow(text); err == nil { // else it is among the problems
			rules = append(rules, rule)
		}
	}
	return func(room string) roomcast.Slow {
		for _, rule := range rules {
			if rule.rooms.Match(room) {
				return rule.policy
			}
		}
		return roomcast.SlowClose
	}
}

func (f *Flow) apply(o *roomcast.Options) {
	o.Coalesce, o.Compression = f.Coalesce, roomcast.CompressionOff
	if f.Compression {
		o.Compression = roomcast.CompressionOn
	}
	o.Slow = f.SlowPolicy()
}
