package client

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"parley/xmpp/jid"
	"parley/xmpp/sasl"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// fake is a server that does what a test tells it: it negotiates like a real one, with twists, and then plays a script.
type fake struct {
	t      *testing.T
	domain string
	cert   tls.Certificate
	pool   *x509.CertPool
	users  map[string]string

	noTLS      bool                            // offers no STARTTLS
	tlsAnswer  string                          // instead of <proceed/>
	behind     string                          // written behind <proceed/> in the same segment
	plainFrom  string                          // domain named before TLS
	mechanisms string                          // instead of SCRAM-SHA-256
	failure    string                          // SASL failure instead of success
	success    string                          // instead of the server's proof
	register   string                          // answer of XEP-0077: "result" or an error's condition; "" = not offered
	script     func(c *stream.Conn, me string) // after bind
	managed    string                          // answer to <enable/>; "" = no stream management
	resume     func(el *xml.Element) string    // the answer to <resume/>
	headers    []stream.Header                 // of the client, in order
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{t: t, domain: "example.org", users: map[string]string{"alice": "secret"}}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	f.cert = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	f.pool = x509.NewCertPool()
	f.pool.AddCert(leaf)
	return f
}

// listen serves on loopback until the test ends.
func (f *fake) listen() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	done := make(chan struct{})
	f.t.Cleanup(func() {
		l.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			f.serve(nc)
		}
	}()
	return l.Addr().String()
}

// net serves each connection in a goroutine of its own, whatever the address. Both sides may write at once, so it is
// no net.Pipe.
func (f *fake) net(context.Context, string, string) (net.Conn, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, err
	}
	b, err := l.Accept()
	if err != nil {
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.serve(b)
	}()
	f.t.Cleanup(func() { a.Close(); <-done })
	return a, nil
}

// config of a client that trusts the fake.
func (f *fake) config() Config {
	return Config{HostPort: "127.0.0.1:5222", User: "alice", Password: "secret", Net: f.net, Trust: func(Key) error { return nil }}
}

func (f *fake) serve(nc net.Conn) {
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	c := stream.New(nc, xml.Limits{Bytes: 1 << 20})
	if err := f.negotiate(c); err != nil {
		return
	}
	if f.script != nil {
		f.script(c, "alice@"+f.domain+"/r1")
		return
	}
	f.idle(c)
}

// idle answers pings until the client leaves.
func (f *fake) idle(c *stream.Conn) {
	for {
		el, err := c.Read()
		if err != nil {
			_ = c.End()
			return
		}
		if el.Name.Local == "iq" {
			f.answer(c, el, "")
		}
	}
}

func (f *fake) answer(c *stream.Conn, el *xml.Element, payload string) {
	from := ""
	if to := el.Attr("to"); to != "" {
		from = " from='" + to + "'"
	}
	f.write(c, "<iq type='result' id='"+el.Attr("id")+"'"+from+">"+payload+"</iq>")
}

func (f *fake) write(c *stream.Conn, s string) { _ = c.Write([]byte(s)) }

func (f *fake) open(c *stream.Conn, from, features string) error {
	h, err := c.Header()
	if err != nil {
		return err
	}
	f.headers = append(f.headers, h)
	if err := c.Open(stream.Header{From: from, ID: "s", Lang: "en"}); err != nil {
		return err
	}
	return c.Write([]byte("<stream:features>" + features + "</stream:features>"))
}

func (f *fake) negotiate(c *stream.Conn) error {
	plain := f.domain
	if f.plainFrom != "" {
		plain = f.plainFrom
	}
	offer := "<starttls xmlns='" + stream.NSTLS + "'><required/></starttls>"
	if f.noTLS {
		offer = "<mechanisms xmlns='" + stream.NSSASL + "'><mechanism>SCRAM-SHA-256</mechanism><mechanism>PLAIN</mechanism></mechanisms>"
	}
	if err := f.open(c, plain, offer); err != nil {
		return err
	}
	el, err := c.Read()
	if err != nil {
		return err
	}
	if el.Name.Local != "starttls" {
		f.t.Errorf("before TLS the client sent %s", el)
		return errors.New("not starttls")
	}
	answer := "<proceed xmlns='" + stream.NSTLS + "'/>"
	if f.tlsAnswer != "" {
		answer = f.tlsAnswer
	}
	f.write(c, answer+f.behind)
	if f.tlsAnswer != "" {
		_, err := c.Read()
		return errors.Join(errors.New("no tls"), err)
	}
	if err := c.Secure(&tls.Config{Certificates: []tls.Certificate{f.cert}}, true); err != nil {
		return err
	}
	return f.authenticate(c)
}

