package natsengine

import (
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/roomcast/roomcast"
)

// works holds that two nodes do with their NATS all that they do with it.
func works(t *testing.T, one, two *Engine) {
	t.Helper()
	live, kept := listen(t, two, "\x01live"), listen(t, two, "kept")
	eventually(t, "what passes is heard", func() bool { publish(t, one, "\x01live", "a"); return len(live.heard()) > 0 })
	publish(t, one, "kept", "b", "c")
	contiguous(t, kept.at, kept.await(2))
	if got := said(history(t, two, "kept", roomcast.Position{}, 10)); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("the history is %q", got)
	}
	sent := texts("d")
	sent[0].Once = "k"
	for range 2 {
		if err := two.Publish(t.Context(), "kept", sent); err != nil {
			t.Error(err)
		}
	}
	if !sent[0].Again {
		t.Error("stored twice")
	}
	one.Present(roomcast.Member{ID: "ann"})
	eventually(t, "the other node knows the member", func() bool { return two.Stats().Members == 1 })
	secret, err := one.Secret(t.Context())
	if other, err2 := two.Secret(t.Context()); err != nil || err2 != nil || string(secret) != string(other) {
		t.Errorf("the secret: %v, %v", err, err2)
	}
}

// refused holds that an engine which is not let in says why, in Ready and once in its log, and neither there nor elsewhere a secret.
func refused(t *testing.T, o Options, why string, secrets ...string) {
	t.Helper()
	var lines lockedBuffer
	o.Logger = slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.History, o.Timeout = []roomcast.Retention{everything()}, 200*time.Millisecond
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	_, cancel, err := e.Subscribe(t.Context(), "\x01live", func([]roomcast.Entry) {})
	if err != nil {
		t.Fatal(err)
	}
	defer cancel()
	var said []string
	eventually(t, "why it is not ready is known", func() bool {
		e.Publish(t.Context(), "\x01live", texts("x"))
		e.Publish(t.Context(), "r", texts("x")) // the other room's are not sent by a node that knows that it is alone
		_, _ = e.Secret(t.Context())
		if err := e.Ready(); err != nil {
			said = append(said, err.Error())
		}
		return len(said) > 0 && strings.Contains(said[len(said)-1], why)
	})
	eventually(t, "the log says so", func() bool { return strings.Contains(lines.String(), "level=WARN") })
	said = append(said, lines.String(), fmt.Sprint(e.Publish(t.Context(), "r", texts("x"))))
	for _, secret := range secrets {
		if strings.Contains(strings.Join(said, "\n"), secret) {
			t.Errorf("%q is in\n%s", secret, strings.Join(said, "\n"))
		}
	}
}

func withFiles(o Options) func(*Options) {
	return func(to *Options) {
		to.TLSCA, to.TLSCert, to.TLSKey, to.Credentials = o.TLSCA, o.TLSCert, o.TLSKey, o.Credentials
	}
}

func TestTLS(t *testing.T) {
	a := newAuthority(t)
	b := newBroker(t, a.serve(2, false))
	url := b.srv.ClientURL()
	trusting := withFiles(Options{TLSCA: a.file})
	one, two := b.node(trusting), b.node(trusting)
	works(t, one, two)
	refused(t, Options{URL: url}, "signed by unknown authority; name the file with the certificate of who has signed the server's, with Options.TLSCA")
	refused(t, Options{URL: url, TLSCA: newAuthority(t).file}, "the server's certificate is not signed by whom Options.TLSCA names")
	refused(t, Options{URL: newBroker(t).srv.ClientURL(), TLSCA: a.file}, "the server does not speak TLS")

	b.stop() // and comes again with another certificate
	eventually(t, "the connection is lost", func() bool { return one.Ready() != nil && two.Ready() != nil })
	a.serve(3, false)(&b.opts)
	b.start()
	eventually(t, "the nodes are ready again", func() bool { return one.Ready() == nil && two.Ready() == nil })
	l := listen(t, two, "again")
	publish(t, one, "again", "x")
	l.await(1)
}

func TestClientCertificates(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	b := newBroker(t, a.serve(2, true))
	cert, key := a.issue(4)
	known := withFiles(Options{TLSCA: a.file, TLSCert: cert, TLSKey: key})
	works(t, b.node(known), b.node(known))
	refused(t, Options{URL: b.srv.ClientURL(), TLSCA: a.file}, "does the server want a certificate of this node? Name it with Options.TLSCert and Options.TLSKey")
	cert, key = stranger.issue(4)
	refused(t, Options{URL: b.srv.ClientURL(), TLSCA: a.file, TLSCert: cert, TLSKey: key}, "the server does not take the certificate of Options.TLSCert")
}

