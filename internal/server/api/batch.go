package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

const (
	mostInBatch = 1000
	batchTime   = 20 * time.Second // after it no other publication of a batch is begun: whoever waits for the answer wants to know
)

// Batch is several publications.
type Batch struct {
	Publications publications `json:"publications" nullable:"false" minItems:"1" maxItems:"1000" doc:"They are done in this order. One that cannot be done does not keep the others from it."`
}

type publications []Publication

// UnmarshalJSON reads one by one, so that each has errors of its own, and stops where there are too many: a body of eight megabytes has room for
// three million that are empty.
func (p *publications) UnmarshalJSON(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if start, err := d.Token(); err != nil || start != json.Delim('[') {
		return invalid("body.publications", nil, "it is not an array: send one of 1 to %d publications", mostInBatch)
	}
	for d.More() {
		if len(*p) == mostInBatch {
			return invalid("body.publications", nil, "there are more than %d: send the others in another batch", mostInBatch)
		}
		var next Publication
		if err := d.Decode(&next); err != nil { // of this one: that all of it is JSON has been seen
			next.fault = unreadable(err, place(len(*p)))
		}
		*p = append(*p, next)
	}
	return nil
}

// place is where a publication stands in a batch.
func place(i int) string { return "body.publications[" + strconv.Itoa(i) + "]" }

// BatchResult is what came of one publication of a batch: a receipt or an error.
type BatchResult struct {
	*Receipt
	Error *huma.ErrorModel `json:"error,omitempty" doc:"Why it was not done; status is what it would have been answered with alone."`
}

// BatchReceipt is what came of a batch.
type BatchReceipt struct {
	Results []BatchResult `json:"results" nullable:"false" doc:"One for each publication, in the same order."`
	Errors  int           `json:"errors" doc:"How many of them are errors."`
}

// batch does the publications of a batch, as long as there is time and somebody waits for the answer.
func (a *API) batch(ctx context.Context, b Batch) (BatchReceipt, error) {
	if len(b.Publications) == 0 {
		return BatchReceipt{}, invalid("body.publications", nil, "it is empty: send 1 to %d publications", mostInBatch)
	}
	all := BatchReceipt{Results: make([]BatchResult, len(b.Publications))}
	until := time.Now().Add(batchTime)
	for i, p := range b.Publications {
		var r Receipt
		var err error = problem(http.StatusServiceUnavailable, place(i), nil, "it was not begun, for those before it took more than %v: send it again", batchTime)
		if ctx.Err() == nil && time.Now().Before(until) {
			r, err = a.publishOne(ctx, place(i), p)
		}
		if err == nil {
			all.Results[i].Receipt = &r
			continue
		}
		var fault *huma.ErrorModel
		if !errors.As(err, &fault) {
			return BatchReceipt{}, err
		}
		all.Results[i].Error = fault
		all.Errors++
	}
	return all, nil
}

func (a *API) publishOne(ctx context.Context, where string, p Publication) (Receipt, error) {
	named := 0
	for _, name := range []string{p.To.Room, p.To.User, p.To.Connection} {
		if name != "" {
			named++
		}
	}
	switch {
	case p.fault != nil:
		return Receipt{}, p.fault
	case named != 1:
		return Receipt{}, invalid(where+".to", nil, `it names %d of "room", "user" and "connection": name one`, named)
	}
	return a.publish(ctx, where, p)
}
