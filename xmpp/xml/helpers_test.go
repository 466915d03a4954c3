package xml

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// streamHeader opens the stream that the tests read; it is one of the most frequent on the wire.
const streamHeader = `<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' ` +
	`from='bob@example.org' to='example.org' version='1.0' xml:lang='en'>`

// wire is what a client's stream is limited to after authentication.
var wire = Limits{Bytes: 256 << 10, Depth: 64, Elements: 4096, Attrs: 64, Declarations: 32, Name: 256, Value: 32 << 10}

// inStream is a Scanner that has read streamHeader.
func inStream(tb testing.TB, l Limits) *Scanner {
	tb.Helper()
	s := NewScanner(l)
	s.Feed([]byte(streamHeader))
	if _, err := s.Next(); err != nil {
		tb.Fatal(err)
	}
	return s
}

// drain takes everything out of s that is there, and the error that ended it. Every other element is lent, and copied.
func drain(s *Scanner) (els []*Element, err error) {
	for {
		next := s.Next
		if len(els)%2 == 1 {
			next = s.Lend
		}
		e, err := next()
		if err != nil {
			return els, err
		}
		if len(els)%2 == 1 {
			e = &Element{e.Name, slices.Clone(e.Attrs), e.Content}
		}
		els = append(els, e)
	}
}

// read feeds s in pieces and returns all that came out, with the last error.
func read(s *Scanner, pieces ...[]byte) (els []*Element, err error) {
	for _, p := range pieces {
		// A borrowed piece is overwritten as soon as it may be, so that nothing can rest on it.
		p = append([]byte(nil), p...)
		s.Feed(p)
		var more []*Element
		more, err = drain(s)
		els = append(els, more...)
		for i := range p {
			p[i] = '#'
		}
		if err != ErrMore {
			break
		}
	}
	return els, err
}

// split cuts in at random; pieces are at most size bytes long, and some are empty.
func split(r *rand.Rand, in []byte, size int) [][]byte {
	var pieces [][]byte
	for len(in) > 0 {
		n := min(r.IntN(size+1), len(in))
		pieces = append(pieces, in[:n])
		in = in[n:]
	}
	return pieces
}

// each cuts in into its bytes.
func each(in []byte) [][]byte {
	pieces := make([][]byte, len(in))
	for i := range in {
		pieces[i] = in[i : i+1]
	}
	return pieces
}

// story is all that can be seen of what a Scanner answered.
func story(els []*Element, err error) string {
	var b strings.Builder
	for _, e := range els {
		fmt.Fprintf(&b, "%v %v inside %q: %s\n", e.Name, e.Attrs, e.space, e.Raw())
		for i := range e.kids {
			fmt.Fprintf(&b, "\t%v\n", e.kids[i])
		}
	}
	fmt.Fprintf(&b, "%v", err)
	return b.String()
}

// everyWay reads in at once, byte by byte and cut at random, checks that this makes no difference, and returns the outcome.
func everyWay(tb testing.TB, fresh func() *Scanner, in []byte) ([]*Element, error) {
	tb.Helper()
	els, err := read(fresh(), in)
	want := story(els, err)
	r := rand.New(rand.NewPCG(1, uint64(len(in))))
	ways := [][][]byte{each(in)}
	for _, size := range []int{2, 5, 17, 100} {
		ways = append(ways, split(r, in, size))
	}
	for _, pieces := range ways {
		e, err := read(fresh(), pieces...)
		if got := story(e, err); got != want && len(in) > 0 {
			tb.Fatalf("cut into %d pieces, %.300q reads differently\ngot  %s\nwant %s", len(pieces), in, got, want)
		}
	}
	return els, err
}

// kindOf is the kind of the *Error that err is, 0 for none.
func kindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return 0
}

// atEnd tells whether a stream may end a test case with err.
func atEnd(err error) bool { return err == ErrMore || err == io.EOF }

func mustParse(tb testing.TB, s, space string) *Element {
	tb.Helper()
	e, err := Parse(s, space, Limits{})
	if err != nil {
		tb.Fatalf("Parse(%q): %v", s, err)
	}
	return e
}
