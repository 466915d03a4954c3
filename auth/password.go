package auth

import (
	"crypto/rand"
	_ "embed" // for the words
	"math/big"
	"strings"
)

// words are short, common words, one a line, sorted.
//
//go:embed words.txt
var words string

// madeWords is how many words make a password.
const madeWords = 4

// GeneratePassword makes a password of words that people can read out and type, such as maple-orbit-tundra-candle. It
// is one of more than 2⁴² that are equally likely.
func GeneratePassword() string {
	list := strings.Fields(words)
	most := big.NewInt(int64(len(list)))
	chosen := make([]string, madeWords)
	for i := range chosen {
		n, err := rand.Int(rand.Reader, most)
		if err != nil {
			panic(err) // the reader of crypto/rand never fails
		}
		chosen[i] = list[n.Int64()]
	}
	return strings.Join(chosen, "-")
}
