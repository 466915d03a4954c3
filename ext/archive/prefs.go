package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"parley/im"
	"parley/store"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// keyPrefs is the KV key of an account's preferences, as JSON; absent: all is kept.
const keyPrefs = "archive/prefs"

// Bounds of the preferences, both lists together.
const (
	maxRules     = 200
	maxRuleBytes = 16 << 10
)

// prefs are what an account wants to be kept (XEP-0441). Addresses are in the form in which they are compared.
type prefs struct {
	Default string   `json:"default"` // always, never or roster
	Always  []string `json:"always,omitempty"`
	Never   []string `json:"never,omitempty"`
}

// rules are prefs made ready to be asked. They are not changed.
type rules struct {
	byDefault string
	listed    map[string]bool
}

func (p *prefs) rules() *rules {
	r := &rules{byDefault: p.Default, listed: make(map[string]bool, len(p.Always)+len(p.Never))}
	for _, who := range p.Never {
		r.listed[who] = false
	}
	for _, who := range p.Always { // who is in both lists is kept
		r.listed[who] = true
	}
	return r
}

// wants tells whether an account wants what it writes to somebody, or gets from him, in its archive. A list's full address
// counts before a bare one (XEP-0441 §3.1).
func (a *Archive) wants(account *im.Account, who jid.JID) bool {
	r := a.rulesOf(account.Owner())
	if r == nil {
		return true
	}
	for _, name := range [2]string{who.String(), who.Bare().String()} {
		if keep, ok := r.listed[name]; ok {
			return keep
		}
	}
	return r.byDefault == "always" || r.byDefault == "roster" && account.Knows(who)
}

// rulesOf is what an account prefers, nil when it has never said.
func (a *Archive) rulesOf(o store.Owner) *rules {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.rules[o]
}

// prefs answers with the preferences (XEP-0441 §2).
func (a *Archive) prefs(ctx context.Context, q *im.Query) (*xml.Element, error) {
	p := prefs{Default: "always"}
	v, err := a.srv.Store().KV.Get(ctx, q.Account.Owner(), keyPrefs)
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return nil, fmt.Errorf("archive: read preferences: %w", err)
	default:
		if err := json.Unmarshal(v, &p); err != nil {
			return nil, fmt.Errorf("archive: read preferences: %w", err)
		}
	}
	return p.element(), nil
}

// setPrefs replaces the preferences.
func (a *Archive) setPrefs(ctx context.Context, q *im.Query) (*xml.Element, error) {
	p, err := parsePrefs(q.Payload)
	if err != nil {
		return nil, err
	}
	v, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("archive: keep preferences: %w", err)
	}
	o, kv := q.Account.Owner(), a.srv.Store().KV
	a.changing.Lock()
	defer a.changing.Unlock()
	if err := kv.Set(q.Journey, o, keyPrefs, v); err != nil {
		return nil, fmt.Errorf("archive: keep preferences: %w", err)
	}
	a.mu.Lock()
	a.rules[o] = p.rules()
	a.mu.Unlock()
	return p.element(), nil
}

// parsePrefs reads preferences. The error is one for the client.
func parsePrefs(el *xml.Element) (*prefs, error) {
	p := &prefs{Default: el.Attr("default")}
	switch p.Default {
	case "always", "never", "roster":
	default:
		return nil, stanza.Bad(stanza.BadRequest, "The default has to be always, never or roster.")
	}
	n, size := 0, 0
	for list := range el.Children() {
		var to *[]string
		switch list.Name {
		case xml.Name{Space: NS, Local: "always"}:
			to = &p.Always
		case xml.Name{Space: NS, Local: "never"}:
			to = &p.Never
		default:
			continue
		}
		for c := range list.Children() {
			if c.Name != (xml.Name{Space: NS, Local: "jid"}) {
				continue
			}
			who, err := jid.Parse(c.Text())
			if err != nil {
				return nil, stanza.Bad(stanza.JIDMalformed, "An address of the lists is not a valid one.")
			}
			if n, size = n+1, size+len(who.String()); n > maxRules || size > maxRuleBytes {
				return nil, stanza.Bad(stanza.ResourceConstraint, fmt.Sprintf("The lists hold at most %d addresses and %d KiB.", maxRules, maxRuleBytes>>10))
			}
			*to = append(*to, who.String())
		}
	}
	return p, nil
}

func (p *prefs) element() *xml.Element {
	list := func(name string, who []string) *xml.Element {
		el := xml.New(NS, name)
		for _, s := range who {
			el = el.With(xml.New(NS, "jid").WithText(s))
		}
		return el
	}
	return xml.New(NS, "prefs", xml.A("default", p.Default)).With(list("always", p.Always), list("never", p.Never))
}
