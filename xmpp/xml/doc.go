// Package xml reads and writes the XML of XMPP (RFC 6120 §4, §11): one strict scanner, one serializer, nothing besides.
//
//	bytes ──Scanner.Feed──▶ reader (tokens, limits, index of children) ──▶ Element ──Element.Append──▶ bytes
//	                            │ a prefix occurs
//	                            └──▶ canonical form, once ──▶ reader
//
// Scanner finds the end of each first-level element of a stream, checks it completely and indexes its direct children
// in one pass over the bytes, which may arrive one by one. Whatever it yields is well-formed, has unique attributes and
// resolved namespaces, and stays below the Limits. What RFC 6120 §11.1 forbids (comments, processing instructions,
// document types, entities of one's own) has no way in.
//
// Content, the inside of an element, stays text. Most of what a server forwards it never looks into, and the few
// children that it does look at are found by the index and parsed one by one on demand. So that a child can be cut
// out or put elsewhere as it stands, content is canonical: no element has a prefix, namespaces are declared as default
// namespaces only, and the prefix of an attribute (xml: apart) is declared on the same element. Nearly all stanzas are
// written that way already and are kept as they came; the others are rewritten once, when they are read.
//
// Elements, contents and attributes are immutable values: methods that change something return a copy.
package xml
