package server_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"parley/config"
	"parley/imtest"
	"parley/server"
	"parley/xmpp/xml"
)

// settings are those that imtest starts a server with, and others.
func settings(t *testing.T, given ...string) config.Config {
	t.Helper()
	args := map[string]config.Arg{"auth.iterations": {Text: "4096"}, "limits.rates": {Text: "false"}, "data": {Text: "/nowhere"}, "listen": {Text: "127.0.0.1"}}
	for i := 0; i < len(given); i += 2 {
		args[given[i]] = config.Arg{Text: given[i+1], Name: given[i]}
	}
	c, err := config.Load(config.Sources{Args: args})
	if err != nil {
		t.Fatal(err)
	}
	c.Port = 0 // as imtest has it
	return c
}

// ask sends an iq and returns its answer.
func ask(c *imtest.Client, iq string) *xml.Element {
	c.Send(iq)
	return c.Read()
}

// What was reloaded counts for connections to come, or at once, as Reload says; who was connected stays as he was.
func TestReload(t *testing.T) {
	s := imtest.Start(t, imtest.Options{Transport: imtest.TLS, Settings: map[string]string{"timeout": "300", "limits.sessions": "2"}})
	s.Account("alice", "bob")
	alice := s.Online(t, "alice/a")
	reload := func(taken, later []string, given ...string) {
		t.Helper()
		r, err := s.Reload(settings(t, given...))
		if err != nil || !slices.Equal(r.Taken, taken) || !slices.Equal(r.Later, later) || r.Key != "" {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	const about = "<iq type='get' to='localhost' id='d'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
	features := func() string {
		return s.Open(t).Features.String()
	}
	if got := features(); !strings.Contains(got, "iq-register") {
		t.Fatalf("registration is not offered: %s", got)
	}
	reload(nil, nil, "timeout", "300", "limits.sessions", "2")
	reload([]string{"timeout", "registration", "blocked_sender", "limits.sessions"}, []string{"archive"},
		"timeout", "60", "registration", "closed", "blocked_sender", "discreet", "limits.sessions", "1", "archive", "off")
	if got := features(); strings.Contains(got, "iq-register") {
		t.Errorf("registration is still offered: %s", got)
	}
	if got := ask(alice, about).String(); !strings.Contains(got, "<value>60</value>") {
		t.Errorf("the server says of its timeout %s", got)
	}
	second := s.Open(t)
	if err := second.SignIn("alice", imtest.Password); err != nil {
		t.Fatal(err)
	}
	second.Begin()
	if got := ask(second, "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>").String(); !strings.Contains(got, "resource-constraint") {
		t.Errorf("a second session: %s", got)
	}
	bob := s.Online(t, "bob/b")
	ask(bob, "<iq type='set' id='x'><block xmlns='urn:xmpp:blocking'><item jid='alice@localhost'/></block></iq>")
	alice.Drain()
	alice.Send("<message to='bob@localhost' type='chat' id='m'><body>hi</body></message>")
	if got := alice.Read().String(); !strings.Contains(got, "service-unavailable") || strings.Contains(got, "blocked you") {
		t.Errorf("a blocked sender hears %s", got)
	}
	// What the restart is for is said each time, and what is as it was at the start is a change too.
	reload([]string{"timeout", "registration", "blocked_sender", "limits.sessions"}, []string{"domain"},
		"timeout", "300", "limits.sessions", "2", "domain", "other.example")
}

// TestReloadRecorded: what the data directory has recorded is no change when nobody asks for something else.
func TestReloadRecorded(t *testing.T) {
	s := imtest.Start(t, imtest.Options{Settings: map[string]string{"contacts": "roster", "domain": "chat.example"}})
	if r, err := s.Reload(settings(t)); err != nil || len(r.Taken)+len(r.Later) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := s.Reload(settings(t, "contacts", "everyone")); err != nil || !slices.Equal(r.Later, []string{"contacts"}) {
		t.Errorf("asked for: %+v, %v", r, err)
	}
}

// A certificate that cannot be read leaves all as it was.
func TestReloadBadCertificate(t *testing.T) {
	s := imtest.Start(t, imtest.Options{Transport: imtest.TLS, Settings: map[string]string{"timeout": "300"}})
	name := filepath.Join(t.TempDir(), "x.pem")
	if err := os.WriteFile(name, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	bad := settings(t, "timeout", "60", "tls.cert", name, "tls.key", name)
	if r, err := s.Reload(bad); err == nil {
		t.Fatalf("%+v", r)
	}
	if r, err := s.Reload(settings(t, "timeout", "60")); err != nil || !slices.Equal(r.Taken, []string{"timeout"}) {
		t.Errorf("after that %+v, %v", r, err)
	}
	if _, err := server.KeyFingerprint(bad); err == nil {
		t.Error("a file without a certificate has a fingerprint")
	}
}

// The order in which extensions see a stanza is the same as that of a server that serves.
func TestExtensions(t *testing.T) {
	list, err := server.Extensions(t.Context(), settings(t))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, x := range list {
		names = append(names, x.Name)
	}
	if at := slices.Index(names, "archive"); names[0] != "roster" || at < 0 || names[len(names)-1] != "disco" {
		t.Errorf("the order is %v", names)
	}
}
