package xml

import (
	"io"
	"unicode/utf8"
)

// Scanner takes a stream of XML apart into its first-level elements (RFC 6120 §4.1). It needs no more than the bytes
// that make up one of them, holds no memory between two, and looks at each byte a bounded number of times, however the
// stream was cut on its way. It is for one goroutine. After io.EOF or an *Error it is finished. The zero value expects
// the beginning of a stream, and needs limits. A server has one for each client, so it is small.
type Scanner struct {
	limits *Limits // shared, not changed
	err    error   // why the Scanner is finished
	work   int     // bytes looked at in elements that are complete

	// What was fed: buf[pos:] is not consumed yet, and begins with the element under way.
	buf   []byte
	pos   int
	off   int64 // bytes of the stream before buf
	owned bool  // buf is a copy; otherwise it is borrowed

	// The stream.
	empty  bool // the root's start tag was its end tag too
	phase  phase
	name   string         // of the root, as written
	space  string         // default namespace declared on the root
	decls  []declaration  // prefixes declared on the root
	decls0 [1]declaration // memory for the usual case

	// The element under way, or the one that is lent; nil otherwise.
	lent bool
	r    *reader
}

type phase uint8

const (
	atStart phase = iota // nothing was consumed: an XML declaration may come
	before               // the root's start tag is to come
	inside
)

// maxSpaces bounds the white space before the '>' of the root's end tag, which no limit covers.
const maxSpaces = 256

// NewScanner makes a Scanner that expects the beginning of a stream.
func NewScanner(l Limits) *Scanner { return &Scanner{limits: &l} }

// SetLimits changes the limits, from the next call of Next on. What l points to must not change any more; any number of
// Scanners may share it.
func (s *Scanner) SetLimits(l *Limits) { s.limits = l }

// Restart makes the Scanner expect the beginning of another stream, within the same limits.
func (s *Scanner) Restart() {
	s.giveBack()
	*s = Scanner{limits: s.limits}
}

// Feed hands over the next bytes of the stream. They are borrowed until Next returns ErrMore or another error, and must not
// change until then.
func (s *Scanner) Feed(p []byte) {
	if s.err != nil || len(p) == 0 {
		return
	}
	if s.pos == len(s.buf) {
		s.off += int64(s.pos)
		s.buf, s.pos, s.owned = p, 0, false
		return
	}
	s.keep(len(p))
	if len(s.buf)+len(p) > cap(s.buf) {
		s.buf = append(make([]byte, 0, max(2*cap(s.buf), len(s.buf)+len(p))), s.buf...)
	}
	s.buf = append(s.buf, p...)
}

// Next returns what comes next in the stream: first the root's start tag, as an element without content; then each
// first-level element once it is complete. The error is ErrMore when that takes more bytes, io.EOF when the root was
// closed, and otherwise an *Error: the input was refused, and stays so.
func (s *Scanner) Next() (*Element, error) { return s.scan(false) }

// Lend is Next, but the element is good only until Next, Lend or Restart is called; what is copied of it, its Content
// among that, stays good.
func (s *Scanner) Lend() (*Element, error) { return s.scan(true) }

func (s *Scanner) scan(lend bool) (*Element, error) {
	if s.err != nil {
		return nil, s.err
	}
	if s.lent {
		s.giveBack()
	}
	e, err := s.next(lend)
	switch {
	case err == nil && e != nil:
		return e, nil
	case err == more:
		s.keep(0)
		return nil, ErrMore
	case err == nil:
		s.err = io.EOF
	default:
		err.Offset += s.off + int64(s.pos)
		s.err = err
	}
	s.buf, s.pos = nil, 0
	s.giveBack()
	return nil, s.err
}

// Default is the default namespace that the root declares, "" before the root and for a root that declares none.
func (s *Scanner) Default() string { return s.space }

// Buffered tells whether bytes were fed that Next has not consumed. Nothing may be there when TLS begins (RFC 6120 §5.4.3.3).
func (s *Scanner) Buffered() bool { return s.pos < len(s.buf) }

