package c2s_test

import (
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"parley/c2s"
	"parley/imtest"
	"parley/store"
	"parley/store/memory"
	"parley/xmpp/sasl"
	"parley/xmpp/stream"
)

// startLegacy starts a server that lets old apps sign in.
func startLegacy(t *testing.T, tr imtest.Transport, engine store.Engine) *imtest.Server {
	t.Helper()
	return imtest.Start(t, imtest.Options{Transport: tr, Settings: map[string]string{"auth.legacy": "true"}, Engine: engine})
}

func authMessage(mechanism, text string) string {
	return "<auth xmlns='" + stream.NSSASL + "' mechanism='" + mechanism + "'>" + sasl.Encode([]byte(text)) + "</auth>"
}

func mechanisms(names ...string) string {
	return "<mechanisms xmlns='" + stream.NSSASL + "'><mechanism>" + strings.Join(names, "</mechanism><mechanism>") + "</mechanism></mechanisms>"
}

// with signs in with a mechanism and returns what the server says last.
func (p *peer) with(mechanism, name, password string) string {
	p.t.Helper()
	switch mechanism {
	case sasl.Mechanism:
		return p.attempt(name, password)
	case sasl.Plain:
		p.send(authMessage(sasl.Plain, "\x00"+name+"\x00"+password))
		return p.element()
	}
	who, err := scram.SHA1.NewClientUnprepped(name, password, "")
	if err != nil {
		p.t.Fatal(err)
	}
	x := who.NewConversation()
	first, _ := x.Step("")
	p.send(authMessage(mechanism, first))
	answer := p.element()
	text, ok := strings.CutPrefix(answer, "<challenge xmlns='"+stream.NSSASL+"'>")
	if !ok {
		return answer
	}
	in, err := sasl.Decode(strings.TrimSuffix(text, "</challenge>"))
	if err != nil {
		p.t.Fatal(err)
	}
	proof, err := x.Step(string(in))
	if err != nil {
		p.t.Fatal(err)
	}
	p.send(proofMessage(proof))
	answer = p.element()
	if text, ok := strings.CutPrefix(answer, "<success xmlns='"+stream.NSSASL+"'>"); ok {
		end, _ := sasl.Decode(strings.TrimSuffix(text, "</success>"))
		if _, err := x.Step(string(end)); err != nil {
			p.t.Errorf("%s: the server's signature: %v", mechanism, err)
		}
	}
	return answer
}

// TestLegacyOffer: the old mechanisms are there when they were asked for, inside TLS, behind the good one; otherwise
// not, whatever a client tries.
func TestLegacyOffer(t *testing.T) {
	all := []string{"SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"}
	for _, tr := range imtest.Transports() {
		for _, setting := range []string{"true", "false"} {
			t.Run(string(tr)+"/"+setting, func(t *testing.T) {
				s := imtest.Start(t, imtest.Options{Transport: tr, Settings: map[string]string{"auth.legacy": setting}})
				s.Account("alice")
				p := dial(t, s)
				features := p.open()
				if tr == imtest.TCP {
					if strings.Contains(features, "mechanism") {
						t.Errorf("in clear: %s", features)
					}
					p.startTLS()
					features = p.open()
				}
				offered := setting == "true" && tr != imtest.Memory && tr != imtest.Clear
				want := mechanisms(all[0])
				if offered {
					want = mechanisms(all...)
				}
				if !strings.Contains(features, want) {
					t.Errorf("offered: %s", features)
				}
				for _, name := range all[1:] {
					p := dial(t, s)
					p.toSASL()
					answer := p.with(name, "alice", imtest.Password)
					if offered && !strings.HasPrefix(answer, "<success") || !offered && !strings.Contains(answer, "<invalid-mechanism/>") {
						t.Errorf("%s: %s", name, answer)
					}
				}
			})
		}
	}
}

// TestLegacyInClear: before TLS nobody is asked for a password, and nobody who sends one is answered.
func TestLegacyInClear(t *testing.T) {
	s := startLegacy(t, imtest.TCP, nil)
	s.Account("alice")
	p := dial(t, s)
	p.open()
	p.send(authMessage(sasl.Plain, "\x00alice\x00"+imtest.Password))
	p.refused(stream.PolicyViolation)
}

// TestLegacySignIn: with each mechanism up to a session, over STARTTLS and direct TLS.
func TestLegacySignIn(t *testing.T) {
	for _, tr := range []imtest.Transport{imtest.TCP, imtest.TLS} {
		s := startLegacy(t, tr, nil)
		s.Account("alice")
		for _, mechanism := range []string{sasl.Mechanism, sasl.MechanismSHA1, sasl.Plain} {
			p := dial(t, s)
			p.toSASL()
			if answer := p.with(mechanism, "alice", "wrong password"); answer != wrongAnswer {
				t.Errorf("%s, %s: a wrong password: %s", tr, mechanism, answer)
			}
			answer := p.with(mechanism, "Alice", imtest.Password)
			if !strings.HasPrefix(answer, "<success") || mechanism == sasl.Plain && answer != "<success xmlns='"+stream.NSSASL+"'/>" {
				t.Fatalf("%s, %s: %s", tr, mechanism, answer)
			}
			p.open()
			p.bind("phone")
			p.close()
		}
	}
}

