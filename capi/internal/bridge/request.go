package bridge

import (
	"net/http"
	"strings"
	"sync"
)

// request is an upgrade request while its Connect callback runs.
type request struct {
	http *http.Request

	mu    sync.Mutex
	ended bool
	owned []func() // releases what C was given
}

// Header calls keep with the value of a header of the request and reports true, or returns false if h is no live request or the
// request has no such header. What keep returns is called when the request ends, after the Connect callback.
//
// The name is compared without regard to case. Values of a header that comes several times are joined by ", " (RFC 9110, section
// 5.3). ":path" is the request target as it was sent, with the query.
func (b *Bridge) Header(h Handle, name string, keep func(value string) (release func())) bool {
	e := b.requests.find(h)
	if e == nil {
		return false
	}
	value, ok := field(e.value.http, name)
	if !ok {
		return false
	}
	return e.value.own(func() func() { return keep(validUTF8(value)) })
}

func field(r *http.Request, name string) (value string, ok bool) {
	switch {
	case name == ":path":
		return r.RequestURI, true
	case strings.EqualFold(name, "Host"): // net/http keeps it elsewhere
		return r.Host, r.Host != ""
	}
	values := r.Header.Values(name)
	return strings.Join(values, ", "), len(values) > 0
}

// own runs make unless the request has ended, and keeps what it returns for the end.
func (r *request) own(make func() (release func())) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return false
	}
	r.owned = append(r.owned, make())
	return true
}

// end releases what own has kept.
func (r *request) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	for _, release := range r.owned {
		release()
	}
	r.owned = nil
}