// keep makes what is not consumed the Scanner's own, with room for n bytes more; without any, it lets go of all memory.
func (s *Scanner) keep(n int) {
	rest := s.buf[s.pos:]
	if s.owned && s.pos == 0 && len(rest) > 0 {
		return
	}
	s.off += int64(s.pos)
	s.pos = 0
	switch {
	case len(rest) == 0:
		s.buf, s.owned = nil, false
	case s.owned:
		s.buf = s.buf[:copy(s.buf, rest)]
	default:
		s.buf, s.owned = append(make([]byte, 0, len(rest)+max(n, 64)), rest...), true
	}
}

func (s *Scanner) giveBack() {
	if s.r != nil {
		s.work += s.r.work
		s.r.giveBack()
		s.r, s.lent = nil, false
	}
}

// next is scan; nil and no error stand for the end of the stream. Places in errors count from s.pos.
func (s *Scanner) next(lend bool) (*Element, *Error) {
	if s.phase == atStart {
		n, err := xmlDeclaration(s.buf[s.pos:])
		if err != nil {
			return nil, err
		}
		s.pos += n
		s.phase = before
	}
	if s.empty {
		return nil, nil
	}
	if s.r == nil {
		for s.pos < len(s.buf) && class[s.buf[s.pos]]&isSpace != 0 {
			s.pos++
		}
	}
	b := s.buf[s.pos:]
	switch {
	case len(b) == 0:
		return nil, more
	case b[0] >= utf8.RuneSelf:
		if _, err := char(b, 0); err != nil {
			return nil, err
		}
		fallthrough
	case b[0] != '<':
		return nil, bad(NotWellFormed, 0, "text outside of elements")
	case s.phase == inside && len(b) > 1 && b[1] == '/':
		return nil, s.closing(b)
	}
	return s.element(b, lend)
}

// element reads on in the first-level element at b, or in the root's start tag.
func (s *Scanner) element(b []byte, lend bool) (*Element, *Error) {
	if s.r == nil {
		s.r = borrow()
	}
	r := s.r
	header := s.phase == before
	if err := r.read(b, s.limits, header); err != nil {
		return nil, err
	}
	b = b[:r.pos]
	if header {
		s.root(b)
		if e := r.root(string(b), s.decls); e != nil {
			s.pos += len(b)
			s.giveBack()
			return e, nil
		}
	}
	text, err := r.settle(b, s.space, s.decls, s.limits)
	if err != nil {
		return nil, err
	}
	s.pos += len(b)
	if lend {
		s.lent = true
		return r.lend(text, s.space), nil
	}
	e := r.build(text, s.space)
	s.giveBack()
	return e, nil
}

// root takes over what the root's start tag b declares.
func (s *Scanner) root(b []byte) {
	r := s.r
	for i := range r.attrs {
		switch a := &r.attrs[i]; a.use {
		case defaults:
			s.space = usual(a.copy(b))
		case declares:
			if s.decls == nil {
				s.decls = s.decls0[:0]
			}
			s.decls = append(s.decls, declaration{usual(string(b[a.local:a.name.to])), usual(a.copy(b))})
		}
	}
	s.name = usual(string(r.top.name.of(b)))
	s.empty = r.top.empty
	s.phase = inside
}

// usual is s; what nearly every root says takes no memory of its own for as long as the stream lasts.
func usual(s string) string {
	for _, known := range [...]string{"jabber:client", "stream", "http://etherx.jabber.org/streams", "stream:stream"} {
		if s == known {
			return known
		}
	}
	return s
}

// closing reads the root's end tag at b; nil means that it was there.
func (s *Scanner) closing(b []byte) *Error {
	tag := "</" + s.name
	n := min(len(tag), len(b))
	if string(b[:n]) != tag[:n] {
		return bad(NotWellFormed, 0, "end tag of another element than the root")
	}
	spaces := 0
	for ; n < len(b) && class[b[n]]&isSpace != 0; n++ {
		if spaces++; spaces > maxSpaces {
			return bad(TooLarge, n, "white space in the root's end tag")
		}
	}
	if n == len(b) {
		return more
	}
	if b[n] != '>' {
		return bad(NotWellFormed, 0, "end tag of another element than the root")
	}
	return nil
}
