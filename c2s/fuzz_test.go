package c2s_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/c2s"
	"parley/imtest"
	"parley/xmpp/sasl"
	"parley/xmpp/stream"
)

// stranger is a client that does whatever it is told, in whatever order.
type stranger struct {
	near net.Conn
	x    *sasl.Client // the exchange under way
	got  chan string  // what came, while it reads
	text string       // of it, what has not been looked at
	deaf chan bool    // whether it reads
}

// events are what a stranger can do. One byte of the fuzzer's input chooses; the next one, where it is used, how.
var events = []func(s *stranger, how byte){
	func(s *stranger, _ byte) { s.send(header) },
	func(s *stranger, _ byte) { s.send(strings.Replace(header, "localhost", "elsewhere", 1)) },
	func(s *stranger, _ byte) { s.first("alice") },
	func(s *stranger, _ byte) { s.proof("") },
	func(s *stranger, _ byte) { s.proof("wrong") },
	func(s *stranger, _ byte) { s.first("nobody") },
	func(s *stranger, _ byte) { s.send("<abort xmlns='" + stream.NSSASL + "'/>") },
	func(s *stranger, _ byte) { s.send("<auth xmlns='" + stream.NSSASL + "' mechanism='SCRAM-SHA-256'/>") },
	func(s *stranger, _ byte) { s.send("<auth xmlns='" + stream.NSSASL + "' mechanism='PLAIN'>AA==</auth>") },
	func(s *stranger, how byte) { s.send(proofMessage(strings.Repeat(",", int(how)))) },
	func(s *stranger, _ byte) { s.send("<starttls xmlns='" + stream.NSTLS + "'/>") },
	func(s *stranger, _ byte) { s.send("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") },
	func(s *stranger, how byte) {
		s.send(fmt.Sprintf("<iq type='set' id='b'><bind xmlns='%s'><resource>%c</resource></bind></iq>", stream.NSBind, 'a'+how%3))
	},
	func(s *stranger, _ byte) { s.send("<iq type='set' id='b'><bind xmlns='" + stream.NSBind + "'/></iq>") },
	func(s *stranger, _ byte) { s.send("<iq type='get' id='r'><query xmlns='jabber:iq:register'/></iq>") },
	func(s *stranger, how byte) {
		s.send(fmt.Sprintf("<presence><priority>%d</priority></presence>", int8(how)))
	},
	func(s *stranger, _ byte) { s.send("<presence type='unavailable'/>") },
	func(s *stranger, _ byte) { s.send("<presence type='probe' to='alice@localhost'/>") },
	func(s *stranger, how byte) {
		s.send(strings.Repeat("<message to='alice@localhost' type='chat'><body>"+strings.Repeat("x", 2000)+"</body></message>", int(how)))
	},
	func(s *stranger, _ byte) {
		s.send("<message to='alice@localhost/a' type='error'><body>x</body></message>")
	},
	func(s *stranger, _ byte) {
		s.send("<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
	},
	func(s *stranger, _ byte) { s.send("<iq type='result' id='p' to='alice@localhost/b'/>") },
	func(s *stranger, _ byte) { s.send("<iq type='get' id='p' to='alice@localhost/c'><x/></iq>") },
	func(s *stranger, how byte) { s.send(strings.Repeat(" ", int(how)+1)) },
	func(s *stranger, _ byte) { s.send("<message to='alice@localhost'><bo") },
	func(s *stranger, _ byte) { s.send("dy>x</body></message>") },
	func(s *stranger, how byte) { s.send("<" + string(rune(how)) + "/>") },
	func(s *stranger, _ byte) { s.send("<x><x><x><x/></x></x></x>") },
	func(s *stranger, how byte) { s.send("<x>" + strings.Repeat("x", 2000*int(how)) + "</x>") },
	func(s *stranger, _ byte) { s.send("</stream:stream>") },
	func(s *stranger, how byte) { s.deaf <- how%2 == 0 },
	func(s *stranger, how byte) { time.Sleep(time.Duration(how) * 100 * time.Millisecond) },
}

// send writes without waiting for long: a server that does not read is what the next event meets.
func (s *stranger) send(text string) {
	_ = s.near.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = s.near.Write([]byte(text))
	synctest.Wait()
}

func (s *stranger) first(name string) {
	var err error
	if s.x, err = sasl.NewClient(name, imtest.Password, ""); err != nil {
		panic(err)
	}
	out, _, err := s.x.Step(nil)
	if err != nil {
		panic(err)
	}
	s.send(firstMessage(string(out)))
}

// proof answers the challenge that came last, if one did.
func (s *stranger) proof(spoil string) {
	for more := true; more; {
		select {
		case text, ok := <-s.got:
			s.text, more = s.text+text, ok
		default:
			more = false
		}
	}
	_, text, found := strings.Cut(s.text, "<challenge xmlns='"+stream.NSSASL+"'>")
	if !found || s.x == nil {
		return
	}
	text, s.text, _ = strings.Cut(text, "</challenge>")
	in, err := sasl.Decode(text)
	if err != nil {
		return
	}
	if out, _, err := s.x.Step(in); err == nil {
		s.send(proofMessage(string(out[:len(out)-len(spoil)]) + spoil))
	}
}

// read passes on what comes until the connection ends, except while it is told to be deaf.
func (s *stranger) read() {
	buf := make([]byte, 4096)
	deaf := false
	for {
		select {
		case deaf = <-s.deaf:
			continue
		default:
		}
		if deaf {
			select {
			case deaf = <-s.deaf:
			case <-time.After(time.Minute):
				deaf = false
			}
			continue
		}
		n, err := s.near.Read(buf)
		if err != nil {
			close(s.got)
			return
		}
		select {
		case s.got <- string(buf[:n]):
		default: // nobody looks
		}
	}
}

// FuzzNegotiation lets strangers do anything in any order. The server neither panics nor waits for ever, and when they
// have gone, nothing of them is left.
func FuzzNegotiation(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0, 2, 0, 3, 0, 0, 0, 12, 0, 15, 1, 18, 3, 20, 0, 29, 0})           // as it should be
	f.Add([]byte{0, 0, 2, 0, 4, 0, 2, 0, 4, 0, 2, 0, 4, 0, 2, 0, 3, 0})                      // three wrong proofs
	f.Add([]byte{1, 0, 0, 0, 10, 0, 11, 0})                                                  // STARTTLS
	f.Add([]byte{0, 0, 2, 0, 6, 0, 7, 0, 2, 0, 3, 0, 0, 0, 20, 0, 13, 0, 30, 0, 18, 255})    // deaf
	f.Add([]byte{0, 0, 2, 0, 3, 0, 0, 0, 12, 0, 15, 0, 24, 0, 31, 255, 25, 0, 16, 0, 15, 5}) // in pieces
	f.Add([]byte{0, 0, 31, 255, 31, 255, 14, 0, 2, 0})                                       // slowly
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) > 200 {
			return
		}
		synctest.Test(t, func(t *testing.T) { negotiate(t, input) })
	})
}

