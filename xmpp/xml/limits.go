package xml

import (
	"errors"
	"strconv"
)

// Limits bounds what one first-level element may cost (RFC 6120 §13.12, XEP-0478). Zero means no limit of that kind.
// The header of a stream is measured like an element.
type Limits struct {
	Bytes        int // length of the element; noticed while it is still arriving
	Depth        int // levels, the element itself being the first
	Elements     int // elements, itself included
	Attrs        int // attributes of one element, declarations apart
	Declarations int // namespace declarations of one element; also prefixes in force at one place, those of the header apart
	Name         int // bytes of a name, prefix included
	Value        int // bytes of an attribute's value as written
}

// maxBytes bounds an element whatever the Limits say, because places in it are 32 bit wide.
const maxBytes = 1 << 30

// over tells whether n exceeds limit, if there is one.
func over(n, limit int) bool { return limit > 0 && n > limit }

// Kind says what was wrong with the input, as far as an XMPP entity has different answers to it (RFC 6120 §4.9.3).
type Kind uint8

// The kinds of Error, with the stream error that each stands for.
const (
	NotWellFormed Kind = iota + 1 // not-well-formed: no XML
	Restricted                    // restricted-xml: document type, processing instruction, comment, entity
	BadPrefix                     // bad-namespace-prefix: undeclared or wrongly bound prefix
	BadEncoding                   // unsupported-encoding: not UTF-8
	TooLarge                      // policy-violation: one of the Limits
)

// String is the kind in words.
func (k Kind) String() string {
	switch k {
	case NotWellFormed:
		return "not well-formed"
	case Restricted:
		return "restricted XML"
	case BadPrefix:
		return "bad namespace prefix"
	case BadEncoding:
		return "unsupported encoding"
	case TooLarge:
		return "too large"
	}
	return "kind " + strconv.Itoa(int(k))
}

// Error is what a Scanner or Parse refuses input with.
type Error struct {
	Kind   Kind
	Reason string // one clause for logs and for the text of a stream error; contains nothing of the input
	Offset int64  // bytes of the stream, or of the string, before the place
}

// Error says what is wrong and where.
func (e *Error) Error() string {
	return "xml: " + e.Kind.String() + " at byte " + strconv.FormatInt(e.Offset, 10) + ": " + e.Reason
}

// ErrMore means that the Scanner has used up what it was fed.
var ErrMore = errors.New("xml: more bytes are needed")

// more is the same between the functions of this package: the token that begins here is cut.
var more = &Error{Reason: "more bytes are needed"}

// bad makes an Error at a place in the bytes at hand; the Scanner turns the place into one of the stream.
func bad(k Kind, at int, reason string) *Error {
	return &Error{Kind: k, Reason: reason, Offset: int64(at)}
}
