package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
)

// remote keeps the key set behind a URL. One goroutine fetches it: at once, every refresh, sooner after a failure, and when somebody
// misses a key. However many do, they wait for the same fetch, and there is a pause after each. Whoever leaves does not end it.
type remote struct {
	url     string
	client  *http.Client
	refresh time.Duration
	timeout time.Duration
	pace    pace
	log     *slog.Logger

	current atomic.Pointer[keySet]
	missed  chan struct{} // cap 1: somebody misses a key; never closed
	tried   chan struct{} // closed when the first outcome is there

	cancel context.CancelFunc
	done   chan struct{} // closed when the goroutine has ended
}

// keySet is the outcome of a fetch.
type keySet struct {
	keys []key         // the last that came; none if none ever did
	err  error         // why this fetch failed
	next chan struct{} // closed when the next outcome is there
}

// pace is how fast a key set is fetched, and by what; tests have their own.
type pace struct {
	pause     time.Duration // between two fetches, at least
	retry     time.Duration // after a failure
	transport http.RoundTripper
}

func usualPace() pace {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true // a connection once in a quarter of an hour is not worth keeping
	transport.MaxResponseHeaderBytes = 64 << 10
	return pace{pause: 5 * time.Second, retry: 10 * time.Second, transport: transport}
}

func startRemote(c *Config, p pace, log *slog.Logger) *remote {
	ctx, cancel := context.WithCancel(context.Background())
	r := &remote{
		url: c.JWKSURL, refresh: c.JWKSRefresh, timeout: c.JWKSTimeout, pace: p, log: log,
		client: &http.Client{Transport: p.transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		missed: make(chan struct{}, 1), cancel: cancel, done: make(chan struct{}),
	}
	r.tried = make(chan struct{})
	r.current.Store(&keySet{err: errors.New("not fetched yet"), next: r.tried})
	if strings.HasPrefix(r.url, "http:") {
		log.Warn("token keys are fetched without TLS: whoever can answer in the place of that host can sign tokens", "url", shown(r.url))
	}
	go r.run(ctx)
	return r
}

// stop ends the goroutine and waits for it.
func (r *remote) stop() {
	r.cancel()
	<-r.done
}

// same reports whether the configuration means this very key set, fetched in this very way.
func (r *remote) same(c *Config) bool {
	return r.url == c.JWKSURL && r.refresh == c.JWKSRefresh && r.timeout == c.JWKSTimeout
}

func (r *remote) run(ctx context.Context) {
	defer close(r.done)
	for ctx.Err() == nil {
		keys, err := r.fetch(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && strings.ContainsFunc(err.Error(), unicode.IsControl) { // what a server says of itself can be in it
			err = errors.New(strconv.Quote(err.Error()))
		}
		r.publish(keys, err)
		wait := r.refresh
		if err != nil {
			wait = min(wait, r.pace.retry)
		}
		pause := time.NewTimer(r.pace.pause)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		rest := time.NewTimer(wait - r.pace.pause)
		select {
		case <-ctx.Done():
		case <-rest.C:
		case <-r.missed:
		}
		pause.Stop()
		rest.Stop()
	}
}

// publish makes the outcome of a fetch the current one. After a failure the keys from before stay.
func (r *remote) publish(keys []key, err error) {
	before := r.current.Load()
	switch {
	case err == nil && before.err != nil:
		r.log.Info("token keys fetched", "url", shown(r.url), "keys", len(keys))
	case err != nil && (before.err == nil || before.err.Error() != err.Error()):
		r.log.Warn("token keys cannot be fetched", "url", shown(r.url), "error", err, "keys_from_before", len(before.keys))
	}
	if err != nil {
		keys = before.keys
	}
	select {
	case <-r.missed: // whoever missed a key before gets this outcome
	default:
	}
	r.current.Store(&keySet{keys: keys, err: err, next: make(chan struct{})})
	close(before.next)
}

// first waits for the first outcome, whichever it is.
func (r *remote) first(ctx context.Context) (*keySet, error) {
	select {
	case <-r.tried:
		return r.current.Load(), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the key set: %w", context.Cause(ctx))
	}
}

// after waits for the outcome that follows one in which a key is missing.
func (r *remote) after(ctx context.Context, seen *keySet) (*keySet, error) {
	select {
	case r.missed <- struct{}{}:
	default:
	}
	select {
	case <-seen.next:
		return r.current.Load(), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the key set: %w", context.Cause(ctx))
	case <-r.done:
		return nil, errors.New("the keys are being changed")
	}
}

func (r *remote) fetch(ctx context.Context) ([]key, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	answer, err := r.client.Do(req)
	if err != nil {
		var about *url.Error
		if errors.As(err, &about) {
			err = about.Err // without the address, which may hold a password
		}
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is status %d, not 200", answer.StatusCode)
	}
	text, err := readBounded(answer.Body)
	if err != nil {
		return nil, err
	}
	keys, skipped, err := parseJWKS(text, false)
	for _, why := range skipped {
		r.log.Debug("token key left out", "url", shown(r.url), "error", why)
	}
	return keys, err
}

// shown is an address as it may stand in a log: without user, password and query.
func shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
