package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/hub"
)

// historyBytes is how many bytes of messages one answer has, about.
const historyBytes = 4 << 20

// Kept is a message in the history of a room.
type Kept struct {
	Offset uint64          `json:"offset" doc:"Its place."`
	From   *Sender         `json:"from,omitempty" doc:"Who sent it; left out if it came from nobody."`
	Data   json.RawMessage `json:"data,omitempty" doc:"The JSON value that was sent. Either this or base64."`
	Base64 *string         `json:"base64,omitempty" encoding:"base64" doc:"The bytes that were sent."`
}

// Sender is who sent a message.
type Sender struct {
	Connection string `json:"connection,omitempty" doc:"Id of the connection; left out if the backend sent it."`
	User       string `json:"user,omitempty" doc:"Whom its token names, or in whose name the backend sent it."`
}

// History is a part of what a room keeps.
type History struct {
	Epoch    string `json:"epoch,omitempty" doc:"The numbering that the offsets belong to; left out if there are no messages, as are the next two."`
	First    uint64 `json:"first,omitempty" doc:"The offset of the first one."`
	Last     uint64 `json:"last,omitempty" doc:"The offset of the last one. There is none missing in between."`
	Messages []Kept `json:"messages" nullable:"false" doc:"In the order of their offsets."`
}

type historyInput struct {
	Room   string `path:"room" doc:"Name of the room." example:"kitchen"`
	Since  string `query:"since" doc:"Only what follows this place, epoch/offset: k3v9/41." example:"k3v9/41"`
	Before string `query:"before" doc:"Only what comes before this place. Without this and since, the newest." example:"k3v9/57"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many at most. They are fewer if they are large."`
}

// history adds the operation that reads what rooms keep.
func (a *API) history(described huma.API) {
	register(described, operation{
		id: "read-history", method: http.MethodGet, path: "/v1/rooms/{room}/history", tag: tagRooms, summary: "Read the history of a room",
		description: "What the room keeps: the newest messages, those before a place (first of the page before), or those that follow one (last). " +
			"A room that keeps nothing has none.",
		errors: []int{http.StatusGone, http.StatusServiceUnavailable},
		example: `{"epoch":"k3v9","first":57,"last":58,"messages":[{"offset":57,"from":{"connection":"c7Qm2x","user":"ann"},"data":{"text":"lunch is ready"}},` +
			`{"offset":58,"base64":"AAH+/w=="}]}`,
	}, a.readHistory)
}

func (a *API) readHistory(_ context.Context, in *historyInput) (History, error) {
	if fault := a.checkRoom("path.room", in.Room); fault != nil {
		return History{}, fault
	}
	if in.Since != "" && in.Before != "" {
		return History{}, invalid("query.before", in.Before, "since is there, too: leave out one of them")
	}
	want := hub.Reading{Limit: in.Limit, Bytes: historyBytes}
	for _, p := range []struct {
		name, text string
		at         *roomcast.Position
	}{{"since", in.Since, &want.Since}, {"before", in.Before, &want.Before}} {
		if p.text == "" {
			continue
		}
		epoch, offset, _ := strings.Cut(p.text, "/")
		n, err := strconv.ParseUint(offset, 10, 53)
		if err != nil || epoch == "" {
			return History{}, invalid("query."+p.name, p.text, "it is no place in a history: write epoch/offset as an answer has them, such as k3v9/41")
		}
		*p.at = roomcast.Position{Epoch: epoch, Offset: n}
	}
	entries, err := a.hub.History(in.Room, want)
	switch {
	case errors.Is(err, roomcast.ErrHistoryGone):
		return History{}, problem(http.StatusGone, "query.since", nil, "what follows %s is not kept any more, or never was: leave out since for the newest", clip(in.Since))
	case err != nil:
		return History{}, unavailable(err)
	}
	return historyOf(entries)
}

func historyOf(entries []roomcast.Entry) (History, error) {
	h := History{Messages: make([]Kept, len(entries))} // not nil: [] in JSON
	for i, e := range entries {
		if len(e.Data) == 0 { // a body begins with a comma, see protocol.AppendBody
			return History{}, problem(http.StatusInternalServerError, "", nil, "the message at %s/%d is empty", e.Position.Epoch, e.Position.Offset)
		}
		body := append(append([]byte{'{'}, e.Data[1:]...), '}')
		if err := json.Unmarshal(body, &h.Messages[i]); err != nil {
			return History{}, problem(http.StatusInternalServerError, "", nil, "the message at %s/%d cannot be read: %v", e.Position.Epoch, e.Position.Offset, err)
		}
		h.Messages[i].Offset = e.Position.Offset
	}
	if n := len(entries); n > 0 {
		h.Epoch, h.First, h.Last = entries[0].Position.Epoch, h.Messages[0].Offset, h.Messages[n-1].Offset
	}
	return h, nil
}
