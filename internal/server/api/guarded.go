package api

import "net/http"

// Guarded passes on requests of those who may use the API, and answers the others as the API does.
func (a *API) Guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := a.guard(w, r); p != nil {
			write(w, p)
			return
		}
		next.ServeHTTP(w, r)
	})
}
