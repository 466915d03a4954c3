package imtest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"parley/xmpp/jid"
	"parley/xmpp/sasl"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// patience is how long a client waits for what must come.
const patience = 10 * time.Second

// Client is a client that does nothing by itself.
type Client struct {
	T      testing.TB
	Stream *stream.Conn
	JID    jid.JID
	// Features are what the server offered last.
	Features *xml.Element

	ids   int
	inbox []*xml.Element // read while fencing, not yet returned by Read
}

// Open connects and secures the connection, up to the features that offer SASL.
func (s *Server) Open(t testing.TB) *Client {
	t.Helper()
	nc, direct := s.Dial()
	return open(t, nc, direct)
}

// Over is Open on a connection that the test has made itself, to this server or to one in another process.
func Over(t testing.TB, nc net.Conn) *Client {
	t.Helper()
	return open(t, nc, false)
}

func open(t testing.TB, nc net.Conn, direct bool) *Client {
	t.Helper()
	c := &Client{T: t, Stream: stream.New(nc, xml.Limits{})}
	t.Cleanup(func() { _ = c.Stream.Close() })
	_ = c.Stream.SetReadDeadline(time.Now().Add(patience))
	if direct {
		c.must(c.Stream.Secure(clientTLS(), false))
	}
	features := c.Begin()
	if features.Has(stream.NSTLS, "starttls") {
		c.must(c.Stream.Send(xml.New(stream.NSTLS, "starttls")))
		if el := c.Read(); el.Name.Local != "proceed" {
			t.Fatalf("starttls: got %s", el)
		}
		c.must(c.Stream.Secure(clientTLS(), false))
		features = c.Begin()
	}
	if !features.Has(stream.NSSASL, "mechanisms") {
		t.Fatalf("no SASL in %s", features)
	}
	return c
}

// Begin opens the stream (again) and returns the features.
func (c *Client) Begin() *xml.Element {
	c.T.Helper()
	c.must(c.Stream.Open(stream.Header{To: "localhost"}))
	_, err := c.Stream.Header()
	c.must(err)
	c.Features = c.Read()
	return c.Features
}

// SignIn authenticates; the error is the condition and text of the server's refusal.
func (c *Client) SignIn(user, password string) error {
	c.T.Helper()
	if el := c.Authenticate(user, password); el != nil {
		return fmt.Errorf("%s: %s", el.First().Name.Local, textOf(el))
	}
	return nil
}

// Authenticate runs one SASL exchange and returns the server's refusal, nil when there was none.
func (c *Client) Authenticate(user, password string) (failure *xml.Element) {
	c.T.Helper()
	x, err := sasl.NewClient(user, password, "")
	c.must(err)
	first, _, err := x.Step(nil)
	c.must(err)
	c.must(c.Stream.Send(xml.New(stream.NSSASL, "auth", xml.A("mechanism", sasl.Mechanism)).WithText(sasl.Encode(first))))
	for {
		el := c.Read()
		if el.Name.Local == "failure" {
			return el
		}
		in, err := sasl.Decode(el.Text())
		c.must(err)
		out, done, err := x.Step(in)
		c.must(err)
		if el.Name.Local == "success" {
			if !done {
				c.T.Fatal("success before the exchange has ended")
			}
			c.Stream.Restart()
			return nil
		}
		c.must(c.Stream.Send(xml.New(stream.NSSASL, "response").WithText(sasl.Encode(out))))
	}
}

func textOf(el *xml.Element) string {
	if t := el.Child(el.Name.Space, "text"); t != nil {
		return t.Text()
	}
	return ""
}

// Bind opens the stream after signing in and binds a resource.
func (c *Client) Bind(resource string) {
	c.T.Helper()
	c.Begin()
	c.bind(resource)
}

func (c *Client) bind(resource string) {
	c.T.Helper()
	c.Send(fmt.Sprintf("<iq type='set' id='bind'><bind xmlns='%s'><resource>%s</resource></bind></iq>", stream.NSBind, resource))
	el := c.Read()
	bound := el.Child(stream.NSBind, "bind")
	if bound == nil {
		c.T.Fatalf("bind: %s", el)
	}
	c.JID = jid.MustParse(bound.Child(stream.NSBind, "jid").Text())
}

