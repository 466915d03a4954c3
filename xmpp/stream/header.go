package stream

import (
	"strconv"
	"strings"

	"parley/xmpp/xml"
)

// Header is what opens one direction of a stream (RFC 6120 §4.7).
type Header struct {
	From, To string // addresses as sent, not normalised
	ID       string // set by the receiving side, unique and unpredictable
	Lang     string
	Version  string // "1.0"; "" from a peer older than RFC 3920
}

// Open sends the header of our direction and what comes right behind it, in one write: complete elements.
func (c *Conn) Open(h Header, first ...byte) error {
	c.opened = true
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	return c.Write(append(h.Append((*b)[:0]), first...))
}

// Append renders the header, with the XML declaration before it.
func (h Header) Append(dst []byte) []byte {
	dst = append(dst, "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='"+NS+"'"...)
	for _, a := range [...]struct{ name, value string }{{"from", h.From}, {"to", h.To}, {"id", h.ID}, {"version", "1.0"}, {"xml:lang", h.Lang}} {
		if a.value != "" {
			dst = append(append(append(dst, ' '), a.name...), "='"...)
			dst = append(xml.AppendEscaped(dst, a.value), '\'')
		}
	}
	return append(dst, '>')
}

// Header waits for the header of the peer's direction.
func (c *Conn) Header() (Header, error) {
	el, err := c.Read()
	if err != nil {
		return Header{}, err
	}
	h := Header{From: el.Attr("from"), To: el.Attr("to"), ID: el.Attr("id"), Version: el.Attr("version")}
	for _, a := range el.Attrs {
		if a.Name.Local == "lang" && a.Name.Space != "" {
			h.Lang = a.Value
		}
	}
	switch {
	case el.Name.Local != "stream":
		return h, &Error{Condition: BadFormat, Text: "A stream begins with <stream:stream>."}
	case el.Name.Space != NS || c.scan.Default() != "jabber:client":
		return h, &Error{Condition: InvalidNamespace, Text: "The stream's namespaces are " + NS + " and jabber:client."}
	case !modern(h.Version):
		return h, &Error{Condition: UnsupportedVersion, Text: "XMPP 1.0 is needed."}
	}
	return h, nil
}

// modern tells whether a version is one of XMPP 1.0 or later (RFC 6120 §4.7.5).
func modern(version string) bool {
	major, minor, ok := strings.Cut(version, ".")
	n, err := strconv.ParseUint(major, 10, 31)
	_, alsoErr := strconv.ParseUint(minor, 10, 31)
	return ok && err == nil && alsoErr == nil && n >= 1
}

// Features is the list of what the server offers next (RFC 6120 §4.3.2).
func Features(offers ...*xml.Element) *xml.Element { return xml.New(NS, "features").With(offers...) }
