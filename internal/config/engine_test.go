package config

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast"
)

// refusal is what is not taken: the flag and its value in the error, and what to set instead.
type refusal struct{ args, want, remedy string }

func (r refusal) holds(t *testing.T) {
	t.Helper()
	_, err := parse(t, strings.Fields(r.args)...)
	if err == nil || !strings.Contains(err.Error(), r.want) || !strings.Contains(err.Error(), r.remedy) || strings.Contains(err.Error(), "swordfish") {
		t.Errorf("%s: error %v, want one with %q and %q", r.args, err, r.want, r.remedy)
	}
}

// TestEngineInvalid holds that each refusal names the flag and the value, and says what to set instead.
func TestEngineInvalid(t *testing.T) {
	const cluster = "--nats=embedded --node=a --cluster-listen=10.0.0.1:6222 --cluster-peers=10.0.0.2:6222 --cluster-secret=sixteen-letters- "
	for _, c := range []refusal{
		{"--history=chat", `--history "chat":`, "such as 'chat/**=1000,24h,1GiB'"},
		{"--history==10", `--history "=10":`, "write a pattern"},
		{"--history=chat=", `--history "chat=":`, "number of messages from 0 to 1000000"},
		{"--history=chat=-1", `--history "chat=-1":`, "from 0"},
		{"--history=chat=1000001", `--history "chat=1000001":`, "to 1000000"},
		{"--history=chat=10,5", `--history "chat=10,5":`, "write 5s"},
		{"--history=chat=10,1ms", `--history "chat=10,1ms":`, "from 1s"},
		{"--history=chat=10,1h,big", `--history "chat=10,1h,big":`, "such as 1MiB"},
		{"--history=chat=10,1h,5KiB", `--history "chat=10,1h,5KiB":`, "less than 1MiB"},
		{"--history=chat=10,1h,1GiB,1", `--history "chat=10,1h,1GiB,1":`, "such as 'chat/**=1000,24h,1GiB'"},
		{"--history=chat/**=10,1h;**=5", `--history "chat/**=10,1h;**=5":`, "on lines of their own in the environment"},
		{"--history=a=1 --history=b=1 --history=a=2", `--history "a=2":`, "leave one of them out"},
		{"--idempotency-window=0", "--idempotency-window 0s:", "from 1s up to 24h"},
		{"--session-ttl=25h", "--session-ttl 25h0m0s:", "or 0 for sessions that end"},
		{"--session-ttl=1ms", "--session-ttl 1ms:", "from 1s"},
		{"--session-ttl=-1s", "--session-ttl -1s:", "or 0"},
		{"--lease=0", "--lease 0s:", "from 1s"},
		{"--nats=here", "--nats here:", "nats://10.0.0.7:4222"},
		{"--nats=nats://a:4222,", "--nats nats://a:4222,:", "write embedded"},
		{"--nats=http://ann:swordfish@a", "--nats http://********@a:", "tls://"},
		{"--nats-creds=f", "--nats-creds f:", "name them with --nats"},
		{"--nats=embedded --nats-ca=f", "--nats-ca f:", "NATS servers elsewhere"},
		{"--nats=nats://a --nats-cert=f", "--nats-cert f:", "--nats-key"},
		{"--nats=nats://a --nats-key=f", "--nats-key f:", "--nats-cert"},
		{"--nats=nats://a --cluster-peers=b:1,c:1", "--cluster-peers b:1,c:1:", "set that, or leave it out"},
		{"--cluster-listen=a:1", "--cluster-listen a:1:", "--nats embedded"},
		{"--nats-prefix=a.b", `--nats-prefix "a.b":`, "letters and digits"},
		{"--nats-prefix=Ab", `--nats-prefix "Ab":`, "small letters"},
		{"--node=a/b", `--node "a/b":`, "letters and digits"},
		{"--nats=embedded --cluster-listen=a:1", "--cluster-listen a:1:", "--cluster-peers"},
		{"--nats=embedded --node=a --cluster-peers=a:1", "--cluster-peers a:1:", "--cluster-listen"},
		{"--nats=embedded --cluster-listen=a:1 --cluster-peers=b:1", "--cluster-peers b:1:", "--node"},
		{cluster + "--cluster-listen=here", `--cluster-listen "here":`, "10.0.0.7:6222"},
		{"--nats=embedded --node=a --cluster-listen=10.0.0.1:6222 --cluster-peers=b:1", "--cluster-listen 10.0.0.1:6222:", "--cluster-secret"},
		{"--nats=embedded --node=a --cluster-listen=:6222 --cluster-peers=b:1", "--cluster-listen :6222:", "--cluster-secret"},
		{cluster + "--cluster-secret=swordfish", "--cluster-secret has 9 characters", "16 or more"},
		{cluster + "--cluster-peers=b:0", `--cluster-peers "b:0":`, "write host:port"},
	} {
		c.holds(t)
	}
	for _, args := range []string{
		cluster, cluster + "--cluster-peers=10.0.0.3:6222 --nats-replicas=1 --data-max=2GiB --history=a=1", "--nats=embedded", "--session-ttl=0", "--node=a",
		"--nats=nats://a:4222,tls://b --nats-creds=c --nats-ca=d --nats-cert=e --nats-key=f --nats-replicas=3",
	} {
		if _, err := parse(t, strings.Fields(args)...); err != nil {
			t.Errorf("%s: %v", args, err)
		}
	}
}

