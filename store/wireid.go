package store

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// wire turns ids into what clients see. An archive id must be unique and must not tell how many messages somebody has
// (XEP-0313 §9, XEP-0359 §6): one AES block over epoch, owner and id is both, without keeping anything.
//
// The epoch is another one after a database was restored from a backup: ids that were given out between the backup and
// the loss are given again, to other entries, and must not look the same. Entries that are older keep their epoch, so
// what clients know of them stays good.
type wire struct {
	block  cipher.Block
	epoch  uint32
	before map[Owner][]era // of owners that had entries when an epoch ended, ascending; nil: it is the first epoch
}

// An era is a stretch of a Log that belongs to an earlier epoch.
type era struct {
	epoch uint32
	last  ID
}

// epochOf returns the epoch that an entry belongs to.
func (w *wire) epochOf(o Owner, id ID) uint32 {
	for _, e := range w.before[o] {
		if id <= e.last {
			return e.epoch
		}
	}
	return w.epoch
}

const (
	wireKey   = "store/wire-key"   // 32 bytes, of owner 0
	wireEpoch = "store/wire-epoch" // 4 bytes, of owner 0: the present epoch
	wireEras  = "store/wire-eras"  // of every owner that has some: 12 bytes each, epoch and last id
	eraBytes  = 12
	wireBytes = 22 // of an id on the wire
	wireBits  = 48 // of owner and of id
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
	w := wire{block: block, epoch: binary.BigEndian.Uint32(epoch)}
	err = w.loadEras(ctx, e)
	return w, err
}

// loadEras reads which entries belong to earlier epochs.
func (w *wire) loadEras(ctx context.Context, e Engine) error {
	for from, more := Owner(0), true; more; {
		page, err := e.Each(ctx, wireEras, from, pageEntries)
		if err != nil {
			return fmt.Errorf("store: read the epochs of the archive ids: %w", err)
		}
		for _, p := range page {
			if w.before == nil {
				w.before = map[Owner][]era{}
			}
			if w.before[p.Owner], err = decodeEras(p.Value); err != nil {
				return fmt.Errorf("store: read the epochs of the archive ids of owner %d: %w", p.Owner, err)
			}
			from = p.Owner + 1
		}
		more = len(page) == pageEntries
	}
	return nil
}

func decodeEras(b []byte) ([]era, error) {
	if len(b)%eraBytes != 0 {
		return nil, ErrCorrupt
	}
	var list []era
	for ; len(b) > 0; b = b[eraBytes:] {
		list = append(list, era{binary.BigEndian.Uint32(b), ID(binary.BigEndian.Uint64(b[4:]))})
	}
	return list, nil
}

// NewEpoch is for a database that has been put back to an earlier state: what is written from now on gets ids on the wire
// that were never given out, while those of the entries that are there stay as they are. heads are all owners that have
// entries. It is durable when it returns. The engine must not be behind a Store yet.
func NewEpoch(ctx context.Context, e Engine, heads []Head) error {
	w, err := loadWire(e)
	if err != nil {
		return err
	}
	var ops []Op
	for _, h := range heads {
		list := w.before[h.Owner]
		if h.Last == h.Floor || len(list) > 0 && list[len(list)-1].last == h.Last { // nothing is there, or nothing new
			continue
		}
		var value []byte
		for _, e := range append(list, era{w.epoch, h.Last}) {
			value = binary.BigEndian.AppendUint32(value, e.epoch)
			value = binary.BigEndian.AppendUint64(value, uint64(e.last))
		}
		ops = append(ops, Op{Kind: OpSet, Owner: h.Owner, Key: wireEras, Value: value})
	}
	epoch := make([]byte, 4)
	for rand.Read(epoch); w.knows(binary.BigEndian.Uint32(epoch)); {
		rand.Read(epoch)
	}
	if err := e.Commit(append(ops, Op{Kind: OpSet, Key: wireEpoch, Value: epoch})); err != nil {
		return fmt.Errorf("store: begin a new epoch: %w", err)
	}
	return ctx.Err()
}

// knows tells whether an epoch was in use before.
func (w *wire) knows(epoch uint32) bool {
	if epoch == w.epoch {
		return true
	}
	for _, list := range w.before {
		for _, e := range list {
			if e.epoch == epoch {
				return true
			}
		}
	}
	return false
}

// Epoch names the state of the database that everything since then goes back to: it is another one after the database
// was restored from a backup. Whoever counts changes and tells clients the number tells them the epoch with it.
func (s *Store) Epoch() string {
	return hex.EncodeToString(binary.BigEndian.AppendUint32(nil, s.wire.epoch))
}

// WireID returns the id of an entry as clients see it: 22 characters of base64url. It is the same at every call and
// after every restart, and tells nothing to who has not the database's key. "" after a failure at New.
func (l *Log) WireID(o Owner, id ID) string {
	w := &l.s.wire
	if w.block == nil {
		return ""
	}
	room := make([]byte, wireBytes+aes.BlockSize) // of both, since what is enciphered does not stay on the stack
	b := room[wireBytes:]
	binary.BigEndian.PutUint64(b[8:], uint64(id))
	binary.BigEndian.PutUint64(b[2:], uint64(o)) // its low 48 bits are b[4:10], just in front of those of id
	binary.BigEndian.PutUint32(b, w.epochOf(o, id))
	w.block.Encrypt(b, b)
	base64.RawURLEncoding.Encode(room[:wireBytes], b)
	return string(room[:wireBytes])
}

// ParseWireID returns the id that WireID made s of, for the same owner and database; whether that entry exists is
// another matter. ok is false for everything else.
func (l *Log) ParseWireID(o Owner, s string) (id ID, ok bool) {
	w := &l.s.wire
	var b [aes.BlockSize]byte
	if len(s) != wireBytes || w.block == nil {
		return 0, false
	}
	// Decode ignores line breaks and spare bits; neither may make a second spelling of an id.
	if n, err := base64.RawURLEncoding.Strict().Decode(b[:], []byte(s)); err != nil || n != len(b) {
		return 0, false
	}
	w.block.Decrypt(b[:], b[:])
	owner := binary.BigEndian.Uint64(b[2:]) & (1<<wireBits - 1)
	id = ID(binary.BigEndian.Uint64(b[8:]) & (1<<wireBits - 1))
	if owner != uint64(o) || id == 0 || binary.BigEndian.Uint32(b[:]) != w.epochOf(o, id) {
		return 0, false
	}
	return id, true
}
