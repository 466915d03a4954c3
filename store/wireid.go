package store

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
)

// wire turns ids into what clients see. An archive id must be unique and must not tell how many messages somebody has
// (XEP-0313 §9, XEP-0359 §6): one AES block over epoch, owner and id is both, without keeping anything.
type wire struct {
	block cipher.Block
	epoch uint32
}

const (
	wireKey   = "store/wire-key"   // 32 bytes, of owner 0
	wireEpoch = "store/wire-epoch" // 4 bytes, of owner 0: another number for a database that begins anew with the same key
	wireBits  = 48                 // of owner and of id
)

// loadWire reads the key and the epoch, or makes them durably at the first start.
func loadWire(e Engine) (wire, error) {
	ctx := context.Background()
	key, err := e.Get(ctx, 0, wireKey)
	epoch, err2 := e.Get(ctx, 0, wireEpoch)
	if errors.Is(err, ErrNotFound) && errors.Is(err2, ErrNotFound) {
		key, epoch = make([]byte, 32), make([]byte, 4)
		rand.Read(key)
		rand.Read(epoch)
		err2 = nil
		err = e.Commit([]Op{
			{Kind: OpSet, Key: wireKey, Value: key},
			{Kind: OpSet, Key: wireEpoch, Value: epoch},
		})
	}
	if err = errors.Join(err, err2); err != nil {
		return wire{}, fmt.Errorf("store: make the key of the archive ids: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil || len(epoch) != 4 {
		return wire{}, fmt.Errorf("store: read the key of the archive ids: %w", ErrCorrupt)
	}
	return wire{block, binary.BigEndian.Uint32(epoch)}, nil
}

// WireID returns the id of an entry as clients see it: 22 characters of base64url. It is the same at every call and
// after every restart, and tells nothing to who has not the database's key. "" after a failure at New.
func (l *Log) WireID(o Owner, id ID) string {
	w := &l.s.wire
	if w.block == nil {
		return ""
	}
	var b [aes.BlockSize]byte
	binary.BigEndian.PutUint64(b[8:], uint64(id))
	binary.BigEndian.PutUint64(b[2:], uint64(o)) // its low 48 bits are b[4:10], just in front of those of id
	binary.BigEndian.PutUint32(b[:], w.epoch)
	w.block.Encrypt(b[:], b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// ParseWireID returns the id that WireID made s of, for the same owner and database; whether that entry exists is
// another matter. ok is false for everything else.
func (l *Log) ParseWireID(o Owner, s string) (id ID, ok bool) {
	w := &l.s.wire
	var b [aes.BlockSize]byte
	if len(s) != 22 || w.block == nil {
		return 0, false
	}
	// Decode ignores line breaks and spare bits; neither may make a second spelling of an id.
	if n, err := base64.RawURLEncoding.Strict().Decode(b[:], []byte(s)); err != nil || n != len(b) {
		return 0, false
	}
	w.block.Decrypt(b[:], b[:])
	owner := binary.BigEndian.Uint64(b[2:]) & (1<<wireBits - 1)
	id = ID(binary.BigEndian.Uint64(b[8:]) & (1<<wireBits - 1))
	if binary.BigEndian.Uint32(b[:]) != w.epoch || owner != uint64(o) || id == 0 {
		return 0, false
	}
	return id, true
}
