package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// forgery is a token that must not count, and what is said to it: a close code, or the code of an error in the first message.
type forgery struct {
	name, token string
	close       int
	code        string
}

// forgeries are tokens for a server that has the shared secret and this public key.
func forgeries(t *testing.T, public []byte) []forgery {
	t.Helper()
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(public)
	good := strings.Split(sign(t, "eve", nil), ".")
	claims := func(json string) string { return base64.RawURLEncoding.EncodeToString([]byte(json)) }
	inAnHour := time.Now().Add(time.Hour).Unix()
	admin := claims(fmt.Sprintf(`{"sub":"admin","exp":%d,"rooms":{"**":["join","send"]}}`, inAnHour))
	forged := map[string]string{
		"another secret":                     signed(t, jwt.SigningMethodHS256, []byte("another secret, of 32 bytes or more"), "eve", nil),
		"another key":                        signed(t, jwt.SigningMethodES256, stranger, "eve", nil),
		"the public key as a secret":         signed(t, jwt.SigningMethodHS256, public, "eve", nil),
		"the public key, in DER, as secret":  signed(t, jwt.SigningMethodHS256, block.Bytes, "eve", nil),
		"no secret":                          signed(t, jwt.SigningMethodHS256, []byte{}, "eve", nil),
		"other claims under a signature":     good[0] + "." + admin + "." + good[2],
		"another algorithm over a signature": claims(`{"alg":"ES256"}`) + "." + good[1] + "." + good[2],
		"a key that it brings itself":        selfMade(t, stranger),
		"not yet":                            sign(t, "eve", jwt.MapClaims{"nbf": inAnHour}),
		"good for too long":                  sign(t, "eve", jwt.MapClaims{"exp": time.Now().Add(9999 * time.Hour).Unix()}),
		"nobody's":                           sign(t, "", nil),
		"no token":                           "letmein",
		"dots":                               "..",
	}
	for _, none := range []string{"none", "None", "NONE", "nOnE"} {
		forged["alg:"+none] = claims(`{"alg":"`+none+`"}`) + "." + admin + "."
		forged["alg:"+none+" with a signature"] = claims(`{"alg":"`+none+`"}`) + "." + admin + "." + good[2]
	}
	all := []forgery{{"expired", sign(t, "eve", jwt.MapClaims{"exp": time.Now().Add(-30 * time.Second).Unix()}), 3200, "token_expired"}}
	for name, token := range forged {
		all = append(all, forgery{name, token, 3001, "unauthorized"})
	}
	return all
}

// selfMade is a token that carries the key with which it is to be checked.
func selfMade(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"sub": "eve", "exp": time.Now().Add(time.Hour).Unix()})
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	coordinate := func(p []byte) string { return base64.RawURLEncoding.EncodeToString(p) }
	token.Header["jwk"] = map[string]string{"kty": "EC", "crv": "P-256", "x": coordinate(point[1:33]), "y": coordinate(point[33:])}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// publicKey writes a new public key to a file.
