package api

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomcast/roomcast/internal/server/auth"

	"github.com/roomcast/roomcast/internal/server/admission"
)

// guard reports why a request may not use the API.
//
// Without keys the API trusts its own machine, but not the web pages that people look at there: a page can make a browser ask
// 127.0.0.1 for things. What a page asks for comes with the origin of the page or, if a rebound name leads here, with that name as
// the host. Nothing answers CORS requests, so all that is left to a page is what needs none, which asks for no JSON type (body.go).
func (a *API) guard(w http.ResponseWriter, r *http.Request) *huma.ErrorModel {
	if a.keys == nil || !a.keys.KeysRequired() {
		if why := stranger(r); why != "" {
			return problem(http.StatusForbidden, "", nil,
				`%s; the server has no API keys, so only programs on its own machine may use the API: `+
					`start it with an API key, and send that as "Authorization: Bearer KEY"`, why)
		}
		return nil
	}
	key, shown := auth.KeyOf(r)
	if shown && a.keys.APIKey(key) {
		return nil
	}
	a.desk.Refuse(admission.KeyInvalid)
	a.log.Info("API request without a valid key", "remote", r.RemoteAddr, "shown", shown)
	if !shown {
		w.Header().Set("WWW-Authenticate", `Bearer realm="roomcast"`)
		return problem(http.StatusUnauthorized, "", nil, `the request has no API key: send one as "Authorization: Bearer KEY" or "X-API-Key: KEY"`)
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="roomcast", error="invalid_token"`)
	return problem(http.StatusUnauthorized, "", nil, "the API key is not one of the server's: check which of them this client is given")
}

// forwarding is what proxies add: behind one, every request comes from this machine.
var forwarding = []string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip"}

// stranger reports why a request does not come from a program on this machine, empty if it does.
func stranger(r *http.Request) string {
	if from, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !from.Addr().Unmap().IsLoopback() {
		return "the request comes from " + clip(r.RemoteAddr)
	}
	for _, name := range forwarding {
		if value := r.Header.Get(name); value != "" {
			return "the request came through a proxy (" + name + ": " + clip(value) + ")"
		}
	}
	if !Loopback(r.Host) {
		return "the request asks for the host " + clip(r.Host) + ", which is no name of this machine for itself"
	}
	if origin := r.Header.Get("Origin"); origin != "" && !SameHost(origin, r.Host) {
		return "the request comes from a page of " + clip(origin)
	}
	switch site := r.Header.Get("Sec-Fetch-Site"); site {
	case "", "none", "same-origin":
		return ""
	default:
		return "the request comes from a page of another origin (Sec-Fetch-Site: " + clip(site) + ")"
	}
}

// Loopback reports whether a Host header names this machine in a way that no name server decides.
func Loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	return err == nil && addr.Unmap().IsLoopback()
}

// SameHost reports whether an origin is that of the host.
func SameHost(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, host)
}
