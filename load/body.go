package load

import (
	"strconv"
	"time"
)

// A body says which run it belongs to, which message of its sender's it is, and when it was to be sent: three numbers
// of a fixed length, and dots up to the length that was asked for.
//
//	7f3a09c2 0000002a 00000000075bcd15 ..............................
const minBody = 8 + 1 + 8 + 1 + 16

type body struct {
	run  uint32
	seq  uint32
	sent time.Duration // on the loop's clock
}

const digits = "0123456789abcdef"

func appendHex(dst []byte, v uint64, n int) []byte {
	for shift := 4 * (n - 1); shift >= 0; shift -= 4 {
		dst = append(dst, digits[v>>shift&15])
	}
	return dst
}

func (b body) append(dst []byte, size int) []byte {
	dst = append(appendHex(dst, uint64(b.run), 8), ' ')
	dst = append(appendHex(dst, uint64(b.seq), 8), ' ')
	dst = appendHex(dst, uint64(b.sent), 16)
	for n := minBody; n < size; n++ {
		dst = append(dst, '.')
	}
	return dst
}

// parseBody reads a body; false: the generator has not written it.
func parseBody(p []byte) (b body, ok bool) {
	if len(p) < minBody {
		return body{}, false
	}
	run, ok1 := hex(p[:8])
	seq, ok2 := hex(p[9:17])
	sent, ok3 := hex(p[18:34])
	return body{uint32(run), uint32(seq), time.Duration(sent)}, ok1 && ok2 && ok3
}

func hex(p []byte) (v uint64, ok bool) {
	for _, c := range p {
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}

// order is what one recipient has of one sender's messages: he numbers them from 0.
type order struct {
	next    uint32
	missing map[uint32]struct{} // numbers below next that have not come

	doubled, reordered int
}

// came notes one message.
func (o *order) came(seq uint32) {
	switch _, late := o.missing[seq]; {
	case seq == o.next:
		o.next++
	case seq > o.next:
		if o.missing == nil {
			o.missing = map[uint32]struct{}{}
		}
		for ; o.next < seq; o.next++ {
			o.missing[o.next] = struct{}{}
		}
		o.next++
	case late:
		delete(o.missing, seq)
		o.reordered++
	default:
		o.doubled++
	}
}

// lost is how many of so many that were sent have not come.
func (o *order) lost(sent uint32) int { return len(o.missing) + int(sent-o.next) }

// appendMessage appends one message; id is its number.
func appendMessage(dst []byte, to, kind string, b body, size int) []byte {
	dst = append(append(dst, "<message to='"...), to...)
	dst = append(append(dst, "' type='"...), kind...)
	dst = strconv.AppendUint(append(dst, "' id='"...), uint64(b.seq), 10)
	dst = b.append(append(dst, "'><body>"...), size)
	return append(dst, "</body></message>"...)
}
