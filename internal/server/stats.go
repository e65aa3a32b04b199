package server

import (
	"github.com/roomcast/roomcast/internal/server/metrics"
	"github.com/roomcast/roomcast/memengine"
	"github.com/roomcast/roomcast/natsengine"
)

// memoryStats is what memengine counts.
func memoryStats(s memengine.Stats) metrics.Engine {
	e := metrics.Engine{Members: s.Members, History: map[string]metrics.Stored{}}
	for _, k := range s.Kinds {
		e.History[k.Name] = metrics.Stored{Messages: k.Messages, Bytes: k.Bytes}
	}
	return e
}

// natsStats is what natsengine counts.
func natsStats(s natsengine.Stats) metrics.Engine {
	e := metrics.Engine{
		Reconnects: s.Reconnects, Stored: s.Stored, Duplicates: s.Duplicates, Conflicts: s.Conflicts, Unsent: s.Unsent,
		Fetched: s.Fetched, Missed: s.Jumps, Lag: s.Lag,
		Members: s.Members, Changes: s.PresenceChanges, History: map[string]metrics.Stored{},
	}
	for _, k := range s.Kinds {
		e.History[k.Name] = metrics.Stored{Messages: k.Messages, Bytes: k.Bytes}
	}
	return e
}
