package proc

import (
	"fmt"
	"testing"

	"parley/imtest"
	"parley/xmpp/stanza"
)

const (
	nsMAM = "urn:xmpp:mam:2"
	nsRSM = "http://jabber.org/protocol/rsm"
)

// Archive reads an account's archive as its clients do (XEP-0313): the texts of all messages, oldest first.
func Archive(t testing.TB, c *imtest.Client) (bodies []string) {
	t.Helper()
	from := ""
	for page := 1; ; page++ {
		c.Send(fmt.Sprintf("<iq type='set' id='mam%d'><query xmlns='%s'><set xmlns='%s'><max>250</max>%s</set></query></iq>",
			page, nsMAM, nsRSM, from))
		for {
			el := c.Read()
			if el.Name.Local == "message" {
				if r := el.Child(nsMAM, "result"); r != nil {
					m := r.First().Child(stanza.NSClient, "message")
					if b := m.Child(stanza.NSClient, "body"); b != nil { // the rest are receipts
						bodies = append(bodies, b.Text())
					}
				}
				continue
			}
			fin := el.Child(nsMAM, "fin")
			if fin == nil {
				if el.Name.Local == "iq" && el.Attr("type") == "error" {
					t.Fatalf("the archive is not read: %s", el)
				}
				continue
			}
			if fin.Attr("complete") == "true" {
				return bodies
			}
			from = "<after>" + fin.Child(nsRSM, "set").Child(nsRSM, "last").Text() + "</after>"
			break
		}
	}
}
