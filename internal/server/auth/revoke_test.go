package auth

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRevokeUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := authority(t, Config{Secrets: []string{secret}, MaxLifetime: time.Hour})
		before := hs(t, good(nil))
		unsaid := hs(t, good(map[string]any{"iat": nil}))
		bob := hs(t, good(map[string]any{"sub": "bob"}))
		live, liveUnsaid, liveBob := accepted(t, a, before), accepted(t, a, unsaid), accepted(t, a, bob)
		if a.Revoked(live) {
			t.Error("revoked before anybody did so")
		}
		if err := a.RevokeUser("ann", time.Time{}); err != nil { // now
			t.Fatal(err)
		}
		refused(t, a, before, ErrTokenRevoked, "revoked")
		refused(t, a, unsaid, ErrTokenRevoked, "revoked")
		refused(t, a, hs(t, good(map[string]any{"exp": 1})), ErrTokenExpired, "") // expired first: a fresh one may help
		accepted(t, a, bob)
		if !a.Revoked(live) || !a.Revoked(liveUnsaid) || a.Revoked(liveBob) {
			t.Error("grants that were given:", a.Revoked(live), a.Revoked(liveUnsaid), a.Revoked(liveBob), "want revoked: true, true, false")
		}
		advance(t, time.Second)
		after := hs(t, good(nil))
		accepted(t, a, after)
		if err := a.RevokeUser("ann", time.Now().Add(-time.Minute)); err != nil { // an earlier time takes nothing back
			t.Fatal(err)
		}
		accepted(t, a, after)
		refused(t, a, before, ErrTokenRevoked, "")
		if err := a.Reload(Config{Secrets: []string{secret}, MaxLifetime: time.Hour}); err != nil {
			t.Fatal(err)
		}
		refused(t, a, before, ErrTokenRevoked, "")
	})
}

// TestRevocationsVanish holds that a revocation counts for as long as what it is about could, and is forgotten then.
func TestRevocationsVanish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := authority(t, Config{Secrets: []string{secret}, MaxLifetime: time.Hour})
		longest := hs(t, good(map[string]any{"jti": "t-1"}))
		for _, err := range []error{a.RevokeUser("ann", time.Now()), a.RevokeUser("carl", time.Now().Add(1000*time.Hour)), a.RevokeToken("t-1", time.Time{}),
			a.RevokeToken("t-2", time.Now().Add(1000*time.Hour)), a.RevokeToken("t-3", time.Now().Add(time.Minute))} {
			if err != nil {
				t.Fatal(err)
			}
		}
		advance(t, time.Hour+defaultLeeway-time.Nanosecond)
		refused(t, a, longest, ErrTokenRevoked, "") // the last moment at which it is no matter of its age
		advance(t, time.Minute)
		refused(t, a, longest, ErrTokenExpired, "")
		for _, err := range []error{a.RevokeUser("long ago", time.Now().Add(-2*time.Hour)), a.RevokeToken("long ago", time.Now().Add(-time.Minute)), a.RevokeUser("bob", time.Now())} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if users, tokens := fmt.Sprint(len(a.revoked.users)), len(a.revoked.tokens); users != "2" || tokens != 0 { // bob, and carl, who was shut out ahead
			t.Errorf("%s users and %d tokens are remembered, want 2 and 0", users, tokens)
		}
		advance(t, 2*time.Hour)
		if err := a.RevokeToken("t-4", time.Now().Add(time.Second)); err != nil || len(a.revoked.users) != 0 || len(a.revoked.tokens) != 1 {
			t.Errorf("%v; %d users and %d tokens are remembered, want 0 and 1", err, len(a.revoked.users), len(a.revoked.tokens))
		}
	})
}

func TestRevokeToken(t *testing.T) {
	a := ours(t)
	one, two, nameless := hs(t, good(map[string]any{"jti": "one"})), hs(t, good(map[string]any{"jti": "two"})), hs(t, good(nil))
	live := accepted(t, a, one)
	if err := a.RevokeToken("one", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	refused(t, a, one, ErrTokenRevoked, "")
	accepted(t, a, two)
	accepted(t, a, nameless)
	if !a.Revoked(live) {
		t.Error("the grant that was given is not revoked")
	}
	for _, name := range []string{"", "a\nb", strings.Repeat("x", 257)} {
		if a.RevokeToken(name, time.Time{}) == nil || a.RevokeUser(name, time.Now()) == nil {
			t.Errorf("%q was revoked", name)
		}
	}
}

// TestRevocationsAreBounded holds that a full list says so, and still takes what is in it.
func TestRevocationsAreBounded(t *testing.T) {
	a, now := ours(t), time.Now()
	for i := range maxRevocations {
		name := fmt.Sprint(i)
		if err := errors.Join(a.RevokeUser(name, now), a.RevokeToken(name, time.Time{})); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.RevokeUser("ann", now); !errors.Is(err, ErrTooManyRevocations) {
		t.Errorf("one user too many: %v", err)
	}
	if err := a.RevokeToken("ann", time.Time{}); !errors.Is(err, ErrTooManyRevocations) {
		t.Errorf("one token too many: %v", err)
	}
	if err := errors.Join(a.RevokeUser("7", now), a.RevokeToken("7", time.Time{})); err != nil {
		t.Errorf("what is in the list already: %v", err)
	}
}

// advance moves the clock of the bubble.
func advance(t *testing.T, d time.Duration) {
	t.Helper()
	<-time.After(d)
	synctest.Wait()
}

// TestRevocationsEnd holds that a revocation ends when it should, also if nobody has swept since.
func TestRevocationsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := authority(t, Config{Secrets: []string{secret}, MaxLifetime: time.Hour})
		if err := errors.Join(a.RevokeUser("ann", time.Time{}), a.RevokeToken("t", time.Now().Add(time.Minute))); err != nil {
			t.Fatal(err)
		}
		bob := func() string { return hs(t, good(map[string]any{"sub": "bob", "jti": "t"})) }
		advance(t, time.Minute+defaultLeeway-time.Nanosecond)
		refused(t, a, bob(), ErrTokenRevoked, "")
		advance(t, time.Nanosecond)
		accepted(t, a, bob())
		advance(t, time.Hour-time.Minute)
		refused(t, a, hs(t, good(map[string]any{"iat": nil})), ErrTokenRevoked, "")
		advance(t, defaultLeeway)
		accepted(t, a, hs(t, good(map[string]any{"iat": nil})))
	})
}
