package natsengine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// getRequest asks for messages of a stream: the server's JSApiMsgGetRequest.
type getRequest struct {
	Seq      uint64   `json:"seq,omitempty"`
	Last     string   `json:"last_by_subj,omitempty"`
	Next     string   `json:"next_by_subj,omitempty"`
	Lasts    []string `json:"multi_last,omitempty"`
	Batch    int      `json:"batch,omitempty"`
	MaxBytes int      `json:"max_bytes,omitempty"`
}

// The most that is asked for at once. The server has its own limit of 1,024 messages.
const (
	fetchMessages = 256
	fetchBytes    = 1 << 20
	tailBytes     = 4 << 20
	readAttempt   = time.Second // for one server to answer; another may be asked then
)

// direct is a request that any server with a copy of the stream answers, and may be behind in.
func (k *kind) direct(req getRequest) *nats.Msg {
	data, _ := json.Marshal(req) // it is strings and numbers
	return &nats.Msg{Subject: "$JS.API.DIRECT.GET." + k.stream, Data: data}
}

// newest returns the one message that is asked for as of now: no server that is behind is asked. nil is that there is none.
func (e *Engine) newest(ctx context.Context, k *kind, req getRequest) (*batch, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, readAttempt, errSilent)
	defer cancel()
	if k.replicas == 1 {
		answer, _, err := e.calls.one(ctx, k.direct(req))
		if err != nil {
			return nil, err
		}
		return stored(answer)
	}
	data, _ := json.Marshal(req)
	answer, _, err := e.calls.one(ctx, &nats.Msg{Subject: "$JS.API.STREAM.MSG.GET." + k.stream, Data: data})
	if err != nil {
		return nil, err
	}
	return storedJSON(answer.Data)
}

// errSilent: whoever was asked has not answered in time.
var errSilent = errors.New("NATS does not answer")

// last returns the last batch of a room, nil if there is none.
func (e *Engine) last(ctx context.Context, k *kind, room string) (*batch, error) {
	return e.newest(ctx, k, getRequest{Last: logSubject(k.prefix, k.Name, room)})
}

// following returns batches of a room from a sequence on, n at most and oldest first: not always all there are, and none only if there is none.
func (e *Engine) following(ctx context.Context, k *kind, room string, seq uint64, n int) ([]*batch, error) {
	req := getRequest{Next: logSubject(k.prefix, k.Name, room), Seq: max(seq, 1)}
	found, err := e.several(ctx, k, req, n)
	if len(found) > 0 || err != nil || k.replicas == 1 {
		return found, err
	}
	// A server with a copy may be behind, and is asked again and again if it is the nearest: its leader knows.
	b, err := e.newest(ctx, k, req)
	if err != nil || b == nil {
		return nil, err
	}
	return []*batch{b}, nil
}

// several is following as a server with a copy sees it.
func (e *Engine) several(ctx context.Context, k *kind, req getRequest, n int) (found []*batch, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, readAttempt, errSilent)
	defer cancel()
	if n == 1 { // spares the server to count the others
		answer, _, err := e.calls.one(ctx, k.direct(req))
		if err != nil {
			return nil, err
		}
		return appendStored(nil, answer)
	}
	req.Batch, req.MaxBytes = n, fetchBytes
	_, err = e.calls.many(ctx, k.direct(req), n+1, inTurn(func(m *nats.Msg) (err error) {
		found, err = appendStored(found, m)
		return err
	}))
	return found, err
}

// appendStored appends the batch in a message, if there is one.
func appendStored(found []*batch, m *nats.Msg) ([]*batch, error) {
	b, err := stored(m)
	if err == nil && b != nil {
		found = append(found, b)
	}
	return found, err
}

// readTails returns the last batches of some rooms that have one from sequence seq on, by their subjects, and the sequence up to which that is so; whole reports
// whether that is all there is: an answer is no larger than tailBytes, or a batch. The server may be behind.
func (e *Engine) readTails(ctx context.Context, k *kind, rooms []*room, seq uint64) (found map[string]*batch, upTo uint64, whole bool, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, readAttempt, errSilent)
	defer cancel()
	found = map[string]*batch{}
	req := getRequest{Seq: seq, MaxBytes: tailBytes}
	for _, r := range rooms {
		req.Lasts = append(req.Lasts, r.subject)
	}
	take := inTurn(func(m *nats.Msg) error {
		b, err := stored(m)
		if err == nil && b != nil {
			found[m.Header.Get("Nats-Subject")] = b
		}
		return err
	})
	_, err = e.calls.many(ctx, k.direct(req), len(rooms)+1, func(m *nats.Msg) (bool, error) {
		last, err := take(m)
		if last {
			ends := "Nats-UpTo-Sequence"
			if pending := m.Header.Get("Nats-Num-Pending"); pending != "" && pending != "0" {
				ends = "Nats-Last-Sequence" // they come in the order of their sequences
			} else {
				whole = true
			}
			upTo, _ = strconv.ParseUint(m.Header.Get(ends), 10, 64)
		}
		return last, err
	})
	return found, upTo, whole, err
}

// inTurn takes the messages of an answer of several, up to its end. Each names the one before it, so that a lost one is noticed.
func inTurn(take func(*nats.Msg) error) func(*nats.Msg) (last bool, err error) {
	var before uint64
	return func(m *nats.Msg) (bool, error) {
		switch m.Header.Get("Status") {
		case "204", "404":
			if n, err := strconv.ParseUint(m.Header.Get("Nats-Last-Sequence"), 10, 64); err == nil && n != before {
				return true, errTorn
			}
			return true, nil
		case "":
		default:
			return true, fmt.Errorf("NATS refuses a read: %s %s", m.Header.Get("Status"), m.Header.Get("Description"))
		}
		if n, _ := strconv.ParseUint(m.Header.Get("Nats-Last-Sequence"), 10, 64); n != before {
			return true, errTorn
		}
		before = sequence(m)
		return false, take(m)
	}
}

// stored is the batch in a message of a stream, as direct reads and notices bring it; nil if the answer is that there is none.
func stored(m *nats.Msg) (*batch, error) {
	switch status := m.Header.Get("Status"); status {
	case "":
	case "404":
		return nil, nil
	default:
		return nil, fmt.Errorf("NATS refuses a read: %s %s", status, m.Header.Get("Description"))
	}
	return decodeBatch(m.Data, sequence(m)), nil
}

func sequence(m *nats.Msg) uint64 {
	n, _ := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
	return n
}

// apiError is the server's ApiError.
type apiError struct {
	Status      int    `json:"code"`
	Code        int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *apiError) Error() string {
	return fmt.Sprintf("NATS says: %s (%d)", e.Description, e.Code)
}

const codeNoMessage = 10037

// storedJSON is stored for the answer of a stream's leader.
func storedJSON(data []byte) (*batch, error) {
	var answer struct {
		Error   *apiError `json:"error"`
		Message struct {
			Seq  uint64 `json:"seq"`
			Data []byte `json:"data"`
		} `json:"message"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("an answer of NATS cannot be read: %w", err)
	}
	switch {
	case answer.Error != nil && answer.Error.Code == codeNoMessage:
		return nil, nil
	case answer.Error != nil:
		return nil, answer.Error
	}
	return decodeBatch(answer.Message.Data, answer.Message.Seq), nil
}
