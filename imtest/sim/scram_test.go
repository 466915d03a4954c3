package sim

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"parley/xmpp/sasl"
)

// keys is what a client keeps of a password (RFC 5802 §3), so that nobody computes it for every connection: that would
// be most of what a seed costs.
type keys struct{ client, stored []byte }

func makeKeys(t *testing.T, c sasl.Credentials) keys {
	t.Helper()
	salted, err := pbkdf2.Key(sha256.New, password, c.Salt, c.Iterations, sha256.Size)
	if err != nil {
		t.Fatal(err)
	}
	client := mac(salted, "Client Key")
	stored := sha256.Sum256(client)
	return keys{client, stored[:]}
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// firstMessage is the first message of an exchange, without its header.
func firstMessage(name string) string { return "n=" + name + ",r=sim" }

// finalMessage answers the server's first message.
func (k keys) finalMessage(name, serverFirst string) string {
	nonce, _, _ := strings.Cut(strings.TrimPrefix(serverFirst, "r="), ",")
	bare := "c=biws,r=" + nonce
	proof := mac(k.stored, fmt.Sprintf("%s,%s,%s", firstMessage(name), serverFirst, bare))
	for i := range proof {
		proof[i] ^= k.client[i]
	}
	return bare + ",p=" + base64.StdEncoding.EncodeToString(proof)
}
