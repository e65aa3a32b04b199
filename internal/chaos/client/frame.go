package client

import (
	"encoding/json"

	"github.com/roomcast/roomcast/internal/chaos/history"
)

// request is what a client says.
type request struct {
	Type     string   `json:"type"`
	ID       string   `json:"id,omitempty"`
	Room     string   `json:"room,omitempty"`
	Since    *place   `json:"since,omitempty"`
	Presence bool     `json:"presence,omitempty"`
	Resume   string   `json:"resume,omitempty"`
	Rooms    []roomAt `json:"rooms,omitempty"`
	Data     *Payload `json:"data,omitempty"`
	Echo     *bool    `json:"echo,omitempty"`
	Once     string   `json:"idempotency_key,omitempty"`
	After    string   `json:"after,omitempty"`
}

// place is a position as the protocol writes it.
type place struct {
	Epoch  string `json:"epoch"`
	Offset uint64 `json:"offset"`
}

type roomAt struct {
	Room string `json:"room"`
	place
}

// Payload is the data of every message of a run.
type Payload struct {
	By  string `json:"by"`
	Seq int    `json:"seq"`
	Pad string `json:"pad,omitempty"`
}

// frame is what the server says, all types in one.
type frame struct {
	Type       string          `json:"type"`
	ID         string          `json:"id"`
	Room       string          `json:"room"`
	Epoch      string          `json:"epoch"`
	Offset     uint64          `json:"offset"`
	Recovered  *bool           `json:"recovered"`
	Resumed    bool            `json:"resumed"`
	Resume     string          `json:"resume"`
	Session    string          `json:"session"`
	Connection string          `json:"connection"`
	Data       json.RawMessage `json:"data"`
	Code       string          `json:"code"`
	Message    string          `json:"message"`
	Missed     uint64          `json:"missed"`
	Members    []who           `json:"members"`
	Next       string          `json:"next"`
	presence
}

// presence is who came and who went, in a notice.
type presence struct {
	Count  int   `json:"count"`
	Joined []who `json:"joined"`
	Left   []who `json:"left"`
}

type who struct {
	Connection string `json:"connection"`
}

func (f frame) at() history.Position { return history.Position{Epoch: f.Epoch, Offset: f.Offset} }

func placeOf(p history.Position) place { return place{p.Epoch, p.Offset} }
