package auth

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/pattern"
)

// Action is something a token may allow in a room.
type Action uint8

// The actions, by their names in a token.
const (
	Join      Action = 1 << iota // "join": become a member and get what is sent
	Send                         // "send": send to the members
	Presence                     // "presence": see who is in the room
	PublishAs                    // "publish-as": send in another user's name
)

var actionNames = []string{"join", "send", "presence", "publish-as"} // in the order of their bits

// String is the action's name in a token.
func (a Action) String() string {
	for i, name := range actionNames {
		if a == 1<<i {
			return name
		}
	}
	return fmt.Sprintf("Action(%d)", uint8(a))
}

// Grant is what a valid token says. It does not change, and is safe from anywhere.
type Grant struct {
	User     string    // whose it is (sub)
	ID       string    // the token's own name (jti), "" if it has none
	IssuedAt time.Time // iat, zero if the token does not say
	Direct   bool      // whether it may send direct messages to other clients

	// Expires is when the grant ends: exp, and the leeway for clocks that differ.
	Expires time.Time

	rules []rule
}

// rule is one member of the claim rooms.
type rule struct {
	rooms   pattern.Pattern
	actions Action // a set
}

// Allows reports whether the token allows an action in a room. The rights of all patterns that fit the room add up.
func (g *Grant) Allows(a Action, room string) bool {
	for i := range g.rules {
		if r := &g.rules[i]; r.actions&a == a && a != 0 && r.rooms.Match(room) {
			return true
		}
	}
	return false
}

// maxRules is how many patterns a token may have: each is looked at for each join.
const maxRules = 100

func newRule(text string, actions []string) (rule, error) {
	p, err := pattern.Compile(text)
	if err != nil {
		return rule{}, err
	}
	r := rule{rooms: p}
	for _, name := range actions {
		i := slices.Index(actionNames, name)
		if i < 0 {
			return rule{}, fmt.Errorf("pattern %s: the action %s is unknown; write %s", quoted(text), quoted(name), strings.Join(actionNames, ", "))
		}
		r.actions |= 1 << i
	}
	return r, nil
}
