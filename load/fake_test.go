package load

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"parley/xmpp/stanza"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// fake is a server that delivers messages as a test wants it. It takes every password, in clear.
type fake struct {
	t  *testing.T
	ln net.Listener
	wg sync.WaitGroup

	// deliver is what becomes of the nth message, which is for to: what he is sent, and whether he is still there afterwards. nil: as is.
	deliver func(n int, to, text string) (what []string, stays bool)
	enabled string // stands behind <enabled/>, in the same segment
	refuses string // the name of an account
	slow    string // the name of an account that is bound only after a while
	mute    bool   // no iq is answered after signing in
	sm      func(el *xml.Element)

	mu    sync.Mutex
	n     int                    // messages so far
	entry map[string]bool        // who has proved his password and is not bound yet
	conns map[string]*fakeClient // by local part
}

type fakeClient struct {
	nc   net.Conn
	s    *stream.Conn
	name string
}

// start opens the door; all connections have to be closed by the clients when the test ends.
func (f *fake) start(t *testing.T) string {
	t.Helper()
	f.t, f.conns = t, map[string]*fakeClient{}
	f.entry = map[string]bool{}
	var err error
	if f.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	f.wg.Go(func() {
		for {
			nc, err := f.ln.Accept()
			if err != nil {
				return
			}
			f.wg.Go(func() { f.serve(nc) })
		}
	})
	t.Cleanup(func() {
		_ = f.ln.Close()
		gone := make(chan struct{})
		go func() { f.wg.Wait(); close(gone) }()
		select {
		case <-gone:
		case <-time.After(10 * time.Second):
			t.Error("the generator has left connections open")
		}
	})
	return f.ln.Addr().String()
}

func (f *fake) serve(nc net.Conn) {
	defer nc.Close()
	c := &fakeClient{nc: nc, s: stream.New(nc, xml.Limits{})}
	for _, features := range []string{
		"<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>",
		"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>",
	} {
		if _, err := c.s.Header(); err != nil || c.s.Open(stream.Header{From: "fake"}) != nil {
			return
		}
		_ = c.s.Write([]byte("<stream:features>" + features + "</stream:features>"))
		if c.name != "" {
			break
		}
		el, err := c.s.Read()
		if err != nil || el.Name.Local != "auth" {
			return
		}
		if c.name = user64(el.Text()); c.name == f.refuses {
			_ = c.s.Write([]byte("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>"))
			return
		}
		f.enter(c.name, true)
		_ = c.s.Write([]byte("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"))
		c.s.Restart()
	}
	for {
		el, err := c.s.Read()
		if err != nil {
			return
		}
		if el.Has(stream.NSBind, "bind") {
			if c.name == f.slow {
				time.Sleep(30 * time.Millisecond)
			}
			f.enter(c.name, false)
		}
		f.handle(c, el)
	}
}

func (f *fake) enter(name string, begins bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if begins && f.entry[name] {
		f.t.Errorf("%s signs in twice at once", name)
	}
	f.entry[name] = begins
}

func (f *fake) handle(c *fakeClient, el *xml.Element) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch id := el.Attr("id"); {
	case el.Has(stream.NSBind, "bind"):
		f.conns[c.name] = c
		_ = c.s.Write(fmt.Appendf(nil, "<iq type='result' id='%s'><bind xmlns='%s'><jid>%s@fake/r</jid></bind></iq>", id, stream.NSBind, c.name))
	case el.Name.Local == "iq" && !f.mute:
		_ = c.s.Write(fmt.Appendf(nil, "<iq type='result' id='%s'/>", id))
	case el.Name.Local == "enable":
		_ = c.s.Write([]byte("<enabled xmlns='urn:xmpp:sm:3'/>" + f.enabled))
	case el.Name.Space == stream.NSManagement && f.sm != nil:
		f.sm(el)
	case el.Name.Local == "message":
		f.message(el)
	}
}

func (f *fake) message(el *xml.Element) {
	f.n++
	to, _, _ := cut(el.Attr("to"))
	what, stays := []string{el.Child(stanza.NSClient, "body").Text()}, true
	if f.deliver != nil {
		what, stays = f.deliver(f.n, to, what[0])
	}
	for _, text := range what {
		_ = f.conns[to].s.Write(fmt.Appendf(nil, "<message type='chat'><body>%s</body></message>", text))
	}
	if !stays {
		_ = f.conns[to].nc.Close()
	}
}
