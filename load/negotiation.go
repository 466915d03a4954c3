package load

import (
	"errors"
	"fmt"
	"io"

	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// negotiation is a connection that is not signed in yet. It frames what the server says as the loop does, and takes apart only
// what it has to tell a person: a sign-in of a thousand is work that the server's processors lack.
type negotiation struct {
	cfg  *Config
	wire *wire
	stop func() bool // nothing is broken off any more when the context ends

	buf      []byte
	in       []byte // of buf: read, and not looked at yet
	root     string // the start tag of the server's stream
	domain   string
	features []byte // until the next answer
}

// maxAnswer is more than any server says at once while somebody signs in.
const maxAnswer = 64 << 10

// header opens the stream, anew after each step, and reads what is offered.
func (g *negotiation) header() error {
	own := stream.Header{To: g.domain}
	if err := g.write(string(own.Append(nil))); err != nil {
		return err
	}
	p, err := g.next(tag)
	if err == nil && p[1] == '?' { // the XML declaration
		p, err = g.next(tag)
	}
	if err != nil {
		return err
	}
	if local(p) != "stream" {
		return errNotXMPP
	}
	if g.root = string(p); g.domain == "" {
		g.domain = string(attr(p, "from"))
	}
	g.features, err = g.read()
	if err == nil && local(g.features) != "features" {
		err = fmt.Errorf("load: expected the stream's features, got <%s>", local(g.features))
	}
	return err
}

// ask says something and returns the next element, which is good until the next one is read.
func (g *negotiation) ask(what string) ([]byte, error) {
	if err := g.write(what); err != nil {
		return nil, err
	}
	return g.read()
}

func (g *negotiation) write(what string) error {
	if _, err := io.WriteString(g.wire.upper(), what); err != nil {
		return fmt.Errorf("load: sign in: %w", err)
	}
	return nil
}

func (g *negotiation) read() ([]byte, error) {
	p, err := g.next(frame)
	if err != nil || local(p) != "error" {
		return p, err
	}
	el, err := g.parse(p)
	if err != nil {
		return nil, err
	}
	if e := stream.ReadError(el); e != nil {
		return nil, asKnown(e)
	}
	return p, nil
}

// errNotXMPP is a server of another kind.
var errNotXMPP = errors.New("load: sign in: what the server says is not XMPP")

// next is what the next bytes begin with, white space apart, up to where cut says; it is good until the next call.
func (g *negotiation) next(cut func([]byte) int) ([]byte, error) {
	for {
		g.in = g.in[blank(g.in):]
		if len(g.in) > 0 && g.in[0] != '<' {
			return nil, errNotXMPP
		}
		n := 0
		if len(g.in) > 0 {
			n = cut(g.in)
		}
		switch {
		case n < 0:
			return nil, errors.New("load: sign in: the server has closed the stream")
		case n > 0:
			p := g.in[:n:n]
			g.in = g.in[n:]
			return p, nil
		case len(g.in) > maxAnswer:
			return nil, errors.New("load: sign in: the server does not come to an end")
		}
		if err := g.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads on.
func (g *negotiation) fill() error {
	if half := len(g.buf) / 2; len(g.in) == 0 || cap(g.in)-len(g.in) < half {
		if len(g.in) > half {
			g.buf = make([]byte, 2*len(g.buf))
		}
		g.in = g.buf[:copy(g.buf, g.in)]
	}
	n, err := g.wire.upper().Read(g.in[len(g.in):cap(g.in)])
	g.in = g.in[:len(g.in)+n]
	if n > 0 {
		return nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("load: sign in: %w", err)
}

// behind is what was read behind the last answer: the loop needs it.
func (g *negotiation) behind() []byte { return append([]byte(nil), g.in...) }

// parse takes an element of the server apart.
func (g *negotiation) parse(el []byte) (*xml.Element, error) {
	s := xml.NewScanner(xml.Limits{})
	s.Feed(append([]byte(g.root), el...))
	_, err := s.Next()
	if err != nil {
		return nil, fmt.Errorf("load: sign in: %w", err)
	}
	e, err := s.Next()
	if err != nil {
		return nil, fmt.Errorf("load: sign in: %w", err)
	}
	return e, nil
}

// asKnown says what can be done about an error of the stream.
func asKnown(err error) error {
	var e *stream.Error
	if errors.As(err, &e) && (e.Condition == stream.HostUnknown || e.Condition == "improper-addressing") {
		return &Error{Why: "the server wants to be called by its name: " + e.Error(), Fix: "--domain NAME"}
	}
	return fmt.Errorf("load: sign in: %w", err)
}
