package flood

import (
	"fmt"

	"parley/imtest"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

const (
	nsMAM = "urn:xmpp:mam:2"
	nsRSM = "http://jabber.org/protocol/rsm"
	nsSID = "urn:xmpp:sid:0"
	nsSM  = "urn:xmpp:sm:3"
)

// message is a message that somebody was sent: its place in the archive and its text.
type message struct{ id, body string }

// live reads the next message, and answers what stream management asks meanwhile; counted is how many stanzas came on the
// stream.
func live(c *imtest.Client, counted *uint32) message {
	for {
		el := c.Read()
		if el.Name.Space == nsSM {
			if el.Name.Local == "r" {
				c.Send(fmt.Sprintf("<a xmlns='%s' h='%d'/>", nsSM, *counted))
			}
			continue
		}
		*counted++
		if el.Name.Local == "message" {
			m := message{body: text(el)}
			if sid := el.Child(nsSID, "stanza-id"); sid != nil {
				m.id = sid.Attr("id")
			}
			return m
		}
	}
}

func text(el *xml.Element) string {
	if b := el.Child(stanza.NSClient, "body"); b != nil {
		return b.Text()
	}
	return ""
}

// archived reads all of an account's archive, oldest first, in pages of 100 (XEP-0313).
func archived(c *imtest.Client) (all []message) {
	after := ""
	for {
		c.Send(fmt.Sprintf("<iq type='set' id='page'><query xmlns='%s'><set xmlns='%s'><max>100</max>%s</set></query></iq>", nsMAM, nsRSM, after))
		for {
			el := c.Read()
			if r := el.Child(nsMAM, "result"); r != nil {
				all = append(all, message{r.Attr("id"), text(r.First().Child(stanza.NSClient, "message"))})
				continue
			}
			if el.Name.Local != "iq" {
				continue
			}
			fin := el.Child(nsMAM, "fin")
			if fin == nil {
				c.T.Fatalf("the archive is not read: %s", el)
			}
			if fin.Attr("complete") == "true" {
				return all
			}
			after = "<after>" + fin.Child(nsRSM, "set").Child(nsRSM, "last").Text() + "</after>"
			break
		}
	}
}

func isMessage(el *xml.Element) bool { return el.Name.Local == "message" }
