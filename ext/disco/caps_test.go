package disco

import (
	"testing"

	"parley/xmpp/xml"
)

// The examples of XEP-0115 §5.2 and §5.3, whose hashes the specification gives.
func TestHash(t *testing.T) {
	for _, c := range []struct{ name, info, want string }{
		{"simple", `<query xmlns='http://jabber.org/protocol/disco#info'>
			<identity category='client' name='Exodus 0.9.1' type='pc'/>
			<feature var='http://jabber.org/protocol/caps'/><feature var='http://jabber.org/protocol/disco#info'/>
			<feature var='http://jabber.org/protocol/disco#items'/><feature var='http://jabber.org/protocol/muc'/></query>`,
			"QgayPKawpkPSDYmwT/WM94uAlu0="},
		{"complex", `<query xmlns='http://jabber.org/protocol/disco#info'>
			<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>
			<identity xml:lang='el' category='client' name='Ψ 0.11' type='pc'/>
			<feature var='http://jabber.org/protocol/caps'/><feature var='http://jabber.org/protocol/disco#info'/>
			<feature var='http://jabber.org/protocol/disco#items'/><feature var='http://jabber.org/protocol/muc'/>
			<x xmlns='jabber:x:data' type='result'>
			<field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>
			<field var='ip_version' type='text-multi'><value>ipv4</value><value>ipv6</value></field>
			<field var='os'><value>Mac</value></field><field var='os_version'><value>10.5.1</value></field>
			<field var='software'><value>Psi</value></field><field var='software_version'><value>0.11</value></field></x></query>`,
			"q07IKJEyjvHSyhy//CH0CxmKi8w="},
	} {
		el, err := xml.Parse(c.info, "", xml.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got := hash(el); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// TestHashOrder: names are sorted as they are, not with what is written behind them.
func TestHashOrder(t *testing.T) {
	parse := func(s string) *xml.Element {
		el, err := xml.Parse("<query xmlns='http://jabber.org/protocol/disco#info'>"+s+"</query>", "", xml.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		return el
	}
	a, b := "<feature var='urn:x'/>", "<feature var='urn:x#y'/>"
	want := "NEO/KNHjc0FunLIZKPjKg4DPUkg=" // base64 of SHA-1 of "urn:x<urn:x#y<"
	if got := hash(parse(a + b)); got != want || hash(parse(b+a)) != want {
		t.Errorf("got %s", got)
	}
}
