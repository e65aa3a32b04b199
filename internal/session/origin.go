package session

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// CheckOrigins reports the first pattern that OriginAllowed could not use, and what to do about it.
func CheckOrigins(patterns []string) error {
	for _, pattern := range patterns {
		if pattern == "" {
			return errors.New(`""; leave it out, or write "*" for any origin`)
		}
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("%q: %w; see path.Match for the syntax", pattern, err)
		}
	}
	return nil
}

// OriginAllowed reports whether the request comes from no browser, from the host itself, or from an origin that one of the patterns
// matches (RFC 6455, section 10.2; RFC 6454).
func OriginAllowed(r *http.Request, patterns []string) bool {
	values := r.Header["Origin"]
	if len(values) == 0 {
		return true
	}
	if len(values) > 1 {
		return false
	}
	origin := strings.ToLower(values[0])
	if u, err := url.Parse(origin); err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host) {
		return true
	}
	_, host, _ := strings.Cut(origin, "://")
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		pattern = strings.ToLower(pattern)
		subject := host
		if pattern == "*" {
			return true
		}
		if strings.Contains(pattern, "://") {
			subject = origin
		}
		matched, _ := path.Match(pattern, subject) // CheckOrigins has checked the pattern
		return matched
	})
}
