package im_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"parley/ext/archive"
	"parley/ext/carbons"
	"parley/im"
	"parley/store"
	"parley/store/memory"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// names is a Directory of accounts that number themselves.
type names []string

func (n names) Owner(localpart string) (store.Owner, bool) {
	for i, name := range n {
		if name == localpart {
			return store.Owner(i + 1), true
		}
	}
	return 0, false
}

// idle is a Carrier that writes nothing.
type idle struct{}

func (idle) Wake()             {}
func (idle) Write()            {}
func (idle) End(*stream.Error) {}

// hall is a hall over memory with these accounts, who are each other's contacts.
func hall(t testing.TB, c im.Config, accounts names, exts ...func(*im.Server) im.Extension) *im.Server {
	t.Helper()
	c.Everyone = func() ([]string, string) { return accounts, "" }
	return build(t, c, accounts, exts...)
}

// build is a hall over memory with these accounts.
func build(t testing.TB, c im.Config, accounts names, exts ...func(*im.Server) im.Extension) *im.Server {
	t.Helper()
	v := bare(t, c, accounts)
	var made []im.Extension
	for _, x := range exts {
		made = append(made, x(v))
	}
	if err := v.Use(made...); err != nil {
		t.Fatal(err)
	}
	return v
}

// bare is a hall over memory without extensions.
func bare(t testing.TB, c im.Config, accounts names) *im.Server {
	t.Helper()
	st := store.New(memory.New(), store.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = st.Run(ctx)
	}()
	t.Cleanup(func() {
		_ = st.Close(context.Background())
		cancel()
		<-done
	})
	c.Domain, c.Store, c.Directory = "localhost", st, accounts
	c.Log = slog.New(slog.DiscardHandler)
	c.Settings.BlockedSender, c.Settings.Sessions, c.Settings.Resume = im.Explicit, 20, 10*time.Minute
	if c.Settings.Outbox == 0 {
		c.Settings.Outbox = 256 << 10
	}
	v, err := im.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func bind(t testing.TB, v *im.Server, name, resource string) *im.Session {
	t.Helper()
	s, err := v.Bind(context.Background(), name, resource)
	if err != nil {
		t.Fatal(err)
	}
	s.Attach(context.Background(), idle{})
	if err := s.Receive(context.Background(), element(t, "<presence/>")); err != nil {
		t.Fatal(err)
	}
	empty(s)
	return s
}

// empty takes all that waits for a session.
func empty(s *im.Session) (text string) {
	ctx := context.Background()
	for {
		p, _ := s.Next(ctx, nil)
		if p == nil {
			return text
		}
		text += string(p)
	}
}

func element(t testing.TB, s string) *xml.Element {
	t.Helper()
	el, err := xml.Parse(s, stanza.NSClient, xml.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return el
}

const chat = `<message to='bob@localhost' type='chat' id='m1234567' xml:lang='en'><body>Wherefore art thou, and will you come to the meeting?</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>`

// BenchmarkMessage is one chat message from the bytes that came in to the bytes in the recipient's outbox.
func BenchmarkMessage(b *testing.B) {
	for _, mode := range []struct {
		name   string
		always bool
	}{{"archive=off", false}, {"archive=on", true}} {
		b.Run(mode.name, func(b *testing.B) {
			v := hall(b, im.Config{}, names{"alice", "bob"}, func(v *im.Server) im.Extension { return carbons.New(v) }, func(v *im.Server) im.Extension {
				a, err := archive.New(context.Background(), v, archive.Options{Always: mode.always})
				if err != nil {
					b.Fatal(err)
				}
				return a.Extension()
			})
			alice, bob := bind(b, v, "alice", "a"), bind(b, v, "bob", "b")
			scan := xml.NewScanner(xml.Limits{Bytes: 256 << 10, Depth: 64, Elements: 4096, Attrs: 64, Declarations: 32, Name: 256, Value: 32 << 10})
			scan.Feed([]byte("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"))
			if _, err := scan.Next(); err != nil {
				b.Fatal(err)
			}
			ctx, in, spare := context.Background(), []byte(chat), []byte(nil)
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			for i := 0; b.Loop(); i++ {
				scan.Feed(in)
				el, err := scan.Lend()
				if err != nil {
					b.Fatal(err)
				}
				if err := alice.Receive(ctx, el); err != nil {
					b.Fatal(err)
				}
				if i%16 == 0 { // as many as a read may bring
					for {
						if spare, _ = bob.Next(ctx, spare); spare == nil {
							break
						}
					}
				}
			}
		})
	}
}