// TestKeptNowhere holds that what is to be kept has a place, with room enough, or is refused: taken in silence, it would be in memory.
func TestKeptNowhere(t *testing.T) {
	for _, c := range []refusal{
		{"--nats=nats://a --nats-replicas=6", "--nats-replicas 6:", "1, 3 or 5"},
		{"--nats=embedded --nats-replicas=3", "--nats-replicas 3:", "second copy"},
		{"--nats=embedded --data=", `--data "":`, "/var/lib/roomcast"},
		{"--nats=embedded --history=a=1 --data-max=1GiB", "--data-max 1GiB:", "set 1088MiB or more: sessions need 64MiB beside the 1GiB that the histories may take"},
		{"--nats=embedded --data-max=1", "--data-max 1B:", "set 64MiB or more"},
		{"--data=/var/lib/roomcast", `--data "/var/lib/roomcast":`, "--nats embedded"},
		{"--nats=nats://a --data=", `--data "":`, "leave it out"},
		{"--data-max=1GiB", "--data-max 1GiB:", "--nats embedded"},
		{"--nats-replicas=3", "--nats-replicas 3:", "--nats"},
	} {
		c.holds(t)
	}
}

// TestReplicas holds how many copies there are when nobody says so.
func TestReplicas(t *testing.T) {
	for args, want := range map[string]int{
		"": 1, "--nats=embedded": 1, "--nats=nats://a": 1, "--nats=nats://a --nats-replicas=3": 3,
		"--nats=embedded --node=a --cluster-listen=a:1 --cluster-peers=b:1":             2,
		"--nats=embedded --node=a --cluster-listen=a:1 --cluster-peers=a:1,b:1":         2,
		"--nats=embedded --node=a --cluster-listen=a:1 --cluster-peers=b:1,c:1,d:1,e:1": 3,
	} {
		if s, err := parse(t, strings.Fields(args)...); err != nil || s.Replicas() != want {
			t.Errorf("%s: %d replicas, %v; want %d", args, s.Replicas(), err, want)
		}
	}
}

// TestRetentions holds what --history means: the first pattern that fits, its limits or their defaults, and never the server's own rooms.
func TestRetentions(t *testing.T) {
	s, err := parse(t, "--history=chat/tmp/**=0", "--history=chat/**=50,1h,2MiB", "--history=a,b=7=3", "--history=**=10")
	if err != nil {
		t.Fatal(err)
	}
	kinds := s.Retentions()
	for room, want := range map[string]string{
		"chat/a": "chat-", "chat/tmp/a": "", "a,b=7": "a-b-7-", "news": "rooms-", "a/b/c": "rooms-", "\x01node/a": "",
	} {
		got := ""
		if i := slices.IndexFunc(kinds, func(k roomcast.Retention) bool { return k.Match(room) }); i >= 0 {
			got = kinds[i].Name
		}
		if !strings.HasPrefix(got, want) || (got == "") != (want == "") {
			t.Errorf("%q is of the kind %q, want %q…", room, got, want)
		}
	}
	if k := kinds[0]; k.Messages != 50 || k.Age != time.Hour || k.Bytes != 2<<20 {
		t.Errorf("of chat, %d messages, %v, %d bytes are kept; want 50, 1h, 2 MiB", k.Messages, k.Age, k.Bytes)
	}
	if k := kinds[1]; k.Messages != 3 || k.Age != 24*time.Hour || k.Bytes != 1<<30 {
		t.Errorf("of a,b=7, %d messages, %v, %d bytes are kept; want 3 and the defaults", k.Messages, k.Age, k.Bytes)
	}
}

