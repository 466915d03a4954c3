// Package exttest is a hall with people in it, for the tests of extensions: no connections, no accounts, a store in
// memory. What a client sends is handled before Send returns.
package exttest

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"

	"parley/im"
	"parley/store"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// Domain is the hall's.
const Domain = "here"

// Accounts are those that a hall has.
type Accounts interface {
	im.Directory
	Names() []string
	Everyone() (names []string, version string)
}

// Hall is an im.Server with a store of its own.
type Hall struct {
	*im.Server

	t testing.TB
}

// New is a hall over the engine, with accounts of these names; extensions are added by [im.Server.Use].
func New(t testing.TB, e store.Engine, names ...string) *Hall {
	t.Helper()
	return With(t, e, Everybody(names...))
}

// With is New with accounts that were there before: for a second start over the same engine.
func With(t testing.TB, e store.Engine, people Accounts) *Hall {
	t.Helper()
	return Over(t, Start(t, e), people)
}

// Start is a running store, closed at the end of the test.
func Start(t testing.TB, e store.Engine) *store.Store {
	t.Helper()
	s := store.New(e, store.Options{})
	var running sync.WaitGroup
	running.Go(func() { _ = s.Run(context.Background()) })
	t.Cleanup(func() {
		_ = s.Close(context.Background())
		running.Wait()
	})
	return s
}

// Over is a hall over a store that runs already.
func Over(t testing.TB, s *store.Store, people Accounts) *Hall {
	t.Helper()
	srv, err := im.New(im.Config{
		Domain: Domain, Store: s, Directory: people, Everyone: people.Everyone, Log: slog.New(slog.DiscardHandler),
		Settings: im.Settings{BlockedSender: im.Explicit, Sessions: 100, Outbox: 1 << 20},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &Hall{Server: srv, t: t}
}

// People are the accounts.
type People struct {
	mu     sync.Mutex
	owners map[string]store.Owner // guarded by mu
	last   store.Owner            // guarded by mu
}

// Everybody are accounts of these names.
func Everybody(names ...string) *People {
	p := &People{owners: map[string]store.Owner{}}
	for _, n := range names {
		p.Add(n)
	}
	return p
}

// Owner finds an account's number; see im.Directory.
func (p *People) Owner(localpart string) (store.Owner, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o, ok := p.owners[localpart]
	return o, ok
}

// Everyone are all accounts, sorted, and a version of that; see im.Config.
func (p *People) Everyone() ([]string, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.owners)), fmt.Sprint(p.last, "-", len(p.owners))
}

// Names are all accounts, sorted.
func (p *People) Names() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.owners))
}

// Add makes an account, with a number that nobody had before.
func (p *People) Add(localpart string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	p.owners[localpart] = p.last
}

// Remove removes an account from the directory, and nothing else.
func (p *People) Remove(localpart string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.owners, localpart)
}

// Client is somebody's session, and what arrives at it.
type Client struct {
	*im.Session

	t    testing.TB
	hall *Hall
	got  []*stanza.Stanza

	mu    sync.Mutex
	ended []*stream.Error // guarded by mu
}

// Bind signs somebody in. He is not available yet.
func (h *Hall) Bind(name, resource string) *Client {
	h.t.Helper()
	c := &Client{t: h.t, hall: h}
	s, err := h.Server.Bind(context.Background(), name, resource)
	if err != nil {
		h.t.Fatalf("bind %s/%s: %v", name, resource, err)
	}
	c.Session = s
	s.Attach(context.Background(), c)
	return c
}

// Join signs somebody in and makes him available. What arrives because of that is forgotten.
func (h *Hall) Join(name, resource string) *Client {
	h.t.Helper()
	c := h.Bind(name, resource)
	c.Send(`<presence/>`)
	c.Got()
	return c
}

// Leave ends the session.
func (c *Client) Leave() { c.hall.Close(context.Background(), c.Session, "") }

// Wake is of im.Carrier.
func (c *Client) Wake() {}

// Write is of im.Carrier.
func (c *Client) Write() {}

// End is of im.Carrier.
func (c *Client) End(err *stream.Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = append(c.ended, err)
}

// Ended is the error that the stream was to be closed with, and whether it was.
func (c *Client) Ended() (*stream.Error, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.ended) == 0 {
		return nil, false
	}
	return c.ended[0], true
}

// Send has the session receive one stanza.
func (c *Client) Send(text string) {
	c.t.Helper()
	el, err := xml.Parse(text, stanza.NSClient, xml.Limits{})
	if err != nil {
		c.t.Fatalf("%s: %v", text, err)
	}
	if err := c.Receive(context.Background(), el); err != nil {
		c.t.Fatalf("%s: %v", text, err)
	}
}

// Got is everything that has arrived since the last time.
func (c *Client) Got() []*stanza.Stanza {
	c.t.Helper()
	c.read()
	got := c.got
	c.got = nil
	return got
}

// Texts is Got, rendered.
func (c *Client) Texts() []string {
	c.t.Helper()
	var out []string
	for _, st := range c.Got() {
		out = append(out, st.String())
	}
	return out
}

// Ask sends an iq and returns its answer. What else arrived stays for Got.
func (c *Client) Ask(typ, to, payload string) *stanza.Stanza {
	c.t.Helper()
	if to != "" {
		to = " to='" + to + "'"
	}
	c.Send(fmt.Sprintf("<iq type='%s' id='q'%s>%s</iq>", typ, to, payload))
	c.read()
	for i, st := range c.got {
		if st.Kind == stanza.IQ && st.ID == "q" {
			c.got = slices.Delete(c.got, i, i+1)
			return st
		}
	}
	c.t.Fatalf("no answer to %s", payload)
	return nil
}

// Say sends chat to the server's own address and returns what that answers.
func (c *Client) Say(text string) string {
	c.t.Helper()
	st := stanza.New(stanza.Message, stanza.Chat, c.JID(), c.hall.Domain(), stanza.Body(text))
	c.Send(st.String())
	c.read()
	for i, st := range c.got {
		if st.Kind == stanza.Message && st.Type == stanza.Chat && st.From == c.hall.Domain() {
			c.got = slices.Delete(c.got, i, i+1)
			return st.Body()
		}
	}
	c.t.Fatalf("no answer to %q", text)
	return ""
}

// read moves what was written to got.
func (c *Client) read() {
	c.t.Helper()
	ctx := context.Background()
	j, err := c.hall.Store().Begin(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	j.End()
	// Nothing that was sent until now rests on a later batch than this journey's.
	if err := c.hall.Store().Wait(ctx, j.Mark()); err != nil {
		c.t.Fatal(err)
	}
	for {
		p, id := c.Next(ctx, nil)
		if p == nil {
			return
		}
		c.Wrote(id)
		el, err := xml.Parse("<r xmlns='jabber:client'>"+string(p)+"</r>", "", xml.Limits{})
		if err != nil {
			c.t.Fatalf("%s: %v", p, err)
		}
		for kid := range el.Children() {
			st, err := stanza.Parse(kid)
			if err != nil {
				c.t.Fatalf("%s: %v", kid, err)
			}
			c.got = append(c.got, st)
		}
	}
}
