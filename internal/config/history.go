package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/pattern"
)

// What a --history has without saying so, and how far it may go.
const (
	defaultAge   = 24 * time.Hour
	defaultBytes = 1 << 30

	maxHistory      = 1_000_000 // messages of a room
	maxAge          = 10 * 365 * 24 * time.Hour
	minHistoryBytes = 1 << 20
)

// ownRooms begins the names of the server's own rooms (see roomcast.Engine): no pattern means them.
const ownRooms = "\x01"

// historyRule is one --history.
type historyRule struct {
	rooms    pattern.Pattern
	messages int // 0 keeps nothing
	age      time.Duration
	bytes    Bytes
}

// lines are the values of a flag that may be repeated, and whose values have commas in them: in the environment each stands on a line of its own.
func lines(list []string) []string {
	var found []string
	for _, text := range list {
		for line := range strings.SplitSeq(strings.Trim(text, "\r\n"), "\n") {
			found = append(found, strings.TrimSuffix(line, "\r"))
		}
	}
	return found
}

// several is one --history with another one behind it. It would be the pattern of rooms with strange names.
var several = regexp.MustCompile(`=\d+(,\S*)?[\s;]`)

func parseHistory(text string) (historyRule, error) {
	const example = "such as 'chat/**=1000,24h,1GiB'"
	i := strings.LastIndexByte(text, '=')
	limits := strings.Split(text[i+1:], ",")
	if i < 0 || len(limits) > 3 {
		return historyRule{}, errors.New("write a pattern, how many messages, and if you like how long and how much, " + example)
	}
	if several.MatchString(text[:i]) {
		return historyRule{}, errors.New("it looks like several: repeat the flag, or write them as a list in the file or on lines of their own in the environment, each " + example)
	}
	rooms, err := pattern.Compile(text[:i])
	if err != nil {
		return historyRule{}, fmt.Errorf("write a pattern %s: %w", example, err)
	}
	rule := historyRule{rooms: rooms, age: defaultAge, bytes: defaultBytes}
	if rule.messages, err = strconv.Atoi(strings.TrimSpace(limits[0])); err != nil || rule.messages < 0 || rule.messages > maxHistory {
		return historyRule{}, fmt.Errorf("%q is no number of messages from 0 to %d; write it %s", limits[0], maxHistory, example)
	}
	if len(limits) > 1 {
		if rule.age, err = parseDuration(strings.TrimSpace(limits[1])); err != nil {
			return historyRule{}, err
		}
		if rule.age < time.Second || rule.age > maxAge {
			return historyRule{}, fmt.Errorf("%v is no time from 1s to 87600h (ten years); write it %s", rule.age, example)
		}
	}
	if len(limits) > 2 {
		if err := rule.bytes.UnmarshalText([]byte(limits[2])); err != nil {
			return historyRule{}, err
		}
		if rule.bytes < minHistoryBytes {
			return historyRule{}, fmt.Errorf("%v is less than 1MiB; write a size %s", rule.bytes, example)
		}
	}
	return rule, nil
}

func (e *Engine) historyProblems() (found []error) {
	patterns := map[string]bool{}
	for _, text := range lines(e.History) {
		rule, err := parseHistory(text)
		switch {
		case err != nil:
			found = append(found, invalid("history", strconv.Quote(text), err.Error()))
		case patterns[rule.rooms.String()]:
			found = append(found, invalid("history", strconv.Quote(text), "its pattern has come before, and the first counts; leave one of them out"))
		}
		patterns[rule.rooms.String()] = true
	}
	return found
}

// Retentions is what the histories keep: one for each pattern that keeps anything.
func (e *Engine) Retentions() []roomcast.Retention {
	var kinds []roomcast.Retention
	var none []pattern.Pattern // what has been left out so far
	for _, text := range lines(e.History) {
		rule, err := parseHistory(text)
		switch {
		case err != nil: // it is among the problems
		case rule.messages == 0:
			none = append(none, rule.rooms)
		default:
			but := slices.Clip(none)
			kinds = append(kinds, roomcast.Retention{
				Name: kindName(rule.rooms.String()), Messages: rule.messages, Age: rule.age, Bytes: int64(rule.bytes),
				Match: func(room string) bool {
					return !strings.HasPrefix(room, ownRooms) && rule.rooms.Match(room) &&
						!slices.ContainsFunc(but, func(p pattern.Pattern) bool { return p.Match(room) })
				},
			})
		}
	}
	return kinds
}

// kindName is the name of the rooms of a pattern, by which their history is found again: as much of the pattern as can be read, and what tells
// it from others. It must never change.
func kindName(text string) string {
	const readable = 24
	var name strings.Builder
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r > 0x7f || !strings.ContainsRune(nameBytes, r) }) {
		if name.Len()+len(word) > readable {
			break
		}
		name.WriteString(word + "-")
	}
	if name.Len() == 0 {
		name.WriteString("rooms-")
	}
	sum := sha256.Sum256([]byte(text))
	return name.String() + hex.EncodeToString(sum[:4])
}