// Connect signs an account in and binds a resource: "alice/phone".
func (s *Server) Connect(t testing.TB, who string) *Client {
	t.Helper()
	return s.Open(t).as(who)
}

// ConnectAt is Connect to another address than the server's own: a proxy on the way to its port for STARTTLS.
func (s *Server) ConnectAt(t testing.TB, addr, who string) *Client {
	t.Helper()
	return ConnectTo(t, addr, who)
}

// ConnectTo is Connect to a server in another process.
func ConnectTo(t testing.TB, addr, who string) *Client {
	t.Helper()
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	return open(t, nc, false).as(who)
}

func (c *Client) as(who string) *Client {
	c.T.Helper()
	name, resource, _ := strings.Cut(who, "/")
	if err := c.SignIn(name, Password); err != nil {
		c.T.Fatalf("sign in as %s: %v", name, err)
	}
	c.Bind(resource)
	return c
}

// Online is Connect and initial presence; what comes of that is read and forgotten.
func (s *Server) Online(t testing.TB, who string) *Client {
	t.Helper()
	c := s.Connect(t, who)
	c.Send("<presence/>")
	c.Settle()
	return c
}

// Send writes one element as it stands.
func (c *Client) Send(text string) {
	c.T.Helper()
	_ = c.Stream.SetReadDeadline(time.Now().Add(patience))
	c.must(c.Stream.Write([]byte(text)))
}

// Read returns the next element.
func (c *Client) Read() *xml.Element {
	c.T.Helper()
	if len(c.inbox) > 0 {
		el := c.inbox[0]
		c.inbox = c.inbox[1:]
		return el
	}
	return c.read()
}

func (c *Client) read() *xml.Element {
	c.T.Helper()
	_ = c.Stream.SetReadDeadline(time.Now().Add(patience))
	el, err := c.Stream.Read()
	if err != nil {
		c.T.Fatalf("%s reads: %v", c.JID, err)
	}
	return el
}

// Next returns the next stanza.
func (c *Client) Next() *stanza.Stanza {
	c.T.Helper()
	st, err := stanza.Parse(c.Read())
	c.must(err)
	return st
}

// Fence pings the server and waits for the answer: all that the server had to say by now has come, and waits for Read.
func (c *Client) Fence() {
	c.T.Helper()
	c.ids++
	id := fmt.Sprintf("fence-%d", c.ids)
	c.Send("<iq type='get' to='localhost' id='" + id + "'><ping xmlns='urn:xmpp:ping'/></iq>")
	for {
		el := c.read()
		if el.Name.Local == "iq" && el.Attr("id") == id {
			return
		}
		c.inbox = append(c.inbox, el)
	}
}

// Drain is Fence; it returns all that waited for Read.
func (c *Client) Drain() []*xml.Element {
	c.T.Helper()
	c.Fence()
	all := c.inbox
	c.inbox = nil
	return all
}

// Settle reads and forgets until the server has nothing more to say to this client: feeds included.
func (c *Client) Settle() { Settle(c) }

// Settle makes all of these clients read and forget until nobody has anything more to read.
func Settle(all ...*Client) {
	for quiet := 0; quiet < 2; quiet++ {
		for _, c := range all {
			c.T.Helper()
			if len(c.Drain()) > 0 {
				quiet = -1
			}
		}
	}
}

// Leave closes the stream in order and waits for the server's end.
func (c *Client) Leave() {
	c.T.Helper()
	c.must(c.Stream.End())
	for {
		_ = c.Stream.SetReadDeadline(time.Now().Add(patience))
		_, err := c.Stream.Read()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		c.must(err)
	}
	c.must(c.Stream.Close())
}

// hangUp reads to the end, as a client does when the server goes.
func (c *Client) hangUp() {
	for {
		if _, err := c.Stream.Read(); err != nil {
			_ = c.Stream.Close()
			return
		}
	}
}

func (c *Client) must(err error) {
	c.T.Helper()
	if err != nil {
		c.T.Fatalf("%s: %v", c.JID, err)
	}
}
