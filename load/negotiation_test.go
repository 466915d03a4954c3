package load

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// opening is how another server than Parley may begin.
const opening = "<?xml version=\"1.0\"?>\n<stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client'\n from='there' id='>'>" +
	"<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>"

// TestAnswers: whatever a server says while somebody signs in, in pieces of one byte too, is taken for what it is.
func TestAnswers(t *testing.T) {
	bind := opening[:strings.Index(opening, "<mechanisms")] + "<bind/></stream:features>"
	success := opening + "|<sasl:success xmlns:sasl='urn:ietf:params:xml:ns:xmpp-sasl'/>|" + bind + "|"
	for _, c := range []struct{ server, says string }{
		{success + " <iq id='bind' type='result'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>u0@there/x</jid></bind></iq>", ""},
		{success + "<iq id='bind' type='error'><error type='wait'/></iq>", "load: binding a resource was answered with <iq id='bind' type='error'><error type='wait'/></iq>"},
		{strings.Replace(success, "PLAIN", "\n PLAIN", 1) + "</stream:stream>", "load: sign in: the server has closed the stream"},
		{opening + "|<iq/>", "load: the proof of the password was answered with <iq>"},
		{opening + "|<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><x/><text>off</text></failure>", "the server refuses to sign in: x: off"},
		{opening + "|<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>", "load: sign in: stream error conflict"},
		{opening + "|<challenge>*</challenge>", "load: sign in: "},
		{strings.Replace(opening, "features>", "x>", 2), "load: expected the stream's features, got <x>"},
		{strings.Replace(opening, "PLAIN", "X-1", 1), "the server does not offer PLAIN here, but X-1"},
		{"HTTP/1.1 400 Bad Request\r\n\r\n", "load: sign in: what the server says is not XMPP"},
		{"<html><body>", "load: sign in: what the server says is not XMPP"},
		{"\x15\x03\x01\x00\x02\x02\x46", "load: sign in: what the server says is not XMPP"},
		{"<>", "load: sign in: what the server says is not XMPP"},
		{opening + "|<a>" + strings.Repeat("x", maxAnswer), "load: sign in: the server does not come to an end"},
		{"", "load: sign in: unexpected EOF"},
	} {
		for _, whole := range []bool{true, false} {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				nc, err := ln.Accept()
				if err != nil {
					return
				}
				defer nc.Close()
				for _, part := range strings.Split(c.server, "|") {
					_, _ = nc.Read(make([]byte, 4096))
					for step := len(part); len(part) > 0; part = part[step:] {
						if !whole && len(part) < 1000 {
							step = 1
						}
						_, _ = io.WriteString(nc, part[:step])
					}
				}
				_ = nc.(*net.TCPConn).CloseWrite()
				_, _ = io.Copy(io.Discard, nc)
			}()
			cfg := quick("idle", ln.Addr().String(), 1)
			cfg.patience = 5 * time.Second
			got, err := cfg.signIn(t.Context(), 0, &user{Account: cfg.Accounts[0]})
			switch {
			case err == nil && (c.says != "" || got.jid != "u0@there/x" || got.domain != "there"):
				t.Errorf("%s: no error, %+v", c.server, got)
			case err != nil && (c.says == "" || !strings.HasPrefix(err.Error(), c.says)):
				t.Errorf("%s: %v, want %s", c.server, err, c.says)
			}
			if err == nil {
				_ = got.wire.Close()
			}
			_ = ln.Close()
		}
	}
}
