package sasl

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/xdg-go/scram"

	"parley/xmpp/jid"
)

// TestVectorSHA1 is the example of RFC 5802 §5.
func TestVectorSHA1(t *testing.T) {
	salt, _ := Decode("QSXCR+Q6sek8bf92")
	c, err := derive(MechanismSHA1, "pencil", salt, 4096)
	if err != nil || len(c.StoredKey) != 20 || len(c.ServerKey) != 20 {
		t.Fatalf("%d and %d bytes, %v", len(c.StoredKey), len(c.ServerKey), err)
	}
	s := newServer(MechanismSHA1, domain, func(string) (Credentials, error) { return c, nil }, func() string { return "3rfcNHYJY1ZVvWVs7j" })
	for i, step := range []struct{ in, out string }{
		{"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL", "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"},
		{"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
	} {
		if out, done, err := s.Step([]byte(step.in)); err != nil || string(out) != step.out || done != (i == 1) {
			t.Fatalf("step %d: %q, %v, %v", i, out, done, err)
		}
	}
}

// TestSHA1 is a whole exchange, with what NewCredentialsSHA1 makes.
func TestSHA1(t *testing.T) {
	known, err := NewCredentialsSHA1("correct horse", MinIterations)
	if err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]error{"correct horse": nil, "wrong horse": ErrProof} {
		who, _ := scram.SHA1.NewClientUnprepped("alice", password, "")
		c := who.NewConversation()
		s := NewServer(MechanismSHA1, domain, func(string) (Credentials, error) { return known, nil })
		first, _ := c.Step("")
		challenge, _, err := s.Step([]byte(first))
		if err != nil {
			t.Fatal(err)
		}
		proof, _ := c.Step(string(challenge))
		end, done, err := s.Step([]byte(proof))
		if !errors.Is(err, want) || done != (want == nil) {
			t.Errorf("%s: %v, %v", password, done, err)
		}
		if _, err := c.Step(string(end)); want == nil && err != nil {
			t.Errorf("the server's signature: %v", err)
		}
	}
}

func TestCheck(t *testing.T) {
	c, err := NewCredentials("pass\u00a0word \u2168", MinIterations)
	if err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]error{
		"pass\u00a0word \u2168": nil, "pass word IX": nil, // the same by SASLprep
		"pass word": ErrProof, "": ErrProof, "\x07": ErrProof, "\xff": ErrProof,
	} {
		if err := c.Check(password); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%q: %v", password, err)
		}
	}
	sha1, _ := NewCredentialsSHA1("pass word IX", MinIterations)
	if err := sha1.Check("pass word IX"); !errors.Is(err, ErrProof) {
		t.Errorf("a verifier for another mechanism: %v", err)
	}
}

func TestReadPlain(t *testing.T) {
	long := strings.Repeat("p", 255) // RFC 4616 §2: names and passwords of 255 bytes have to be taken
	for _, tc := range []struct {
		message, name, password string
		want                    error
	}{
		{"\x00alice\x00correct horse", "alice", "correct horse", nil},
		{"\x00Alice\x00correct horse", "alice", "correct horse", nil},
		{"alice\x00alice\x00x", "alice", "x", nil},
		{"ALICE\x00alice\x00x", "alice", "x", nil},
		{"alice@example.com\x00alice\x00x", "alice", "x", nil},
		{"\x00émile\x00\U0001f40e", "émile", "\U0001f40e", nil},
		{"\x00" + long + "\x00" + long, long, long, nil},
		{"\x00alice\x00\u00a0", "alice", "\u00a0", nil}, // Check prepares it
		{"bob\x00alice\x00x", "", "", ErrAuthzid},
		{"bob@example.com\x00alice\x00x", "", "", ErrAuthzid},
		{"alice@example.net\x00alice\x00x", "", "", ErrAuthzid},
		{"alice@example.com/x\x00alice\x00x", "", "", ErrAuthzid},
		{"admin@\x00alice\x00x", "", "", ErrAuthzid},
		{"\x00a b\x00x", "", "", ErrName},
		{"\x00alice@example.com\x00x", "", "", ErrName},
		{"", "", "", ErrMalformed},
		{"alice", "", "", ErrMalformed},
		{"\x00alice", "", "", ErrMalformed},
		{"alice\x00password", "", "", ErrMalformed},
		{"\x00\x00", "", "", ErrMalformed},
		{"\x00alice\x00", "", "", ErrMalformed},
		{"\x00\x00x", "", "", ErrMalformed},
		{"\x00alice\x00x\x00", "", "", ErrMalformed},
		{"\x00alice\x00x\x00y", "", "", ErrMalformed},
		{"\x00\x00alice\x00x", "", "", ErrMalformed},
		{"\x00alice\x00\xff", "", "", ErrMalformed},
		{"\xff\x00alice\x00x", "", "", ErrMalformed},
		{"\x00alice\x00" + strings.Repeat("p", maxMessage), "", "", ErrMalformed},
	} {
		name, password, err := ReadPlain(domain, []byte(tc.message))
		if name != tc.name || password != tc.password || !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
			t.Errorf("%.40q: %q, %q, %v, want %v", tc.message, name, password, err, tc.want)
		}
	}
}

func FuzzPlain(f *testing.F) {
	f.Add([]byte("\x00alice\x00correct horse"))
	f.Add([]byte("Alice@EXAMPLE.com\x00alice\x00x"))
	f.Add([]byte("\x00\x00\x00\xff"))
	f.Fuzz(func(t *testing.T, message []byte) {
		name, password, err := ReadPlain(domain, message)
		if err != nil {
			if name != "" || password != "" || errors.Is(err, ErrProof) {
				t.Fatalf("%q, %q beside %v", name, password, err)
			}
			return
		}
		if local, err := jid.Localpart(name); err != nil || local != name {
			t.Fatalf("the name %q is not normalised", name)
		}
		if password == "" || strings.Contains(password, "\x00") || !utf8.ValidString(password) || !strings.HasSuffix(string(message), "\x00"+password) {
			t.Fatalf("the password is %q", password)
		}
	})
}