// TestPlain: what is no message of PLAIN, or one to be somebody else, is refused, and does not count as an attempt.
func TestPlain(t *testing.T) {
	s := startLegacy(t, imtest.TLS, nil)
	s.Account("alice", "bob")
	failure := func(condition, text string) string {
		if text != "" {
			text = "<text xml:lang='en'>" + text + "</text>"
		}
		return "<failure xmlns='" + stream.NSSASL + "'><" + condition + "/>" + text + "</failure>"
	}
	malformed := failure("malformed-request", "")
	other := failure("invalid-authzid", "You can only sign in as yourself.")
	for _, c := range []struct{ message, want string }{
		{"alice\x00" + imtest.Password, malformed},
		{"\x00alice\x00", malformed},
		{"\x00\x00" + imtest.Password, malformed},
		{"\x00alice\x00" + imtest.Password + "\x00", malformed},
		{"\x00alice\x00\xff\xfe", malformed},
		{"", malformed},
		{"bob\x00alice\x00" + imtest.Password, other},
		{"bob\x00alice\x00wrong", other},
		{"bob@localhost\x00alice\x00" + imtest.Password, other},
		{"alice@elsewhere.example\x00alice\x00" + imtest.Password, other},
		{"alice@localhost/bob\x00alice\x00" + imtest.Password, other},
		{"admin@\x00alice\x00" + imtest.Password, other},
		{"\u0430lice\x00alice\x00" + imtest.Password, other},
		{"\x00@\x00" + imtest.Password, wrongAnswer},
	} {
		p := dial(t, s)
		p.toSASL()
		p.send(authMessage(sasl.Plain, c.message))
		if answer := p.element(); answer != c.want {
			t.Errorf("%q: %s, want %s", c.message, answer, c.want)
		}
		p.close()
	}
	for _, authzid := range []string{"", "alice", "ALICE", "alice@localhost", "Alice@LocalHost"} {
		p := dial(t, s)
		p.toSASL()
		p.send(authMessage(sasl.Plain, authzid+"\x00alice\x00"+imtest.Password))
		if answer := p.element(); !strings.HasPrefix(answer, "<success") {
			t.Errorf("as %q: %s", authzid, answer)
		}
		p.close()
	}
	// What comes without the message is asked for it with an empty challenge, once.
	p := dial(t, s)
	p.toSASL()
	begin := "<auth xmlns='" + stream.NSSASL + "' mechanism='PLAIN'/>"
	p.send(begin)
	p.get("<challenge xmlns='" + stream.NSSASL + "'/>")
	p.send("<response xmlns='" + stream.NSSASL + "'/>")
	if answer := p.element(); answer != malformed {
		t.Errorf("an empty response: %s", answer)
	}
	p.send(begin)
	p.get("<challenge xmlns='" + stream.NSSASL + "'/>")
	p.send("<abort xmlns='" + stream.NSSASL + "'/>")
	if answer := p.element(); answer != failure("aborted", "") {
		t.Errorf("abort: %s", answer)
	}
	p.send("<auth xmlns='" + stream.NSSASL + "' mechanism='PLAIN'>%%%</auth>")
	if answer := p.element(); answer != failure("incorrect-encoding", "") {
		t.Errorf("no base64: %s", answer)
	}
	p.send(begin)
	p.get("<challenge xmlns='" + stream.NSSASL + "'/>")
	p.send(proofMessage("\x00alice\x00" + imtest.Password))
	if answer := p.element(); !strings.HasPrefix(answer, "<success") {
		t.Errorf("in a response: %s", answer)
	}
}

// TestLegacyAuthzid: SCRAM-SHA-1 lets nobody be somebody else either.
func TestLegacyAuthzid(t *testing.T) {
	s := startLegacy(t, imtest.TLS, nil)
	s.Account("alice", "bob")
	p := dial(t, s)
	p.toSASL()
	p.send(authMessage(sasl.MechanismSHA1, "n,a=bob,n=alice,r=abc"))
	if answer := p.element(); !strings.Contains(answer, "<invalid-authzid/>") {
		t.Error(answer)
	}
	p.send(authMessage(sasl.MechanismSHA1, "p=tls-exporter,,n=alice,r=abc"))
	if answer := p.element(); !strings.Contains(answer, "<malformed-request/>") {
		t.Errorf("channel binding: %s", answer)
	}
}

