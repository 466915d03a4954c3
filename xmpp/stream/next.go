package stream

import "parley/xmpp/xml"

// Next is Read as far as the peer has sent the next element already; xml.ErrMore: it takes Await. The element is lent: it is
// good until the next call, what is copied of it stays good.
func (c *Conn) Next() (*xml.Element, error) {
	el, err := c.scan.Lend()
	if err == nil {
		return el, nil
	}
	return nil, asStreamError(err)
}
