package sim

import (
	"errors"
	"fmt"

	"parley/xmpp/sasl"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// signIn opens the stream and signs in, and then goes on with the device's last session or binds a new one.
func (s *session) signIn() error {
	if err := s.begin(); err != nil {
		return err
	}
	first := xml.New(stream.NSSASL, "auth", xml.A("mechanism", sasl.Mechanism))
	challenge, err := s.say(first, "n,,"+firstMessage(s.d.account), "challenge")
	if err != nil {
		return err
	}
	if _, err := s.say(xml.New(stream.NSSASL, "response"), s.d.w.keys[s.d.account].finalMessage(s.d.account, challenge), "success"); err != nil {
		return err
	}
	s.conn.Restart()
	if err := s.begin(); err != nil {
		return err
	}
	s.d.mu.Lock()
	x := s.d.managed
	s.d.mu.Unlock()
	if x != nil && s.d.r.IntN(8) > 0 {
		ok, err := s.resume(x)
		if ok {
			s.managed, s.resumed = x, true
		}
		if ok || err != nil {
			return err
		}
	}
	return s.bind()
}

// say sends a message of SASL and returns the answer, which must be an element of that name.
func (s *session) say(el *xml.Element, text, want string) (string, error) {
	if err := s.conn.Send(el.WithText(sasl.Encode([]byte(text)))); err != nil {
		return "", err
	}
	got, err := s.conn.Read()
	if err != nil {
		return "", err
	}
	if err := stream.ReadError(got); err != nil {
		return "", err // the server stops
	}
	if got.Name.Local != want {
		s.d.w.refute("%s does not get in: %s", s.d.name(), got)
		return "", errors.New("refused")
	}
	answer, err := sasl.Decode(got.Text())
	return string(answer), err
}

// begin opens the stream and reads the features.
func (s *session) begin() error {
	if err := s.conn.Open(stream.Header{To: "localhost"}); err != nil {
		return err
	}
	if _, err := s.conn.Header(); err != nil {
		return err
	}
	_, err := s.conn.Read()
	return err
}

func (s *session) bind() error {
	s.d.mu.Lock()
	s.d.managed = nil
	s.d.mu.Unlock()
	err := s.conn.Write([]byte("<iq type='set' id='bind'><bind xmlns='" + stream.NSBind + "'><resource>" + s.d.resource + "</resource></bind></iq>"))
	if err != nil {
		return err
	}
	el, err := s.conn.Read()
	if err == nil && el.Attr("type") != "result" {
		err = fmt.Errorf("bind: %s", el)
	}
	return err
}
