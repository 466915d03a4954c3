package xml

import (
	"encoding/binary"
	"math/bits"
)

// Most bytes of a stream are plain: printable ASCII without a meaning of its own. The functions here skip them eight at a
// time, which is what the speed of the Scanner rests on.

// Each byte of a word the same.
const (
	each01 = 0x0101010101010101
	each20 = 0x20 * each01
	each80 = 0x80 * each01
)

// zeros marks the bytes of w that are zero with their highest bit. Above such a byte it may mark others too; the lowest mark is right.
func zeros(w uint64) uint64 { return (w - each01) &^ w & each80 }

// special marks the bytes of w below 0x20 and above 0x7F, in the same way.
func special(w uint64) uint64 { return (w-each20)&^w&each80 | w&each80 }

// plainText returns the first place in b, from i on, that needs a second look in character data.
func plainText(b []byte, i int) int {
	for uint(i) <= uint(len(b)) && len(b[i:]) >= 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		if m := special(w) | zeros(w^'<'*each01) | zeros(w^'&'*each01) | zeros(w^']'*each01); m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
		i += 8
	}
	return skip(b, i, isText)
}

// plainString returns a place in s before which nothing needs an escape.
func plainString(s string) int {
	i := 0
	for ; len(s)-i >= 8; i += 8 {
		b := s[i : i+8]
		w := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
			uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
		// '<' and '>' differ in one bit, '&' and '\'' in another.
		if special(w)|zeros((w|2*each01)^'>'*each01)|zeros((w|each01)^'\''*each01) != 0 {
			break
		}
	}
	return i
}

// plainValue returns the first place in b, from i on, that needs a second look in the value of an attribute: among others, any quote.
func plainValue(b []byte, i int) int {
	for uint(i) <= uint(len(b)) && len(b[i:]) >= 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		// '&' and '\'' differ in their lowest bit only.
		if m := special(w) | zeros(w^'<'*each01) | zeros(w^'"'*each01) | zeros((w|each01)^'\''*each01); m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
		i += 8
	}
	return skip(b, i, isValue)
}