// TestHistoryOfTheEnvironment holds that a variable can have several, as a file can.
func TestHistoryOfTheEnvironment(t *testing.T) {
	t.Setenv("ROOMCAST_HISTORY", "chat/**=50,1h\n**=10\n")
	t.Setenv("ROOMCAST_SLOW", "cursors/*=keep-latest\r\n**=drop-oldest")
	s, err := parse(t)
	if err != nil {
		t.Fatal(err)
	}
	if kinds := s.Retentions(); len(kinds) != 2 || kinds[0].Messages != 50 || kinds[1].Messages != 10 || !kinds[1].Match("news") {
		t.Errorf("%d histories are kept: %+v", len(kinds), kinds)
	}
	if slow := s.SlowPolicy(); slow("cursors/a") != roomcast.SlowKeepLatest || slow("news") != roomcast.SlowDropOldest {
		t.Errorf("slow members: %v and %v", slow("cursors/a"), slow("news"))
	}
	t.Setenv("ROOMCAST_HISTORY", "chat/**=50 **=10")
	if _, err := parse(t); err == nil {
		t.Error("two on one line are taken for one")
	}
}

// TestKindNames holds that the names of kinds can stand in subjects, streams and files, differ, and are those of before: histories are found by them.
func TestKindNames(t *testing.T) {
	seen := map[string]string{}
	for _, text := range []string{"*", "**", "chat/*", "chat/**", `chat/\*`, "ä", "ö", strings.Repeat("long/", 20), "a.b c>d"} {
		name := kindName(text)
		if !regexp.MustCompile(`^[a-zA-Z0-9_-]{1,40}$`).MatchString(name) || seen[name] != "" {
			t.Errorf("%q became %q, which is no name or that of %q", text, name, seen[name])
		}
		seen[name] = text
	}
	for text, want := range map[string]string{"chat/**": "chat-0dadd727", "**": "rooms-98398703"} {
		if got := kindName(text); got != want {
			t.Errorf("%q became %q, and was %q before: its histories are lost", text, got, want)
		}
	}
}

// TestServersAreShownWithoutPasswords holds that what is printed of --nats has neither user nor password, whatever is wrong with it.
func TestServersAreShownWithoutPasswords(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "embedded": "embedded", "nats://a:4222,tls://b": "nats://a:4222,tls://b",
		"nats://ann:swordfish@a:4222,tls://b": "nats://********@a:4222,tls://b", "swordfish@b": "********@b", "nats://a:b@swordfish@c": "nats://********@c",
		"nats://a,tls://ann:sword,fish@b": "nats://a,tls://********@b",
	} {
		written, err := json.Marshal(Servers(text))
		if got := Servers(text).String(); got != want || string(written) != `"`+want+`"` || err != nil {
			t.Errorf("%q is shown as %q and %s, %v; want %q", text, got, written, err, want)
		}
	}
}

// FuzzHistory holds that whatever is accepted has limits, and whatever is not is told in one line.
func FuzzHistory(f *testing.F) {
	for _, seed := range []string{"a=1", "a=1,1h", "a,b==1,1h,1GiB", "=", "*=0", `\=3`, "a=1,,"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e := Engine{History: []string{text}}
		for _, problem := range e.historyProblems() {
			if strings.Contains(problem.Error(), "\n") {
				t.Errorf("%q: more than a line: %q", text, problem)
			}
		}
		for _, kind := range e.Retentions() {
			if kind.Messages <= 0 || kind.Age <= 0 || kind.Bytes <= 0 || !named(kind.Name[:min(len(kind.Name), maxName)]) {
				t.Errorf("%q became %+v", text, kind)
			}
		}
	})
}
