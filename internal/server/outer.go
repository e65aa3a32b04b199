package server

import (
	"net/http"
	"slices"
	"time"

	"github.com/roomcast/roomcast/internal/server/api"
)

// bounded bounds the time for answers that are no upgrades. The API gives its own as much time anew when they are known.
func bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.Header["Upgrade"]) == 0 {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(api.WriteTimeout)) // a writer without a socket has none
		}
		next.ServeHTTP(w, r)
	})
}

// local keeps web pages out that have had their name rebound to this machine, while nothing but the loopback address protects the server: such
// a page is of the host that it asks for, which is what an upgrade wants of a page. Pages that are allowed by name come in.
func (s *Server) local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		if origin == "" || len(r.Header["Upgrade"]) == 0 || s.desk.TokenRequired() || s.cfg.AllowAnonymous || api.Loopback(r.Host) ||
			slices.Contains(s.cfg.AllowedOrigin, "*") || slices.Contains(s.cfg.AllowedOrigin, origin) {
			next.ServeHTTP(w, r)
			return
		}
		if api.SameHost(origin, r.Host) {
			http.Error(w, "the host asked for is no name of this machine for itself; start the server with --allowed-origin "+origin+", or with keys for tokens",
				http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