func publicKey(t *testing.T) (file string, text []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	text = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	file = filepath.Join(t.TempDir(), "public.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, text
}

func TestAttackTokens(t *testing.T) {
	t.Parallel()
	file, public := publicKey(t)
	s := serve(t, "--token-secret", secret, "--token-key-file", file, "--token-timeout=5s")
	near := stand(t, s, sign(t, "ann", nil))

	var waiting []*client // for a token that counts
	for _, f := range forgeries(t, public) {
		header := http.Header{"Authorization": {"Bearer " + f.token}}
		for where, c := range map[string]*client{
			"the header":            dial(t, s, "/ws", header),
			"the query":             dial(t, s, "/ws?token="+url.QueryEscape(f.token), nil),
			"the relay's header":    dial(t, s, "/rooms/bystanders", header),
			"the relay's query":     dial(t, s, "/rooms/bystanders?token="+url.QueryEscape(f.token), nil),
			"query, beside another": dial(t, s, "/ws?token="+url.QueryEscape(sign(t, "ann", nil)), header),
		} {
			c.expectClose(t, f.close)
			if t.Failed() {
				t.Fatalf("%s in %s", f.name, where)
			}
		}
		c := dial(t, s, "/ws", nil)
		c.expectRefusal(t, `{"type":"join","id":1,"room":"bystanders"}`, "unauthorized") // without any
		c.expectRefusal(t, fmt.Sprintf(`{"type":"token","id":2,"token":%q}`, f.token), f.code)
		c.expectRefusal(t, `{"type":"join","id":3,"room":"bystanders"}`, "unauthorized")
		if t.Failed() {
			t.Fatalf("%s in the first message", f.name)
		}
		waiting = append(waiting, c)
		if claims := strings.Split(f.token, "."); len(claims) == 3 && len(claims[1]) > 0 && strings.Contains(s.output(), claims[1]) {
			t.Errorf("the token is in the log: %s", f.name)
		}
	}
	for _, c := range waiting {
		c.expectClose(t, 3001)
	}
	dial(t, s, "/rooms/bystanders", nil).expectClose(t, 3001)
	near.fine(t)
}

// TestAttackRoomPatterns: a token for some rooms is for no other.
func TestAttackRoomPatterns(t *testing.T) {
	t.Parallel()
	s := serve(t, "--token-secret", secret)
	near := stand(t, s, sign(t, "ann", nil))

	token := sign(t, "eve", jwt.MapClaims{"rooms": map[string][]string{
		"chat/*": {"join", "send"}, "news": {"join"}, `\*`: {"join", "send"}, "mail/*/in": {"join", "send"}}})
	eve := speak(t, s, token)
	for _, room := range []string{
		"chat", "Chat/a", "CHAT/a", "chat/a/b", "chat/../secret", "chat//a", "chat/a/", "xchat/a", " chat/a", "/chat/a", "./chat/a", "a/chat/a",
		"ch\u0430t/a", "chat\u2215a", "chat\uff0fa", "chat%2Fa", "chat\\/a", "chat\\a", "**", "a", "news/a", "newspaper", "new", "New", "bystanders",
		"mail/in", "mail/a/b/in", "mail/a/inn", "mail/a/in/", `\*`, "",
	} {
		code, status := "forbidden", 3002
		if room == "" {
			code, status = "bad_room", 0
		}
		eve.expectRefusal(t, fmt.Sprintf(`{"type":"join","id":1,"room":%s}`, quoted(t, room)), code)
		eve.expectRefusal(t, fmt.Sprintf(`{"type":"send","id":2,"room":%s,"data":1}`, quoted(t, room)), "not_joined")
		if status != 0 {
			path := "/rooms/" + url.PathEscape(room) + "?token=" + token
			dial(t, s, path, nil).expectClose(t, status)
		}
	}
	for _, room := range []string{"chat/a", "chat/", "news", "*", "mail/a/in"} {
		eve.ask(t, fmt.Sprintf(`{"type":"join","id":3,"room":%q}`, room), "ack")
	}
	eve.expectRefusal(t, `{"type":"send","id":4,"room":"news","data":1}`, "forbidden") // joining is all that is allowed there
	dial(t, s, "/rooms/news?token="+token, nil).expectClose(t, 3002)
	eve.expectRefusal(t, `{"type":"members","id":5,"room":"chat/a"}`, "forbidden")
	eve.expectRefusal(t, `{"type":"send","id":6,"room":"chat/a","as":"ann","data":1}`, "forbidden")
	eve.expectRefusal(t, `{"type":"direct","id":7,"to":{"user":"ann"},"data":1}`, "forbidden")
	eve.expectRefusal(t, fmt.Sprintf(`{"type":"token","id":8,"token":%q}`, sign(t, "ann", nil)), "forbidden")
	near.fine(t)
}

// TestAttackUserConnections: a user has so many connections, wherever they come from.
func TestAttackUserConnections(t *testing.T) {
	t.Parallel()
	s := serve(t, "--token-secret", secret, "--max-user-conns=2")
	near := stand(t, s, sign(t, "ann", nil))
	token := sign(t, "eve", nil)
	first := speak(t, s, token)
	relayed := dial(t, s, "/rooms/a?token="+token, nil)
	dial(t, s, "/ws?token="+token, nil).expectClose(t, 3100)
	dial(t, s, "/rooms/a?token="+token, nil).expectClose(t, 3100)
	late := dial(t, s, "/ws", nil)
	late.expectRefusal(t, fmt.Sprintf(`{"type":"token","id":1,"token":%q}`, token), "throttled")

	first.ask(t, `{"type":"ping"}`, "pong")
	relayed.send(t, text("still here"))
	near.fine(t)
}
