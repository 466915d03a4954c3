// Package rsm pages through long results (XEP-0059): what the one who asks wants of them, and what he was given.
//
//	<set xmlns='http://jabber.org/protocol/rsm'> <max>50</max> <after>ID</after> </set>       the page behind ID
//	                                                           <before>ID</before>            the page in front of ID
//	                                                           <before/>                      the last page
//	<set> <first>ID</first> <last>ID</last> <count>800</count> </set>                         the answer
package rsm

import (
	"errors"
	"strconv"

	"parley/xmpp/xml"
)

// NS is the namespace.
const NS = "http://jabber.org/protocol/rsm"

// Request says which page is wanted.
type Request struct {
	Max    int    // items at most; below 0: as the other side likes
	After  string // only what comes behind the item of this id; "": from the beginning
	Before string // only what comes in front of the item of this id; "": up to the end
	Last   bool   // <before/> is there: those items at the end of what After and Before leave, not those at its beginning
}

// Page says what was given.
type Page struct {
	First, Last string // ids; "" when there is no item
	Count       int    // of all items, on whatever page; below 0: not said
}

// The errors of Parse.
var (
	ErrMax   = errors.New("rsm: max is not a whole number")
	ErrIndex = errors.New("rsm: pages cannot be asked for by index")
)

var set = xml.Name{Space: NS, Local: "set"}

// Parse reads the request inside query; without one, the first page of any size is wanted.
func Parse(query *xml.Element) (Request, error) {
	r := Request{Max: -1}
	el := query.Child(set.Space, set.Local)
	if el == nil {
		return r, nil
	}
	for c := range el.Children() {
		if c.Name.Space != NS {
			continue
		}
		switch c.Name.Local {
		case "max":
			n, ok := number(c.Text())
			if !ok {
				return r, ErrMax
			}
			r.Max = n
		case "after":
			r.After = c.Text()
		case "before":
			r.Before, r.Last = c.Text(), true
		case "index":
			return r, ErrIndex
		}
	}
	return r, nil
}

// number reads an xs:unsignedInt; what is more than an int32 is as good as that.
func number(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, false
	}
	return int(n), true
}

// Element is the request as it stands inside a query.
func (r Request) Element() *xml.Element {
	var kids []*xml.Element
	if r.Max >= 0 {
		kids = append(kids, child("max", strconv.Itoa(r.Max)))
	}
	if r.After != "" {
		kids = append(kids, child("after", r.After))
	}
	if r.Last || r.Before != "" {
		kids = append(kids, child("before", r.Before))
	}
	return xml.New(set.Space, set.Local).With(kids...)
}

// ParsePage reads what was given from the element that answers a query; ok is false when it does not say.
func ParsePage(answer *xml.Element) (p Page, ok bool) {
	p.Count = -1
	el := answer.Child(set.Space, set.Local)
	if el == nil {
		return p, false
	}
	if c := el.Child(NS, "first"); c != nil {
		p.First = c.Text()
	}
	if c := el.Child(NS, "last"); c != nil {
		p.Last = c.Text()
	}
	if c := el.Child(NS, "count"); c != nil {
		if n, ok := number(c.Text()); ok {
			p.Count = n
		}
	}
	return p, true
}

// Element is the page as it stands inside an answer.
func (p Page) Element() *xml.Element {
	var kids []*xml.Element
	if p.First != "" {
		kids = append(kids, child("first", p.First))
	}
	if p.Last != "" {
		kids = append(kids, child("last", p.Last))
	}
	if p.Count >= 0 {
		kids = append(kids, child("count", strconv.Itoa(p.Count)))
	}
	return xml.New(set.Space, set.Local).With(kids...)
}

func child(name, text string) *xml.Element {
	el := xml.New(NS, name)
	if text == "" {
		return el
	}
	return el.WithText(text)
}
