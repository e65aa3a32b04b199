package config

import (
	"strconv"
	"strings"
	"time"
)

// Token is everything that `roomcast token` can be told. It signs with what the server verifies with, or with the private half of it.
type Token struct {
	User    string        `short:"u" required:"" placeholder:"NAME" help:"Whose token it is: the claim sub."`
	Room    []string      `short:"r" sep:"none" placeholder:"PATTERN=ACTIONS" help:"What it allows, and in which rooms: actions are join, send, presence and publish-as, with commas between them; in a pattern, * is any characters but /, and ** any. May be repeated. Without it, the token is for no room."`
	Direct  bool          `help:"Allow direct messages to other clients."`
	Expires time.Duration `short:"e" default:"1h" placeholder:"TIME" help:"How long it is good for; a server takes tokens of up to 24h unless it is told otherwise (default: ${default})."`

	Secret  string `placeholder:"SECRET" env:"ROOMCAST_TOKEN_SECRET" help:"Shared secret of 32 bytes or more; the token is signed with HS256. Other users of this machine can read a command line: the environment is the better place."`
	KeyFile string `placeholder:"FILE" help:"Private key in PEM (RSA, ECDSA or Ed25519), which decides on the algorithm, or a file with a shared secret. It wins over --secret."`
	KeyID   string `name:"key-id" placeholder:"KID" help:"Name of the key: kid in the header."`

	Issuer   string `placeholder:"NAME" help:"The claim iss."`
	Audience string `placeholder:"NAME" help:"The claim aud."`

	JSON bool `name:"json" help:"Print an object with token, user and expires."`
}

// Validate reports the first setting that makes no sense: its flag, its value and what to set instead. What a token may contain, auth.Mint
// knows.
func (t *Token) Validate() error {
	if t.Expires < time.Second {
		return invalid("expires", t.Expires, "set a time such as 1h")
	}
	if t.Secret == "" && t.KeyFile == "" {
		return invalid("secret", "is missing", "set it, or ROOMCAST_TOKEN_SECRET, or give a private key with --key-file")
	}
	_, err := t.rooms()
	return err
}

// Rooms are the actions by the pattern of their rooms. A pattern that is given twice has the actions of both.
func (t *Token) Rooms() map[string][]string {
	rooms, _ := t.rooms() // Validate has said what is wrong
	return rooms
}

// rooms reads the flags. A pattern may have = in it; an action has none.
func (t *Token) rooms() (map[string][]string, error) {
	rooms := map[string][]string{}
	for _, room := range t.Room {
		i := strings.LastIndexByte(room, '=')
		if i < 0 || i == len(room)-1 {
			return nil, invalid("room", strconv.Quote(room), "write it as PATTERN=ACTIONS, such as 'chat/*=join,send'")
		}
		for action := range strings.SplitSeq(room[i+1:], ",") {
			rooms[room[:i]] = append(rooms[room[:i]], strings.TrimSpace(action))
		}
	}
	return rooms, nil
}
