package auth

import (
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// Why a token does not count. Errors of Verify wrap exactly one of these.
var (
	// ErrTokenExpired: the token is one of ours and its time is over; a fresh one helps.
	ErrTokenExpired = errors.New("the token has expired")
	// ErrTokenInvalid: the token is not one of ours, or there is something wrong in it; the same one will never do.
	ErrTokenInvalid = errors.New("the token is not valid")
	// ErrTokenRevoked: the token is one of ours, and it or all of its user's have been revoked.
	ErrTokenRevoked = errors.New("the token has been revoked")
	// ErrUnavailable: the keys to tell by cannot be had at present; the same token may do later.
	ErrUnavailable = errors.New("the keys of the tokens are not available")
)

// reason is what is wrong with a token that is not valid, fit for a log.
type reason string

func (r reason) Error() string { return string(r) }

func reasonf(format string, args ...any) error { return reason(fmt.Sprintf(format, args...)) }

// quoted is a piece of a token as it may stand in an error: short, on one line.
func quoted(s string) string {
	const most = 40
	if len(s) > most {
		return fmt.Sprintf("%q…", s[:most])
	}
	return fmt.Sprintf("%q", s)
}

// refusals are the library's errors, in the order in which they count: that a token has expired is said only if nothing else is
// wrong with it. The library's own texts are left out, for they may quote the token.
var refusals = []struct{ is, kind, text error }{
	{jwt.ErrTokenMalformed, ErrTokenInvalid, reason("it is no JWT: three parts of base64url, the first two of them JSON objects")},
	{jwt.ErrTokenUnverifiable, ErrTokenInvalid, reason("its algorithm (alg) is missing or unknown")},
	{jwt.ErrTokenSignatureInvalid, ErrTokenInvalid, reason("it is not signed with a key that is known here, or in an algorithm that is not taken")},
	{jwt.ErrTokenRequiredClaimMissing, ErrTokenInvalid, reason("a claim is missing that is asked for: exp, aud or iss")},
	{jwt.ErrTokenInvalidAudience, ErrTokenInvalid, reason("it is for another audience (aud)")},
	{jwt.ErrTokenInvalidIssuer, ErrTokenInvalid, reason("it is from another issuer (iss)")},
	{jwt.ErrTokenNotValidYet, ErrTokenInvalid, reason("its time has not come yet (nbf)")},
	{jwt.ErrTokenUsedBeforeIssued, ErrTokenInvalid, reason("it was issued in the future (iat); set the clocks")},
	{jwt.ErrTokenExpired, ErrTokenExpired, nil},
}

// refusal turns what the library says into one of ours.
func refusal(err error, c *claims) error {
	var why reason
	if errors.As(err, &why) {
		return fmt.Errorf("%w: %w", ErrTokenInvalid, why)
	}
	for _, r := range refusals {
		switch {
		case !errors.Is(err, r.is):
		case r.text == nil:
			return fmt.Errorf("%w, at %s", r.kind, c.expires.UTC().Format("2006-01-02 15:04:05Z"))
		default:
			return fmt.Errorf("%w: %w", r.kind, r.text)
		}
	}
	return ErrTokenInvalid
}
