// Package version says which program the server is, and which version of it (XEP-0092). On what it runs is nobody's
// business: <os/> is left out.
//
//	<query xmlns='jabber:iq:version'/>   →   <query> <name>Parley</name> <version>…</version> </query>
package version

import (
	"context"

	"parley/im"
	"parley/xmpp/xml"
)

// NS is the namespace of software versions.
const NS = "jabber:iq:version"

// New is the extension of a server whose program has this version.
func New(version string) im.Extension {
	answer := xml.New(NS, "query").With(xml.New(NS, "name").WithText("Parley"), xml.New(NS, "version").WithText(version))
	return im.Extension{
		Name:     "version",
		Specs:    []string{"XEP-0092 1.1"},
		Features: []string{NS},
		Answers: []im.Answer{{At: im.AtServer, Name: xml.Name{Space: NS, Local: "query"},
			Get: func(context.Context, *im.Query) (*xml.Element, error) { return answer, nil }}},
	}
}
