package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"parley/store"
	"parley/xmpp/sasl"
)

const (
	keySecret  = "auth/secret"
	secretSize = 32
)

// secret is what only this server knows. It tells made-up credentials and keys of the lock-out from guesses.
type secret []byte

// loadSecret reads the secret, or makes it at the first start.
func loadSecret(ctx context.Context, st *store.Store) (secret, error) {
	s, err := st.KV.Get(ctx, 0, keySecret)
	switch {
	case err == nil && len(s) == secretSize:
		return s, nil
	case err == nil:
		return nil, fmt.Errorf("auth: load the secret: it has %d bytes: %w", len(s), store.ErrCorrupt)
	case !errors.Is(err, store.ErrNotFound):
		return nil, fmt.Errorf("auth: load the secret: %w", err)
	}
	s = make([]byte, secretSize)
	rand.Read(s) // never fails
	j, err := st.Begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("auth: make the secret: %w", err)
	}
	defer j.End()
	if err := st.KV.Set(j, 0, keySecret, s); err != nil {
		return nil, fmt.Errorf("auth: make the secret: %w", err)
	}
	return s, nil
}

// derive returns 32 bytes that nobody can tell from random ones, always the same for a use and a value.
func (s secret) derive(use, value string) []byte {
	h := hmac.New(sha256.New, s)
	io.WriteString(h, use)
	h.Write([]byte{0})
	io.WriteString(h, value)
	return h.Sum(nil)
}

// salt makes up the salt of a name without an account.
func (s secret) salt(name string) []byte { return s.derive("salt", name)[:16] }

// credentials makes up keys that no password belongs to. They are never shown, so one of each is enough for all names.
func (s secret) credentials(iterations int) sasl.Credentials {
	return sasl.Credentials{StoredKey: s.derive("stored key", ""), ServerKey: s.derive("server key", ""), Iterations: iterations}
}
