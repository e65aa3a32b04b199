package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomcast/roomcast"
)

// mostEchoed is how many bytes of a value an error repeats.
const mostEchoed = 200

// problem is an error answer (RFC 9457). Where is what it is about, such as body.data, with its value, if there is one to show. The text says
// what is wrong and what to do instead.
func problem(status int, where string, value any, format string, args ...any) *huma.ErrorModel {
	p := &huma.ErrorModel{Status: status, Title: http.StatusText(status), Detail: fmt.Sprintf(format, args...)}
	if where != "" {
		p.Errors = []*huma.ErrorDetail{{Message: p.Detail, Location: where, Value: clipped(value)}}
		p.Detail = where + ": " + p.Detail
	}
	return p
}

// invalid is a problem with what was asked for.
func invalid(where string, value any, format string, args ...any) *huma.ErrorModel {
	return problem(http.StatusUnprocessableEntity, where, value, format, args...)
}

// plain leaves out which package says so.
var plain = strings.NewReplacer("roomcast: ", "", "natsengine: ", "")

// unavailable is a problem with what lies behind the rooms, or with another server of the cluster.
func unavailable(err error) *huma.ErrorModel {
	if errors.Is(err, roomcast.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		return problem(http.StatusServiceUnavailable, "", nil, "%s; what has been done is not known: repeat it later, a publication with the same idempotency key",
			plain.Replace(err.Error()))
	}
	if errors.Is(err, roomcast.ErrTooLarge) {
		return problem(http.StatusRequestEntityTooLarge, "", nil, "%s", plain.Replace(err.Error()))
	}
	return problem(http.StatusInternalServerError, "", nil, "%v", err)
}

// write answers with a problem where huma does not.
func write(w http.ResponseWriter, p *huma.ErrorModel) {
	body, _ := json.Marshal(p) // strings and numbers
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // the client has gone; nobody is left to be told
}

// explain says in the detail of huma's own errors what they are about, and keeps values short.
func explain(_ huma.Context, _ string, v any) (any, error) {
	p, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	for _, e := range p.Errors {
		e.Value = clipped(e.Value)
	}
	if p.Detail == "validation failed" && len(p.Errors) > 0 {
		first := p.Errors[0]
		p.Detail = strings.TrimPrefix(first.Location+": "+first.Message, ": ")
	}
	return p, nil
}

// clip shortens a string to what an error repeats of it.
func clip(s string) string {
	if len(s) <= mostEchoed {
		return s
	}
	cut := mostEchoed
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

func clipped(value any) any {
	if s, ok := value.(string); ok {
		return clip(s)
	}
	return value
}
