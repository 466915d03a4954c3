package sasl

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"parley/xmpp/jid"
)

const domain = "example.com"

// accounts is a look-up with made-up credentials for unknown names and a counter.
type accounts struct {
	known map[string]Credentials
	fake  Credentials
	asked []string
	err   error
}

func newAccounts(t testing.TB) *accounts {
	t.Helper()
	make := func(password string) Credentials {
		c, err := NewCredentials(password, MinIterations)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	return &accounts{
		known: map[string]Credentials{"alice": make("correct horse"), "émile": make("\U0001f40e battery")},
		fake:  make("nobody knows this one"),
	}
}

func (a *accounts) lookup(name string) (Credentials, error) {
	a.asked = append(a.asked, name)
	if a.err != nil {
		return Credentials{}, a.err
	}
	if c, ok := a.known[name]; ok {
		return c, nil
	}
	return a.fake, nil
}

// run lets both sides talk until one of them ends it.
func run(c *Client, s *Server) (clientDone, serverDone bool, clientErr, serverErr error) {
	var in []byte
	for range 4 {
		var out []byte
		if out, clientDone, clientErr = c.Step(in); clientErr != nil || clientDone {
			return clientDone, serverDone, clientErr, nil
		}
		if in, serverDone, serverErr = s.Step(out); serverErr != nil {
			return false, serverDone, nil, serverErr
		}
	}
	return clientDone, serverDone, errors.New("no end"), nil
}

// TestVector is the example of RFC 7677 §3.
func TestVector(t *testing.T) {
	const (
		c1 = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
		s1 = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
		c2 = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
		s2 = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
	)
	c, err := newClient("user", "pencil", "", func() string { return "rOprNGfwEbeRWgbNEkqO" })
	if err != nil {
		t.Fatal(err)
	}
	salt, _ := Decode("W22ZaJ0SNY7soEsUEjb6gQ==")
	stored, err := c.who.GetStoredCredentialsWithError(Credentials{Salt: salt, Iterations: 4096}.stored().KeyFactors)
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(Mechanism, domain, func(string) (Credentials, error) {
		return Credentials{Salt: salt, StoredKey: stored.StoredKey, ServerKey: stored.ServerKey, Iterations: 4096}, nil
	}, func() string { return "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0" })
	for i, want := range []string{c1, s1, c2, s2} {
		step, in := c.Step, []byte(nil)
		if i%2 == 1 {
			step = s.Step
		}
		if i > 0 {
			in = []byte([]string{c1, s1, c2}[i-1])
		}
		if got, done, err := step(in); err != nil || string(got) != want || done != (i == 3) {
			t.Fatalf("step %d: %q, %v, %v, want %q", i, got, done, err, want)
		}
	}
	if _, done, err := c.Step([]byte(s2)); !done || err != nil {
		t.Fatalf("the server's signature: %v, %v", done, err)
	}
}

func TestExchange(t *testing.T) {
	a := newAccounts(t)
	for _, tc := range []struct {
		name, password, authzid string
		want                    error
	}{
		{"alice", "correct horse", "", nil},
		{"Alice", "correct horse", "", nil},
		{"alice", "correct horse", "alice", nil},
		{"alice", "correct horse", "ALICE", nil},
		{"alice", "correct horse", "alice@example.com", nil},
		{"alice", "correct horse", "Alice@EXAMPLE.com.", nil},
		{"ÉMILE", "\U0001f40e battery", "émile@example.com", nil},
		{"alice", "wrong horse", "", ErrProof},
		{"nobody", "correct horse", "", ErrProof},
		{"alice", "wrong horse", "bob", ErrAuthzid},
		{"alice", "correct horse", "bob", ErrAuthzid},
		{"alice", "correct horse", "bob@example.com", ErrAuthzid},
		{"alice", "correct horse", "alice@example.net", ErrAuthzid},
		{"alice", "correct horse", "alice@example.com/x", ErrAuthzid},
		{"alice", "correct horse", "example.com", ErrAuthzid},
		{"alice", "correct horse", "admin@", ErrAuthzid},
		{"alice", "correct horse", "@example.com", ErrAuthzid},
		{"alice", "correct horse", "a b", ErrAuthzid},
		{"nobody", "correct horse", "bob", ErrAuthzid},
	} {
		c, err := NewClient(tc.name, tc.password, tc.authzid)
		if err != nil {
			t.Fatal(err)
		}
		s := NewServer(Mechanism, domain, a.lookup)
		clientDone, serverDone, clientErr, serverErr := run(c, s)
		if clientErr != nil || !errors.Is(serverErr, tc.want) {
			t.Errorf("%q %q as %q: %v, %v, want %v", tc.name, tc.password, tc.authzid, clientErr, serverErr, tc.want)
		}
		if good := tc.want == nil; clientDone != good || serverDone != good {
			t.Errorf("%q %q as %q: client done %v, server done %v", tc.name, tc.password, tc.authzid, clientDone, serverDone)
		}
		if local, _ := jid.Localpart(tc.name); tc.want != ErrAuthzid && s.Name() != local {
			t.Errorf("the name is %q, want %q", s.Name(), local)
		}
	}
	for _, name := range a.asked {
		if name != "alice" && name != "émile" && name != "nobody" {
			t.Errorf("asked for %q", name)
		}
	}
}

// TestUnknownLooksKnown: all that an onlooker sees of the first answer is the same in kind and length.
func TestUnknownLooksKnown(t *testing.T) {
	a := newAccounts(t)
	var lengths []int
	for _, name := range []string{"alice", "nobody"} {
		s := NewServer(Mechanism, domain, a.lookup)
		out, done, err := s.Step([]byte("n,,n=" + name + ",r=abc"))
		if err != nil || done || !strings.HasPrefix(string(out), "r=abc") || !strings.HasSuffix(string(out), ",i=4096") {
			t.Fatalf("%s: %q, %v, %v", name, out, done, err)
		}
		lengths = append(lengths, len(out))
	}
	if lengths[0] != lengths[1] {
		t.Errorf("challenges of %v bytes", lengths)
	}
}

func TestServerFirst(t *testing.T) {
	locked := errors.New("locked")
	for _, tc := range []struct {
		in   string
		want error
	}{
		{"n,,n=alice,r=abc", nil},
		{"y,,n=alice,r=abc", nil},
		{"n,,n=alice,r=abc,x=ext", nil},
		{"n,a=,n=alice,r=abc", nil},
		{"n,a=alice,n=alice,r=abc", nil},
		{"n,a=alice@example.com,n=alice,r=abc", nil},
		{"p=tls-exporter,,n=alice,r=abc", ErrBinding},
		{"p=anything,,n=alice,r=abc", ErrBinding},
		{"p=,,", ErrBinding},
		{"n,a=bob,n=alice,r=abc", ErrAuthzid},
		{"n,a=al=2Cice,n=alice,r=abc", ErrAuthzid},
		{"n,,n=,r=abc", ErrName},
		{"n,,n=a b,r=abc", ErrName},
		{"n,,n=alice@example.com,r=abc", ErrName},
		{"n,,n=al\x00ice,r=abc", ErrName},
		{"", ErrMalformed},
		{",,,", ErrMalformed},
		{"x,,n=alice,r=abc", ErrMalformed},
		{"n,,n=alice", ErrMalformed},
		{"n,,n=alice,r=", ErrMalformed},
		{"n,,n=alice,r=a\x00b", ErrMalformed},
		{"n,,n=alice,r=a b", ErrMalformed},
		{"n,,r=abc,n=alice", ErrMalformed},
		{"n,,n=al=2cice,r=abc", ErrMalformed},
		{"n,,n=al=,r=abc", ErrMalformed},
		{"n,,m=x,n=alice,r=abc", ErrMalformed},
		{"n,b=x,n=alice,r=abc", ErrMalformed},
		{"n,a=\xff,n=alice,r=abc", ErrMalformed},
		{"n,,n=\xff,r=abc", ErrMalformed},
		{"n,,n=alice,r=" + strings.Repeat("a", maxMessage), ErrMalformed},
	} {
		s := NewServer(Mechanism, domain, newStub(nil))
		out, done, err := s.Step([]byte(tc.in))
		if done || !errors.Is(err, tc.want) || (err == nil) != (out != nil) {
			t.Errorf("%.60q: %q, %v, %v, want %v", tc.in, out, done, err, tc.want)
		}
		if err == nil {
			continue
		}
		if _, _, err := s.Step([]byte("n,,n=alice,r=abc")); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.60q: it goes on after the error: %v", tc.in, err)
		}
	}
	s := NewServer(Mechanism, domain, newStub(locked))
	if out, _, err := s.Step([]byte("n,,n=Alice,r=abc")); out != nil || !errors.Is(err, locked) || s.Name() != "alice" {
		t.Errorf("a look-up that refuses: %q, %v, %q", out, err, s.Name())
	}
}