func TestUserAndToken(t *testing.T) {
	for _, c := range []struct {
		name, right, wrong string
		set                func(*server.Options)
	}{
		{"user", "ann:swordfish", "ann:mackerel", func(o *server.Options) { o.Username, o.Password = "ann", "swordfish" }},
		{"token", "swordfish", "mackerel", func(o *server.Options) { o.Authorization = "swordfish" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBroker(t, c.set)
			url := func(who string) string { return strings.Replace(b.srv.ClientURL(), "//", "//"+who+"@", 1) }
			right := func(o *Options) { o.URL = url(c.right) }
			works(t, b.node(right), b.node(right))
			refused(t, Options{URL: url(c.wrong)}, "the server does not know the user and password, or the token, in Options.URL", "swordfish", "mackerel")
			refused(t, Options{URL: b.srv.ClientURL()}, "the server wants to know who connects")
		})
	}
}

// TestPasswordChanges holds that a node which is not let in any more says so, once and not at every attempt, and comes back when it may.
func TestPasswordChanges(t *testing.T) {
	b := newBroker(t, func(o *server.Options) { o.Username, o.Password = "ann", "swordfish" })
	var lines lockedBuffer
	e := b.node(func(o *Options) {
		o.URL = strings.Replace(b.srv.ClientURL(), "//", "//ann:swordfish@", 1)
		o.Logger = slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	b.stop()
	b.opts.Password = "mackerel"
	b.start()
	attempts := `level=DEBUG msg="NATS reports an error" error="nats: authorization violation`
	eventually(t, "it tries again and again", func() bool { return strings.Count(lines.String(), attempts) >= 2 })
	if err := e.Ready(); err == nil || !strings.Contains(err.Error(), "not connected to NATS") {
		t.Errorf("ready: %v", err)
	}
	if n := strings.Count(lines.String(), "level=WARN"); n < 2 || n > 6 || strings.Contains(lines.String(), "swordfish") {
		t.Errorf("%d warnings:\n%s", n, lines.String())
	}
	b.stop()
	b.opts.Password = "swordfish"
	b.start()
	eventually(t, "it is let in again", func() bool { return e.Ready() == nil })
}

// documented is what docs/operating.md says that a user of NATS may do who is a node of Roomcast.
func documented(t *testing.T) jwt.Permissions {
	t.Helper()
	text, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	list := func(what string) (subjects jwt.StringList) {
		line := regexp.MustCompile(`(?m)^` + what + `: +\[(.*)\]$`).FindSubmatch(text)
		if line == nil {
			t.Fatalf("docs/operating.md does not say what to %s", what)
		}
		for part := range strings.SplitSeq(string(line[1]), ", ") {
			subject, err := strconv.Unquote(part)
			if err != nil {
				t.Fatalf("docs/operating.md: %s %s: %v", what, part, err)
			}
			subjects = append(subjects, subject)
		}
		return subjects
	}
	return jwt.Permissions{Pub: jwt.Permission{Allow: list("publish")}, Sub: jwt.Permission{Allow: list("subscribe")}}
}

func TestDocumentedPermissions(t *testing.T) {
	o := newOperator(t)
	account, _ := o.account(true)
	b := newBroker(t, o.serve)
	allowed := documented(t)
	limited := withFiles(Options{Credentials: o.user(account, func(c *jwt.UserClaims) { c.Permissions = allowed })})
	one, two := b.node(limited), b.node(limited)
	works(t, one, two)
	crowd(one)
	eventually(t, "the other node knows the members", func() bool { return two.Stats().Members == 25 })
	late := b.node(limited)
	if n := late.Stats().Members; n != 25 {
		t.Errorf("a node that comes later knows %d members, want 25", n)
	}
	for _, e := range []*Engine{one, two, late} {
		if err := e.Ready(); err != nil {
			t.Error(err)
		}
	}

	for i, subject := range allowed.Pub.Allow {
		less := allowed
		less.Pub.Allow = slices.Delete(slices.Clone(allowed.Pub.Allow), i, i+1)
		t.Run("publish without "+subject, func(t *testing.T) { forbidden(t, less, `Publish to "`+strings.TrimSuffix(subject, ">")) })
	}
	for i, subject := range allowed.Sub.Allow {
		less := allowed
		less.Sub.Allow = slices.Delete(slices.Clone(allowed.Sub.Allow), i, i+1)
		t.Run("subscribe without "+subject, func(t *testing.T) { forbidden(t, less, `Subscription to "`+strings.TrimSuffix(subject, ">")) })
	}
}

// crowd presents so much that who reads it all at once has to say now and then how far it is.
func crowd(e *Engine) {
	for i := range 24 {
		e.Present(roomcast.Member{ID: "m" + strconv.Itoa(i), Info: make([]byte, 400<<10)})
	}
}

// forbidden holds that a node whose user lacks a permission that it needs names it.
func forbidden(t *testing.T, allowed jwt.Permissions, what string) {
	t.Parallel()
	o := newOperator(t)
	account, _ := o.account(true)
	b := newBroker(t, o.serve)
	creds := o.user(account, func(c *jwt.UserClaims) { c.Permissions = allowed })
	if strings.Contains(what, "$JS.FC.") {
		crowd(b.node(withFiles(Options{Credentials: o.user(account)})))
	}
	refused(t, Options{URL: b.srv.ClientURL(), Credentials: creds}, "Permissions Violation for "+what)
}

func TestCredentials(t *testing.T) {
	o := newOperator(t)
	account, _ := o.account(true)
	bare, _ := o.account(false)
	stranger, _ := newOperator(t).account(true)
	b := newBroker(t, o.serve)
	url := b.srv.ClientURL()
	refused(t, Options{URL: url}, "the server wants to know who connects")
	refused(t, Options{URL: url, Credentials: o.user(stranger)}, "the server does not take Options.Credentials")
	refused(t, Options{URL: url, Credentials: o.user(account, func(c *jwt.UserClaims) { c.Expires = time.Now().Unix() - 1 })}, "the server does not take Options.Credentials")
	refused(t, Options{URL: url, Credentials: o.user(bare)}, "JetStream not enabled for account; give the account whose user this node connects as JetStream")
	refused(t, Options{URL: newBroker(t, func(o *server.Options) { o.JetStream = false }).srv.ClientURL()}, "run with JetStream")
}

// TestOptionsAreChecked holds that files and addresses which are none are told at once, without what is in them.
func TestOptionsAreChecked(t *testing.T) {
	a := newAuthority(t)
	cert, key := a.issue(2)
	_, another := a.issue(3)
	o := newOperator(t)
	account, _ := o.account(true)
	whole, err := os.ReadFile(o.user(account))
	if err != nil {
		t.Fatal(err)
	}
	token, _, _ := strings.Cut(string(whole), "-----BEGIN USER NKEY SEED")
	garbage, half, none := write(t, "garbage", []byte("swordfish")), write(t, "half", []byte(token)), cert+".none"
	for want, o := range map[string]Options{
		"Options.TLSCA " + none + ": no such file":                                   {TLSCA: none},
		"Options.TLSCA " + garbage + ": there is no certificate in it":               {TLSCA: garbage},
		"Options.TLSCert " + garbage + ": there is no certificate in it":             {TLSCert: garbage, TLSKey: key},
		"Options.TLSKey " + garbage + ": ":                                           {TLSCert: cert, TLSKey: garbage},
		"Options.TLSKey " + none + ": no such file":                                  {TLSCert: cert, TLSKey: none},
		"Options.TLSKey " + another + ": private key does not match public key":      {TLSCert: cert, TLSKey: another},
		"Options.TLSCert and Options.TLSKey go together":                             {TLSKey: key},
		"Options.Credentials " + none + ": no such file":                             {Credentials: none},
		"Options.Credentials " + garbage + ": there is no token":                     {Credentials: garbage},
		"Options.Credentials " + half + ": there is no seed":                         {Credentials: half},
		"Options.URL: an address is none":                                            {URL: "nats://ann:sword/fish@127.0.0.1:4222"},
		"Options.URL: an address is none: write nats://host:4222 or tls://user:pass": {URL: "nats://127.0.0.1:1,nats://ann:sword%zzfish@127.0.0.1:1"},
	} {
		o.URL = orElse(o.URL, "nats://127.0.0.1:1")
		_, err := New(o)
		if err == nil || !strings.HasPrefix(err.Error(), "natsengine: "+want) || strings.Contains(err.Error(), "fish") {
			t.Errorf("%v, want %s", err, want)
		}
		if check := o.Check(); check == nil || err == nil || check.Error() != err.Error() {
			t.Errorf("Check says %v, New %v", check, err)
		}
	}
}
