package register_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"parley/ext/register"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

func iq(typ, inside string) *xml.Element {
	el, err := xml.Parse("<iq type='"+typ+"' id='1'>"+inside+"</iq>", stanza.NSClient, xml.Limits{})
	if err != nil {
		panic(err)
	}
	return el
}

var (
	local   = netip.MustParseAddr("127.0.0.1")
	distant = netip.MustParseAddr("192.0.2.1")
)

func TestStranger(t *testing.T) {
	_, accounts := hall(t, "alice")
	r := register.NewStranger(accounts)
	el, err := r.Handle(t.Context(), iq("get", query("")), distant)
	want := query("<instructions>Choose a user name, and a password of at least 10 characters.</instructions><username/><password/>")
	if err != nil || el.String() != want || r.Form().String() != want {
		t.Errorf("form: %v, %v", el, err)
	}
	if el, err := r.Handle(t.Context(), iq("set", fields("Bob", password)), local); el != nil || err != nil {
		t.Errorf("set: %v, %v", el, err)
	}
	if _, ok := accounts.Lookup("bob"); !ok {
		t.Error("there is no bob")
	}
	for _, c := range []struct {
		typ, inside string
		want        stanza.Condition
		text        string
	}{
		{"set", fields("bob", password), stanza.Conflict, "The name bob is taken. Choose another one."},
		{"set", fields("ALICE", password), stanza.Conflict, "The name alice is taken. Choose another one."},
		{"set", fields("", password), stanza.NotAcceptable, `"" cannot be a user name: it is empty.`},
		{"set", fields("two words", password), stanza.NotAcceptable, `"two words" cannot be a user name: it has a space.`},
		{"set", fields("carol", "short"), stanza.NotAcceptable, "The password is too short: it has 5 characters, at least 10 are needed."},
		{"set", query("<username>carol</username>"), stanza.NotAcceptable, "A new account needs a user name and a password."},
		{"set", query(""), stanza.NotAcceptable, "A new account needs a user name and a password."},
		{"set", query("<remove/>"), stanza.Forbidden, "Sign in to remove your account."},
		{"result", query(""), stanza.BadRequest, "A registration is asked for with get or set."},
		{"set", "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>", stanza.NotAuthorized, "Sign in first."},
	} {
		_, err := r.Handle(t.Context(), iq(c.typ, c.inside), local)
		var e *stanza.Error
		if !errors.As(err, &e) || e.Condition != c.want || e.Text != c.text {
			t.Errorf("%s %s: %v", c.typ, c.inside, err)
		}
	}
	if accounts.Count() != 2 {
		t.Errorf("%d accounts", accounts.Count())
	}
}

// try registers somebody and returns the condition of the refusal.
func try(t *testing.T, r *register.Stranger, name, pass, addr string) (stanza.Condition, string) {
	t.Helper()
	_, err := r.Handle(t.Context(), iq("set", fields(name, pass)), netip.MustParseAddr(addr))
	var e *stanza.Error
	if err != nil && !errors.As(err, &e) {
		t.Fatal(err)
	}
	if e == nil {
		return "", ""
	}
	return e.Condition, e.Text
}

func TestStrangerRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, accounts := hall(t)
		r := register.NewStranger(accounts)
		n := 0
		add := func(addr string) stanza.Condition {
			n++
			c, _ := try(t, r, fmt.Sprintf("user%d", n), password, addr)
			return c
		}
		for range 3 {
			if c := add("192.0.2.1"); c != "" {
				t.Fatal(c)
			}
		}
		time.Sleep(10 * time.Minute)
		c, text := try(t, r, "more", password, "192.0.2.1")
		if c != stanza.ResourceConstraint || text != "Too many accounts were asked for from your network. Try again in 50 minutes." {
			t.Errorf("the fourth: %s, %s", c, text)
		}
		if c := add("::ffff:192.0.2.1"); c != stanza.ResourceConstraint {
			t.Errorf("the same address, written otherwise: %s", c)
		}
		if c := add("192.0.2.2"); c != "" {
			t.Errorf("another address: %s", c)
		}
		for i := range 4 { // a /64 is one network
			if c := add(fmt.Sprintf("2001:db8::%x", i+1)); (c != "") != (i == 3) {
				t.Errorf("IPv6, number %d: %s", i+1, c)
			}
		}
		if c := add("2001:db8:0:1::1"); c != "" {
			t.Errorf("another /64: %s", c)
		}
		for _, addr := range []string{"127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"} {
			for range 4 {
				if c := add(addr); c != "" {
					t.Errorf("%s: %s", addr, c)
				}
			}
		}
		time.Sleep(50 * time.Minute)
		if c := add("192.0.2.1"); c != "" {
			t.Errorf("an hour later: %s", c)
		}
		r.Unlimited = true
		for range 5 {
			if c := add("192.0.2.3"); c != "" {
				t.Errorf("unlimited: %s", c)
			}
		}
	})
}

// TestStrangerTries: attempts that make no account leave the three, but are not free for ever.
func TestStrangerTries(t *testing.T) {
	_, accounts := hall(t, "alice")
	r := register.NewStranger(accounts)
	for i := range 27 {
		if c, _ := try(t, r, "alice", password, "192.0.2.1"); c != stanza.Conflict {
			t.Fatalf("number %d: %s", i+1, c)
		}
	}
	for _, name := range []string{"bob", "carol", "dave"} {
		if c, _ := try(t, r, name, password, "192.0.2.1"); c != "" {
			t.Errorf("%s: %s", name, c)
		}
	}
	for range 2 {
		if c, _ := try(t, r, "alice", password, "192.0.2.1"); c != stanza.ResourceConstraint {
			t.Errorf("after thirty: %s", c)
		}
	}
}

// TestStrangerMemory: addresses that never end do not fill the memory, and cannot push out those that count.
func TestStrangerMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, accounts := hall(t)
		r := register.NewStranger(accounts)
		for i := range 10000 {
			if c, _ := try(t, r, "x", "short", fmt.Sprintf("2001:db8:%x:%x::1", i/1000+1, i%1000)); c != stanza.NotAcceptable {
				t.Fatalf("number %d: %s", i+1, c)
			}
		}
		if c, _ := try(t, r, "bob", password, "192.0.2.1"); c != stanza.ResourceConstraint {
			t.Errorf("one more network: %s", c)
		}
		time.Sleep(time.Hour)
		if c, _ := try(t, r, "bob", password, "192.0.2.1"); c != "" {
			t.Errorf("an hour later: %s", c)
		}
	})
}
