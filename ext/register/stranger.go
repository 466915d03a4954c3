package register

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"parley/auth"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// Stranger makes accounts for people who are not signed in (XEP-0077 §3.1). Who comes from this computer may make any
// number.
type Stranger struct {
	// Unlimited lifts the rates for everybody; it is set before the first use, if at all.
	Unlimited bool

	accounts *auth.Accounts
	rates    rates
}

// NewStranger makes accounts among these.
func NewStranger(accounts *auth.Accounts) *Stranger {
	return &Stranger{accounts: accounts, rates: rates{networks: map[netip.Prefix]*network{}}}
}

// Form is what a new account needs.
func (r *Stranger) Form() *xml.Element {
	return xml.New(NS, "query").With(
		xml.New(NS, "instructions").WithText(fmt.Sprintf("Choose a user name, and a password of at least %d characters.", auth.MinPassword)),
		xml.New(NS, "username"),
		xml.New(NS, "password"),
	)
}

// Handle answers an iq about registration from a stream whose other end is at remote: with the payload of the result,
// which may be nil, or with an error. What its peer did wrong is a *stanza.Error.
func (r *Stranger) Handle(ctx context.Context, el *xml.Element, remote netip.Addr) (*xml.Element, error) {
	query := el.Child(NS, "query")
	switch {
	case query == nil:
		return nil, stanza.Bad(stanza.NotAuthorized, "Sign in first.")
	case el.Attr("type") == stanza.Get:
		return r.Form(), nil
	case el.Attr("type") != stanza.Set:
		return nil, stanza.Bad(stanza.BadRequest, "A registration is asked for with get or set.")
	case query.Has(NS, "remove"):
		return nil, stanza.Bad(stanza.Forbidden, "Sign in to remove your account.")
	}
	username, password, ok := read(query)
	if !ok {
		return nil, stanza.Bad(stanza.NotAcceptable, "A new account needs a user name and a password.")
	}
	return nil, r.add(ctx, username, password, remote)
}

func (r *Stranger) add(ctx context.Context, username, password string, remote netip.Addr) error {
	if !r.Unlimited && !remote.Unmap().IsLoopback() {
		n := prefix(remote)
		if wait := r.rates.take(n, time.Now()); wait > 0 {
			minutes := int((wait + time.Minute - 1) / time.Minute)
			unit := "minutes"
			if minutes == 1 {
				unit = "minute"
			}
			return stanza.Bad(stanza.ResourceConstraint,
				fmt.Sprintf("Too many accounts were asked for from your network. Try again in %d %s.", minutes, unit))
		}
		made := false
		defer func() {
			if !made {
				r.rates.giveBack(n)
			}
		}()
		_, err := r.accounts.Add(ctx, username, password)
		made = err == nil
		return refusal(err)
	}
	_, err := r.accounts.Add(ctx, username, password)
	return refusal(err)
}

// prefix is the network that counts as one: an IPv4 address, or what a household gets of IPv6.
func prefix(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil { // no address at all: all of these count as one network
		return netip.Prefix{}
	}
	return p
}

// How much one network may do in an hour, and how many networks are remembered.
const (
	perHour     = 3  // accounts
	triesAnHour = 30 // attempts that make none: names that are taken can be found out by trying
	window      = time.Hour
	maxNetworks = 10000
)

// rates bounds what each network does.
type rates struct {
	mu       sync.Mutex
	networks map[netip.Prefix]*network // guarded by mu
}

// network is what one network has done since start.
type network struct {
	start       time.Time
	made, tried int
}

// take takes a place for one new account, or says how long to wait.
func (r *rates) take(p netip.Prefix, now time.Time) (wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.networks[p]
	if n != nil && now.Sub(n.start) >= window {
		delete(r.networks, p)
		n = nil
	}
	if n == nil {
		if len(r.networks) >= maxNetworks {
			if wait := r.clear(now); wait > 0 {
				return wait
			}
		}
		n = &network{start: now}
		r.networks[p] = n
	}
	if n.made >= perHour || n.tried >= triesAnHour {
		return n.start.Add(window).Sub(now)
	}
	n.made++
	n.tried++
	return 0
}

// clear forgets networks whose hour is over; when there is none, it says how long to wait for the first. The caller
// holds mu.
func (r *rates) clear(now time.Time) (wait time.Duration) {
	first := now
	for p, n := range r.networks {
		if now.Sub(n.start) >= window {
			delete(r.networks, p)
		} else if n.start.Before(first) {
			first = n.start
		}
	}
	if len(r.networks) < maxNetworks {
		return 0
	}
	return first.Add(window).Sub(now)
}

// giveBack returns a place that no account was made with. The attempt has been one all the same.
func (r *rates) giveBack(p netip.Prefix) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := r.networks[p]; n != nil && n.made > 0 {
		n.made--
	}
}