func negotiate(t *testing.T, input []byte) {
	r := newRoom(t, roomOptions{block: time.Minute, Config: c2s.Config{Settings: c2s.Settings{Timeout: 10 * time.Minute}}}, "alice")
	near, far := net.Pipe()
	mode := c2s.Insecure
	if len(input) > 0 && input[0] == 1 {
		mode = c2s.StartTLS
		r.TLS = serverTLS(t)
	}
	done := make(chan struct{})
	r.ends.Go(func() {
		defer close(done)
		r.Run(r.ctx, far, mode)
		_ = far.Close()
	})
	s := &stranger{near: near, got: make(chan string, 100), deaf: make(chan bool, 100)}
	r.ends.Go(s.read)
	for i := 2; i+1 < len(input); i += 2 {
		events[int(input[i])%len(events)](s, input[i+1])
	}
	_ = near.Close()
	select {
	case <-done:
	case <-time.After(5 * time.Minute):
		t.Fatal("still there five minutes after the other side has gone")
	}
	if waiting, all := r.Counts(); waiting+all+r.Networks() != 0 {
		t.Errorf("%d connections are still counted", all)
	}
	a, err := r.Hall.Account(t.Context(), "alice")
	if err != nil || len(a.Sessions()) != 0 || len(r.Hall.Online()) != 0 {
		t.Errorf("sessions are left: %v (%v)", a.Sessions(), err)
	}
}
