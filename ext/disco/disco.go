// Package disco says what the server and its accounts can do (XEP-0030), and sums that up in one hash that clients
// can remember it by (XEP-0115).
//
//	to                        node              info                                  items
//	server                    –                 server/im, features, forms            –
//	server                    …#commands        automation/command-list               the commands of all extensions
//	server                    of a command      automation/command-node               –
//	server                    Node#ver          as without node                       item-not-found
//	account's bare address    –                 account/registered, features          –
//
// Any other node is item-not-found. im answers for accounts that do not exist, and for those that have blocked the
// caller, the same service-unavailable.
package disco

import (
	"context"
	"slices"
	"strconv"

	"parley/im"
	"parley/xmpp/stanza"
	"parley/xmpp/stanza/form"
	"parley/xmpp/xml"
)

// Namespaces and nodes.
const (
	NSInfo     = "http://jabber.org/protocol/disco#info"
	NSItems    = "http://jabber.org/protocol/disco#items"
	NSCaps     = "http://jabber.org/protocol/caps"
	NSCommands = "http://jabber.org/protocol/commands"

	Node = "urn:parley:server" // names the software in Caps
	Name = "Parley"            // of the server, for people

	extension = "disco"
)

// Options are what the server says of itself beyond its extensions.
type Options struct {
	Timeout  func() int // seconds after which somebody who does nothing is logged out; 0: nobody is
	Contacts Contacts
}

// New is the extension. What it announces is what the hall's extensions say at the time of the question.
func New(srv *im.Server, o Options) im.Extension {
	d := &disco{srv: srv, opts: o}
	info, items := xml.Name{Space: NSInfo, Local: "query"}, xml.Name{Space: NSItems, Local: "query"}
	return im.Extension{
		Name:     extension,
		Specs:    []string{"XEP-0030 2.5.0", "XEP-0115 1.6.0", "XEP-0128 1.0.1", "XEP-0157 1.1.1"},
		Features: []string{NSInfo, NSItems, NSCaps},
		Account:  []string{NSInfo, NSItems},
		Answers: []im.Answer{
			{At: im.AtServer, Name: info, Get: d.serverInfo},
			{At: im.AtServer, Name: items, Get: d.serverItems},
			{At: im.AtAccount, Name: info, Get: d.accountInfo},
			{At: im.AtAccount, Name: items, Get: d.accountItems},
		},
	}
}

type disco struct {
	srv  *im.Server
	opts Options
}

func (d *disco) serverInfo(_ context.Context, q *im.Query) (*xml.Element, error) {
	switch node := q.Payload.Attr("node"); node {
	case "":
		return d.server(), nil
	case NSCommands:
		return info(node, identity("automation", "command-list", "Commands"), []string{NSCommands}), nil
	default:
		if own := d.server(); node == Node+"#"+hash(own) {
			return own.WithAttr("node", node), nil
		}
		if c, ok := d.command(q, node); ok {
			return info(node, identity("automation", "command-node", c.Name), []string{NSCommands, stanza.NSForms}), nil
		}
	}
	return nil, unknown()
}

// server is the disco#info of the server without node.
func (d *disco) server() *xml.Element {
	var features []string
	for _, x := range d.srv.Extensions() {
		features = append(features, x.Features...)
	}
	about := form.New(form.Result, stanza.NSParley, "", form.Field{Var: "timeout", Values: []string{strconv.Itoa(d.opts.Timeout())}})
	return info("", identity("server", "im", Name), features).With(about.Element(), d.opts.Contacts.element())
}

func (d *disco) serverItems(_ context.Context, q *im.Query) (*xml.Element, error) {
	node := q.Payload.Attr("node")
	el := xml.New(NSItems, "query")
	if node != "" {
		el = el.WithAttr("node", node)
	}
	if node == "" {
		return el, nil
	}
	if node != NSCommands {
		if _, ok := d.command(q, node); !ok {
			return nil, unknown()
		}
		return el, nil
	}
	var kids []*xml.Element
	for c := range d.commands(q) {
		kids = append(kids, xml.New(NSItems, "item",
			xml.A("jid", d.srv.Domain().String()), xml.A("node", c.Node), xml.A("name", c.Name)))
	}
	if len(kids) == 0 {
		return el, nil
	}
	return el.With(kids...), nil
}

// commands yields the ad-hoc commands of all extensions that the one who asks may run: those who are of this server.
func (d *disco) commands(q *im.Query) func(yield func(im.Command) bool) {
	return func(yield func(im.Command) bool) {
		if q.Session == nil {
			return
		}
		for _, x := range d.srv.Extensions() {
			for _, c := range x.Commands {
				if c.Allowed != nil && !c.Allowed(q.Session) {
					continue
				}
				if !yield(c) {
					return
				}
			}
		}
	}
}

func (d *disco) command(q *im.Query, node string) (im.Command, bool) {
	for c := range d.commands(q) {
		if c.Node == node {
			return c, true
		}
	}
	return im.Command{}, false
}

func (d *disco) accountInfo(_ context.Context, q *im.Query) (*xml.Element, error) {
	if q.Payload.Attr("node") != "" {
		return nil, unknown()
	}
	var features []string
	for _, x := range d.srv.Extensions() {
		features = append(features, x.Account...)
	}
	return info("", identity("account", "registered", ""), features), nil
}

func (d *disco) accountItems(_ context.Context, q *im.Query) (*xml.Element, error) {
	if q.Payload.Attr("node") != "" {
		return nil, unknown()
	}
	return xml.New(NSItems, "query"), nil
}

func unknown() error { return stanza.Bad(stanza.ItemNotFound, "There is no such node.") }

// info is a disco#info with these features, sorted, each once.
func info(node string, who *xml.Element, features []string) *xml.Element {
	el := xml.New(NSInfo, "query")
	if node != "" {
		el = el.WithAttr("node", node)
	}
	kids := []*xml.Element{who}
	slices.Sort(features)
	for _, f := range slices.Compact(features) {
		kids = append(kids, xml.New(NSInfo, "feature", xml.A("var", f)))
	}
	return el.With(kids...)
}

func identity(category, typ, name string) *xml.Element {
	el := xml.New(NSInfo, "identity", xml.A("category", category), xml.A("type", typ))
	if name == "" {
		return el
	}
	return el.WithAttr("name", name)
}