// TestLegacyLockout: all mechanisms count together, and who is locked out is told the same with all of them, whether
// the password is right or not, and whether there is an account or not.
func TestLegacyLockout(t *testing.T) {
	s := startLegacy(t, imtest.TLS, nil)
	s.Account("alice")
	seconds := regexp.MustCompile(`in \d+ seconds`)
	told := map[string]bool{}
	for _, name := range []string{"alice", "nobody"} {
		p := dial(t, s)
		p.toSASL()
		for _, mechanism := range []string{sasl.Plain, sasl.MechanismSHA1} {
			if answer := p.with(mechanism, name, "wrong password"); answer != wrongAnswer {
				t.Fatalf("%s, %s: %s", name, mechanism, answer)
			}
		}
		if answer := p.with(sasl.Plain, name, "wrong password"); !strings.HasPrefix(answer, lockAnswer) {
			t.Fatalf("%s: the third wrong password: %s", name, answer)
		}
		p.refused(stream.PolicyViolation)
		for _, mechanism := range []string{sasl.Mechanism, sasl.MechanismSHA1, sasl.Plain} {
			for _, password := range []string{imtest.Password, "wrong password"} {
				p := dial(t, s)
				p.toSASL()
				told[seconds.ReplaceAllString(p.with(mechanism, name, password), "in * seconds")] = true
				p.refused(stream.PolicyViolation)
			}
		}
	}
	if len(told) != 1 {
		t.Errorf("who is locked out is told %v", told)
	}
	near, far := net.Pipe() // another source
	s.Clients().Carry(t.Context(), far, c2s.Insecure)
	p := newPeer(t, near)
	p.toSASL()
	p.signIn("alice")
}

// talk tries a wrong password four times with SCRAM-SHA-1; it returns what the server said, without what is random, and
// the salts.
func talk(t *testing.T, s *imtest.Server, name string) (said, salts string) {
	t.Helper()
	random := regexp.MustCompile(`r=[^,]*,s=([^,]*),|id='[^']*'|in \d+ seconds`)
	for range 2 {
		p := dial(t, s)
		p.toSASL()
		for range 2 {
			p.send(authMessage(sasl.MechanismSHA1, "n,,n="+name+",r=abcdefgh"))
			answer := p.element()
			if text, ok := strings.CutPrefix(answer, "<challenge xmlns='"+stream.NSSASL+"'>"); ok {
				in, _ := sasl.Decode(strings.TrimSuffix(text, "</challenge>"))
				challenge := string(in)
				salts += random.FindStringSubmatch(challenge)[1] + " "
				said += random.ReplaceAllStringFunc(challenge, func(s string) string { return strings.Repeat("*", len(s)) }) + "\n"
				nonce := strings.TrimPrefix(strings.Split(challenge, ",")[0], "r=")
				p.send(proofMessage("c=biws,r=" + nonce + ",p=AAAAAAAAAAAAAAAAAAAAAAAAAAA="))
				answer = p.element()
			}
			said += random.ReplaceAllString(answer, "*") + "\n"
			if strings.HasPrefix(answer, lockAnswer) {
				return said, salts
			}
		}
		p.close()
	}
	return said, salts
}

// TestLacking: an account from before auth.legacy was on looks, to SCRAM-SHA-1, like a name without an account, and such
// tries lock nobody out; one sign-in with PLAIN makes it like all others. Without auth.legacy that is forgotten.
func TestLacking(t *testing.T) {
	engine := memory.New()
	s := imtest.Start(t, imtest.Options{Engine: engine})
	s.Account("alice", "bob")
	s.Stop()

	s = startLegacy(t, imtest.TLS, engine)
	if n := s.Facts().Lacking; n != 2 {
		t.Errorf("%d accounts lack a verifier", n)
	}
	alice, salts := talk(t, s, "alice")
	nobody, _ := talk(t, s, "nobody")
	if alice != nobody || strings.Count(alice, wrongAnswer) != 4 {
		t.Errorf("alice is told\n%s\nand nobody\n%s", alice, nobody)
	}
	if salt := strings.Fields(salts); len(salt) != 4 || salt[0] != salt[3] {
		t.Errorf("the salts: %v", salt)
	}
	in := func(mechanism, name string) string {
		p := dial(t, s)
		p.toSASL()
		defer p.close()
		return p.with(mechanism, name, imtest.Password)
	}
	if answer := in(sasl.MechanismSHA1, "alice"); answer != wrongAnswer {
		t.Errorf("the right password without a verifier: %s", answer)
	}
	for _, mechanism := range []string{sasl.Mechanism, sasl.Plain, sasl.MechanismSHA1} {
		if answer := in(mechanism, "alice"); !strings.HasPrefix(answer, "<success") {
			t.Errorf("%s: %s", mechanism, answer)
		}
	}
	if err := s.Accounts().SetPassword(t.Context(), "bob", imtest.Password); err != nil {
		t.Fatal(err)
	}
	alice, _ = talk(t, s, "alice") // now everybody has a verifier, and everybody's tries count
	nobody, _ = talk(t, s, "nobody")
	if alice != nobody || strings.Count(alice, wrongAnswer) != 2 || !strings.Contains(alice, "<temporary-auth-failure/>") {
		t.Errorf("alice is told\n%s\nand nobody\n%s", alice, nobody)
	}
	s.Stop()

	s = imtest.Start(t, imtest.Options{Engine: engine})
	if s.Accounts().HasSHA1("alice") || s.Accounts().HasSHA1("bob") || s.Accounts().Lacking() != 2 {
		t.Error("verifiers for SCRAM-SHA-1 are kept without auth.legacy")
	}
}