func (f *fake) authenticate(c *stream.Conn) error {
	mechanisms := "SCRAM-SHA-256"
	if f.mechanisms != "" {
		mechanisms = f.mechanisms
	}
	offer := "<mechanisms xmlns='" + stream.NSSASL + "'><mechanism>" + strings.ReplaceAll(mechanisms, " ", "</mechanism><mechanism>") + "</mechanism></mechanisms>"
	if f.register != "" {
		offer += "<register xmlns='http://jabber.org/features/iq-register'/>"
	}
	if err := f.open(c, f.domain, offer); err != nil {
		return err
	}
	var s *sasl.Server
	for {
		el, err := c.Read()
		if err != nil {
			return err
		}
		switch el.Name.Local {
		case "iq":
			f.registration(c, el)
			continue
		case "auth":
			s = sasl.NewServer(sasl.Mechanism, f.domain, f.lookup)
		}
		in, _ := sasl.Decode(el.Text())
		out, done, err := s.Step(in)
		switch {
		case f.failure != "":
			f.write(c, "<failure xmlns='"+stream.NSSASL+"'>"+f.failure+"</failure>")
			return errors.New("refused")
		case err != nil:
			f.write(c, "<failure xmlns='"+stream.NSSASL+"'><not-authorized/></failure>")
			continue
		case !done:
			f.write(c, "<challenge xmlns='"+stream.NSSASL+"'>"+sasl.Encode(out)+"</challenge>")
			continue
		case f.success != "":
			f.write(c, f.success)
		default:
			f.write(c, "<success xmlns='"+stream.NSSASL+"'>"+sasl.Encode(out)+"</success>")
		}
		c.Restart()
		return f.bind(c, s.Name())
	}
}

func (f *fake) bind(c *stream.Conn, user string) error {
	offer := "<bind xmlns='" + stream.NSBind + "'/>"
	if f.managed != "" {
		offer += "<sm xmlns='" + nsSM + "'/>"
	}
	if err := f.open(c, f.domain, offer); err != nil {
		return err
	}
	el, err := c.Read()
	if err != nil {
		return err
	}
	if el.Name.Local == "resume" {
		answer := f.resume(el)
		f.write(c, answer)
		if strings.HasPrefix(answer, "<resumed") {
			return nil
		}
		if el, err = c.Read(); err != nil {
			return err
		}
	}
	f.answer(c, el, "<bind xmlns='"+stream.NSBind+"'><jid>"+user+"@"+f.domain+"/r1</jid></bind>")
	if f.managed != "" {
		if _, err := c.Read(); err != nil {
			return err
		}
		f.write(c, f.managed)
	}
	return nil
}

func (f *fake) lookup(name string) (sasl.Credentials, error) {
	password, ok := f.users[name]
	if !ok {
		password = "nobody knows this"
	}
	return sasl.NewCredentials(password, sasl.MinIterations)
}

func (f *fake) registration(c *stream.Conn, el *xml.Element) {
	if f.register == "result" {
		q := el.Child(nsRegister, "query")
		name, password := q.Child(nsRegister, "username"), q.Child(nsRegister, "password")
		n, _ := jid.Localpart(name.Text())
		f.users[n] = password.Text()
		f.answer(c, el, "")
		return
	}
	f.write(c, "<iq type='error' id='"+el.Attr("id")+"' from='"+f.domain+"'><error type='cancel'><"+f.register+" xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
}

// started is a session that tells r what happens, and goes on behind a place of the archive, if one is given.
func (f *fake) started(t *testing.T, r *recorder, place string) *Session {
	t.Helper()
	cfg := f.config()
	cfg.Handle = r.handle
	s := f.dial(cfg)
	if place != "" {
		s.SetPlace(place)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// dial signs in, or ends the test.
func (f *fake) dial(cfg Config) *Session {
	f.t.Helper()
	s, err := Dial(f.t.Context(), cfg)
	if err != nil {
		f.t.Fatalf("Dial: %v", err)
	}
	f.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Close(ctx)
	})
	return s
}