func newStub(err error) Lookup {
	return func(string) (Credentials, error) {
		return Credentials{Salt: make([]byte, 16), StoredKey: make([]byte, 32), ServerKey: make([]byte, 32), Iterations: 4096}, err
	}
}

func TestNoInitialResponse(t *testing.T) {
	s := NewServer(Mechanism, domain, newStub(nil))
	if out, done, err := s.Step(nil); out == nil || len(out) != 0 || done || err != nil {
		t.Fatalf("%#v, %v, %v", out, done, err)
	}
	if out, _, err := s.Step([]byte("n,,n=alice,r=abc")); out == nil || err != nil {
		t.Fatalf("%q, %v", out, err)
	}
	s = NewServer(Mechanism, domain, newStub(nil))
	if _, _, err := s.Step(nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Step(nil); !errors.Is(err, ErrMalformed) {
		t.Fatalf("nothing twice: %v", err)
	}
}

func TestServerFinal(t *testing.T) {
	proof := strings.Repeat("A", 43) + "="
	for _, tc := range []struct {
		final string // %s is the nonce
		want  error
	}{
		{"c=biws,r=%s,p=" + proof, ErrProof},
		{"c=biws,r=%s,x=ext,p=" + proof, ErrProof},
		{"c=eSws,r=%s,p=" + proof, ErrBinding},
		{"c=biwsYQ==,r=%s,p=" + proof, ErrBinding},
		{"c=biws,r=%sx,p=" + proof, ErrMalformed},
		{"c=biws,r=abc,p=" + proof, ErrMalformed},
		{"c=biws,r=%s,p=AAAA", ErrMalformed},
		{"c=biws,r=%s,p=", ErrMalformed},
		{"c=biws,r=%s", ErrMalformed},
		{"r=%s,c=biws,p=" + proof, ErrMalformed},
		{"c=biws,r=%s,p=!" + proof, ErrMalformed},
		{"\xff", ErrMalformed},
		{"", ErrMalformed},
	} {
		s := newServer(Mechanism, domain, newStub(nil), func() string { return "def" })
		if _, _, err := s.Step([]byte("n,,n=alice,r=abc")); err != nil {
			t.Fatal(err)
		}
		final := strings.ReplaceAll(tc.final, "%s", "abcdef")
		out, done, err := s.Step([]byte(final))
		if out != nil || done || !errors.Is(err, tc.want) {
			t.Errorf("%q: %q, %v, %v, want %v", final, out, done, err, tc.want)
		}
		if tc.want != ErrProof && errors.Is(err, ErrProof) {
			t.Errorf("%q counts as a wrong password", final)
		}
	}
}

func TestClientRefuses(t *testing.T) {
	salt := "W22ZaJ0SNY7soEsUEjb6gQ=="
	for _, tc := range []struct {
		first string
		want  error
	}{
		{"r=abcdef,s=" + salt + ",i=4096", nil},
		{"r=abcdef,s=" + salt + ",i=4096,x=ext", nil},
		{"r=abcdef,s=" + salt + ",i=1", ErrIterations},
		{"r=abcdef,s=" + salt + ",i=4095", ErrIterations},
		{"r=abcdef,s=" + salt + ",i=5000001", ErrIterations},
		{"r=abcdef,s=" + salt + ",i=4294967296", ErrIterations},
		{"r=abcdef,s=" + salt + ",i=99999999999999999999999", ErrIterations},
		{"r=abcdef,s=" + salt + ",i=-4096", ErrMalformed},
		{"r=abcdef,s=" + salt + ",i=+4096", ErrMalformed},
		{"r=abcdef,s=" + salt + ",i=", ErrMalformed},
		{"r=abcdef,s=" + salt, ErrMalformed},
		{"r=abcdef,s=,i=4096", ErrMalformed},
		{"r=abcdef,s=!,i=4096", ErrMalformed},
		{"r=abc,s=" + salt + ",i=4096", ErrMalformed}, // the server added nothing
		{"r=abdef,s=" + salt + ",i=4096", ErrMalformed},
		{"m=x,r=abcdef,s=" + salt + ",i=4096", ErrMalformed},
		{"e=other-error", ErrMalformed},
		{"", ErrMalformed},
		{"\xff", ErrMalformed},
	} {
		c, err := newClient("alice", "pencil-pencil", "", func() string { return "abc" })
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Step(nil); err != nil {
			t.Fatal(err)
		}
		out, done, err := c.Step([]byte(tc.first))
		if done || !errors.Is(err, tc.want) || (err == nil) != (out != nil) {
			t.Errorf("%q: %q, %v, %v, want %v", tc.first, out, done, err, tc.want)
		}
		if err != nil {
			continue
		}
		for _, final := range []string{"", "v=", "v=AAAA", "v=" + strings.Repeat("A", 43) + "="} {
			again := *c
			conv := *c.conv
			again.conv = &conv
			if _, done, err := again.Step([]byte(final)); done || !errors.Is(err, ErrSignature) {
				t.Errorf("server-final-message %q: %v, %v", final, done, err)
			}
		}
		if _, done, err := c.Step([]byte("e=invalid-proof")); done || !errors.Is(err, ErrProof) {
			t.Errorf("an error of the server: %v, %v", done, err)
		}
	}
	if _, err := NewClient("a b", "pencil-pencil", ""); !errors.Is(err, ErrName) {
		t.Errorf("a bad name: %v", err)
	}
	if _, err := NewClient("alice", "a\x00b", ""); !errors.Is(err, ErrPassword) {
		t.Errorf("a bad password: %v", err)
	}
}

func TestAgain(t *testing.T) {
	a := newAccounts(t)
	c, _ := NewClient("alice", "correct horse", "")
	for range 3 {
		if done, _, clientErr, serverErr := run(c, NewServer(Mechanism, domain, a.lookup)); !done || clientErr != nil || serverErr != nil {
			t.Fatalf("%v, %v, %v", done, clientErr, serverErr)
		}
		if _, _, err := c.Step(nil); !errors.Is(err, ErrMalformed) {
			t.Fatalf("it goes on after its end: %v", err)
		}
		c = c.Again()
	}
}

func FuzzServer(f *testing.F) {
	f.Add("n,,n=alice,r=abc", "c=biws,r=abcdef,p="+strings.Repeat("A", 43)+"=")
	f.Add("y,a=alice@example.com,n=alice,r=abc,x=y", "c=biws,r=abcdef,z=1,p=AAAA")
	f.Add("p=tls-exporter,,n==2C,r=abc", "e=x")
	lookup := newStub(nil)
	f.Fuzz(func(t *testing.T, first, final string) {
		s := newServer(Mechanism, domain, lookup, func() string { return "def" })
		out, done, err := s.Step([]byte(first))
		if done || (err == nil) != (out != nil) {
			t.Fatalf("first: %q, %v, %v", out, done, err)
		}
		if out, done, err := s.Step([]byte(final)); done {
			t.Fatalf("let in: %q, %v", out, err)
		} else if local, e := jid.Localpart(s.Name()); s.Name() != "" && (e != nil || local != s.Name()) {
			t.Fatalf("the name %q is not normalised", s.Name())
		}
	})
}

func FuzzClient(f *testing.F) {
	f.Add("r=abcdef,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "v="+strings.Repeat("A", 43)+"=")
	f.Add("r=abcdef,s=AA==,i=4097,x=y", "e=invalid-proof")
	c, err := newClient("alice", "pencil-pencil", "", func() string { return "abc" })
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, first, final string) {
		if n := strings.Count(first, "i="); n == 0 || strings.Contains(first, "i=409") {
			c := c.Again()
			if _, _, err := c.Step(nil); err != nil {
				t.Fatal(err)
			}
			if out, done, err := c.Step([]byte(first)); done || (err == nil) != (out != nil) {
				t.Fatalf("first: %q, %v, %v", out, done, err)
			}
			if _, done, _ := c.Step([]byte(final)); done {
				t.Fatal("the client believes it")
			}
		}
	})
}

func BenchmarkServer(b *testing.B) {
	a := newAccounts(b)
	c, _ := NewClient("alice", "correct horse", "")
	b.ReportAllocs()
	for b.Loop() {
		c = c.Again()
		if done, _, clientErr, serverErr := run(c, NewServer(Mechanism, domain, a.lookup)); !done {
			b.Fatal(fmt.Errorf("%w, %w", clientErr, serverErr))
		}
	}
}
