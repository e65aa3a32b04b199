package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/MicahParks/jwkset"
)

// maxSetKeys bounds a set: a token without a kid is checked with every key that fits its algorithm.
const maxSetKeys = 100

// parseJWKS reads a JWK set (RFC 7517). Keys that cannot be used here are left out and come back as skipped, each with its reason; a
// set of which nothing is left is an error. Secrets are taken where the place they come from is one.
func parseJWKS(text []byte, secrets bool) (keys []key, skipped []error, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil || len(set.Keys) == 0 {
		return nil, nil, errors.New(`it is no JWK set, which is a JSON object with keys in its member "keys"`)
	}
	if len(set.Keys) > maxSetKeys {
		return nil, nil, fmt.Errorf("%d keys in one JWK set are too many; at most %d are taken", len(set.Keys), maxSetKeys)
	}
	for i, raw := range set.Keys {
		k, err := parseJWK(raw, secrets)
		switch {
		case err != nil:
			skipped = append(skipped, fmt.Errorf("key %d of the JWK set: %w", i+1, err))
		case len(k.algs) > 0:
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		err := errors.New("no key of the JWK set is for signatures")
		if len(skipped) > 0 {
			err = fmt.Errorf("no key of the JWK set can be used: %w", skipped[0])
		}
		return nil, skipped, err
	}
	return keys, skipped, nil
}

// parseJWK reads one key. One that is for something else than signatures has no algorithms.
func parseJWK(raw json.RawMessage, secrets bool) (key, error) {
	var m jwkset.JWKMarshal
	if err := json.Unmarshal(raw, &m); err != nil {
		return key{}, errors.New("it is no JWK")
	}
	if m.USE != "" && m.USE != jwkset.UseSig || len(m.KEYOPS) > 0 && !slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify) {
		return key{}, nil
	}
	if m.KTY == jwkset.KtyOct && !secrets {
		return key{}, errors.New("it is a secret, and what can be fetched is none")
	}
	if len(m.K)+len(m.N)+len(m.X)+len(m.Y) > 4<<10 { // 3,072 bytes; before anything is computed with it
		return key{}, errors.New("its numbers are too long")
	}
	// The certificates beside a key are not looked at, so that a broken one does not matter; x5u is never fetched.
	m.X5C, m.X5T, m.X5TS256, m.X5U = nil, "", "", ""
	jwk, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{Private: m.KTY == jwkset.KtyOct}, jwkset.JWKValidateOptions{SkipAll: true})
	if err != nil {
		return key{}, errors.New("it is no key that can be read, of a kind that signs tokens (RSA, EC, Ed25519)")
	}
	k, err := newKey(jwk.Key())
	if err != nil {
		return key{}, err
	}
	k.id = m.KID
	if alg := m.ALG.String(); alg != "" {
		if !slices.Contains(k.algs, alg) {
			return key{}, fmt.Errorf("its algorithm %s does not belong to its kind", quoted(alg))
		}
		k.algs = []string{alg}
	}
	return k, nil
}
