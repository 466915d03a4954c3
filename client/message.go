package client

import (
	"time"

	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// nsMarkers is the namespace of chat markers (XEP-0333).
const nsMarkers = "urn:xmpp:chat-markers:0"

// receiptID begins the ids of receipts, whose fate nobody wants to know.
const receiptID = "receipt."

// origin says where a message was found.
type origin struct {
	archive string    // its id in the own archive, "" when not known
	at      time.Time // zero: it came live
}

// live takes a message that was just delivered. While the archive is being read, texts wait for their turn.
func (s *Session) live(st *stanza.Stanza) {
	if st.Has(stanza.NSClient, "body") && s.wait(st) {
		return
	}
	s.message(st, origin{archive: s.archiveID(st)})
}

// message takes a message: a text, or what somebody says of ours. It tells whether that was a new text.
func (s *Session) message(st *stanza.Stanza, o origin) bool {
	from := st.From
	if from.IsZero() {
		from = s.jid.Bare()
	}
	own := from.Bare() == s.jid.Bare()
	s.mem.mu.Lock()
	known := s.mem.seen.again(keysOf(st, from, o.archive)...)
	behind := s.mem.behind && o.at.IsZero() // what lies before it in the archive was not told yet
	s.mem.mu.Unlock()
	if !own && !known {
		s.delivered(st, from, o)
	}
	body := st.Child(stanza.NSClient, "body")
	sentByUs := own && !o.at.IsZero() && st.To.Bare() != from.Bare()
	shown := body != nil && !known && !sentByUs
	if shown {
		m := Message{From: from, ID: st.ID, Body: body.Text(), Delayed: o.at}
		// What a user sends has a resource in its sender's address; only the server can speak from a bare one.
		m.Broadcast = st.Type == stanza.Headline && from.IsBare() && from.Local() != "" && from.Server() == s.server
		if o.at.IsZero() {
			m.Delayed = s.delay(st)
		}
		s.handle(m)
	}
	if o.archive != "" && !behind {
		s.mem.mu.Lock()
		s.mem.place = o.archive
		s.mem.mu.Unlock()
	}
	if shown && !own {
		s.receipt(st)
	}
	return shown
}

// delay is when a message was written that was kept meanwhile. It is believed from our server and our account only: it
// says when, and others could lie.
func (s *Session) delay(st *stanza.Stanza) time.Time {
	var at time.Time
	for c := range st.Children() {
		if c.Name.Space != stanza.NSDelay || c.Name.Local != "delay" {
			continue
		}
		if from, err := jid.Parse(c.Attr("from")); err == nil && (from == s.server || from == s.jid.Bare()) {
			if t, err := stanza.ParseDateTime(c.Attr("stamp")); err == nil {
				at = t
			}
		}
	}
	return at
}

// delivered takes what somebody says of a message of ours.
func (s *Session) delivered(st *stanza.Stanza, from jid.JID, o origin) {
	at := o.at
	if at.IsZero() {
		at = s.delay(st)
	}
	for c := range st.Children() {
		receipt := c.Name == xml.Name{Space: stanza.NSReceipt, Local: "received"}
		marker := c.Name.Space == nsMarkers && (c.Name.Local == "received" || c.Name.Local == "displayed" || c.Name.Local == "acknowledged")
		if id := c.Attr("id"); id != "" && (receipt || marker) {
			s.handle(Delivered{ID: id, By: from, Read: marker && c.Name.Local != "received", At: at})
		}
	}
}

// receipt says that a message was told (XEP-0184), if its sender wants to hear it and may know that we are here (§8).
func (s *Session) receipt(st *stanza.Stanza) {
	if st.Type != stanza.Chat && st.Type != stanza.Normal && st.Type != "" || st.ID == "" || !st.Has(stanza.NSReceipt, "request") {
		return
	}
	s.mem.mu.Lock()
	subscription := s.mem.people.roster[st.From.Bare()].Subscription
	s.mem.mu.Unlock()
	if subscription != "both" && subscription != "from" {
		return
	}
	id := receiptID + s.NewID()
	answer := stanza.New(stanza.Message, st.Type, jid.JID{}, st.From, xml.New(stanza.NSReceipt, "received", xml.A("id", st.ID)), originID(id))
	answer.ID = id
	if s.send(answer) != nil {
		s.mem.later(answer)
	}
}
