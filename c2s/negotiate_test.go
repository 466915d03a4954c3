package c2s_test

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"parley/imtest"
	"parley/xmpp/sasl"
	"parley/xmpp/stream"
)

// TestNegotiation plays what is said before a session is bound. The files under testdata/negotiation have these lines;
// from # on, at the beginning of a line, is a comment:
//
//	over tcp                  only over these transports; otherwise over all
//	connect                   a new connection, with TLS where that comes first
//	to SASL                   the same, and on to where SASL is offered
//	send <…/>                 as it stands
//	open                      the header of a stream, as it should be
//	get <…/>                  this is what comes next, with nothing before it
//	later <…/>                this comes, after whatever else
//	tls                       the TLS handshake
//	auth n,,n=…               the first message of a SASL exchange, given in clear
//	respond …                 a later one; {nonce} is the nonce of the challenge
//	challenge                 a challenge comes
//	try alice words           a whole exchange with this password; what the server answers is next for get
//	sign in alice             a whole exchange that succeeds, and the stream after it
//	refused host-unknown      the stream ends with this condition
//	closed                    the stream ends, with nothing before its end
//
// In what is got, * is anything.
func TestNegotiation(t *testing.T) {
	files, err := filepath.Glob("testdata/negotiation/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dialogues (%v)", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, tr := range imtest.Transports() {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+"/"+string(tr), func(t *testing.T) {
				t.Parallel()
				s := imtest.Start(t, imtest.Options{Transport: tr})
				s.Account("alice", "bob")
				n := &negotiation{t: t, s: s, transport: tr}
				n.play(string(text))
			})
		}
	}
}

type negotiation struct {
	t         *testing.T
	s         *imtest.Server
	transport imtest.Transport
	p         *peer
	nonce     string // of the last challenge
}

func (n *negotiation) play(text string) {
	at := 0
	sc := bufio.NewScanner(strings.NewReader(text))
	for sc.Scan() {
		at++
		line := strings.TrimSpace(sc.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		if word == "over" {
			if !slices.Contains(strings.Fields(rest), string(n.transport)) {
				return
			}
			continue
		}
		n.step(word, rest)
		if n.t.Failed() {
			n.t.Fatalf("line %d: %s", at, line)
		}
	}
}

func (n *negotiation) step(word, rest string) {
	switch word {
	case "connect":
		n.p = dial(n.t, n.s)
	case "to":
		n.p = dial(n.t, n.s)
		n.p.toSASL()
	case "send":
		n.p.send(rest)
	case "open":
		n.p.send(header)
	case "get":
		n.get(rest)
	case "later":
		n.p.get(rest)
	case "tls":
		n.p.secure()
	case "auth":
		n.p.send(firstMessage(rest))
	case "respond":
		n.p.send(proofMessage(strings.ReplaceAll(rest, "{nonce}", n.nonce)))
	case "challenge":
		fields := strings.Split(n.p.challenge(), ",")
		n.nonce = strings.TrimPrefix(fields[0], "r=")
	case "try":
		name, password, _ := strings.Cut(rest, " ")
		n.p.got = n.p.attempt(name, password) + n.p.got
	case "sign":
		n.p.signIn(strings.TrimPrefix(rest, "in "))
	case "refused":
		n.p.refused(stream.Condition(rest))
	case "closed":
		if got := n.p.end(); got != "</stream:stream>" {
			n.t.Errorf("closed with %q", got)
		}
	default:
		n.t.Fatalf("%q is nothing that can be done", word)
	}
}

// get expects text next; * is anything but an end tag's beginning.
func (n *negotiation) get(text string) {
	n.t.Helper()
	for i, part := range strings.Split(text, "*") {
		if before := n.p.get(part); i == 0 && before != "" {
			n.t.Errorf("got %q before %q", before, part)
		}
	}
}

// TestHostSwitch: the name that a stream was opened to cannot be changed on the way (catalogue C7).
func TestHostSwitch(t *testing.T) {
	other := strings.Replace(header, "localhost", "elsewhere.example", 1)
	s := imtest.Start(t, imtest.Options{Transport: imtest.TCP})
	s.Account("alice")
	p := dial(t, s)
	p.open()
	p.startTLS()
	p.send(other)
	p.refused(stream.HostUnknown)

	p = dial(t, s)
	p.toSASL()
	if answer := p.attempt("alice", imtest.Password); !strings.HasPrefix(answer, "<success") {
		t.Fatal(answer)
	}
	p.send(other)
	p.refused(stream.HostUnknown)
}

// TestAuthzid: nobody signs in as somebody else, however he writes it (catalogue C7).
func TestAuthzid(t *testing.T) {
	s := imtest.Start(t, imtest.Options{Transport: imtest.TLS})
	s.Account("alice", "bob", "admin")
	for _, c := range []struct {
		authzid string
		ok      bool
	}{
		{"", true}, {"alice", true}, {"ALICE", true}, {"alice@localhost", true}, {"Alice@LocalHost", true},
		{"bob", false}, {"admin", false}, {"bob@localhost", false}, {"alice@elsewhere.example", false}, {"admin@", false},
		{"@localhost", false}, {"localhost", false}, {"alice@localhost/bob", false}, {"alice@localhost@localhost", false},
		{" alice", false}, {"alice\x00", false}, {"alice\x00bob", false}, {"\u0430lice", false}, {"bob\u200b", false},
	} {
		p := dial(t, s)
		p.toSASL()
		x, err := sasl.NewClient("alice", imtest.Password, "")
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := x.Step(nil)
		gs2 := "n,"
		if c.authzid != "" {
			gs2 += "a=" + strings.NewReplacer("=", "=3D", ",", "=2C").Replace(c.authzid)
		}
		p.send(firstMessage(gs2 + "," + strings.TrimPrefix(string(first), "n,,")))
		answer := p.element()
		if taken := strings.HasPrefix(answer, "<challenge"); taken != c.ok {
			t.Errorf("authzid %q: %s", c.authzid, answer)
		}
		if !c.ok && !strings.Contains(answer, "<invalid-authzid/>") {
			t.Errorf("authzid %q: %s", c.authzid, answer)
		}
		p.close()
	}
	p := dial(t, s)
	p.toSASL()
	p.send(firstMessage("n,a=alice\xff,n=alice,r=abc"))
	if answer := p.element(); !strings.Contains(answer, "<malformed-request/>") {
		t.Errorf("authzid that is no UTF-8: %s", answer)
	}
}
