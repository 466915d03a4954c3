package history

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// Msg names a message: "anna/phone bert 12" is the twelfth that this device of anna's wrote to bert. Its body is the
// name, some words to fill it, and a code that only the clients of the test can make.
type Msg string

// NewMsg names the n-th message of a client to an account.
func NewMsg(client, to string, n int) Msg { return Msg(client + " " + to + " " + strconv.Itoa(n)) }

// Client is the device that wrote it.
func (m Msg) Client() string { c, _, _ := strings.Cut(string(m), " "); return c }

// From is the account that wrote it.
func (m Msg) From() string { return account(m.Client()) }

// To is the account that it is for.
func (m Msg) To() string {
	if w := strings.Fields(string(m)); len(w) == 3 {
		return w[1]
	}
	return ""
}

// Way is the device and the account that it is for: within a way, numbers rise.
func (m Msg) Way() string {
	if i := strings.LastIndexByte(string(m), ' '); i >= 0 {
		return string(m[:i])
	}
	return string(m)
}

// N is its number on its way.
func (m Msg) N() int {
	n, _ := strconv.Atoi(string(m[strings.LastIndexByte(string(m), ' ')+1:]))
	return n
}

func account(client string) string { a, _, _ := strings.Cut(client, "/"); return a }

// Body is what the message says: fill is text of any kind.
func (m Msg) Body(fill string) string {
	return fmt.Sprintf("%s|%s|%s", m, fill, code(string(m)+"|"+fill))
}

// ReadBody returns the message that a body is of, "" when it is not a body that [Msg.Body] has made.
func ReadBody(body string) Msg {
	i := strings.LastIndexByte(body, '|')
	if i < 0 || !hmac.Equal([]byte(code(body[:i])), []byte(body[i+1:])) {
		return ""
	}
	m, _, _ := strings.Cut(body, "|")
	return Msg(m)
}

// code says that the text is from a client of the test. The key keeps nobody out; it makes an accident improbable.
func code(text string) string {
	h := hmac.New(sha256.New, []byte("parley history"))
	h.Write([]byte(text))
	return hex.EncodeToString(h.Sum(nil)[:8])
}
