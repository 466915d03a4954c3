package archive

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"parley/auth"
	"parley/store"
)

// tidyEvery is how often what need not be kept any more is removed.
const tidyEvery = time.Hour

// keyErased is the KV key, of an account with preferences, of the place up to which what was kept for delivery alone is
// erased: 8 bytes.
const keyErased = "archive/erased"

// Run removes what need not be kept any more, at once and then every hour, until ctx ends.
func (a *Archive) Run(ctx context.Context) {
	t := time.NewTicker(tidyEvery)
	defer t.Stop()
	for {
		if err := a.tidy(ctx, time.Now()); err != nil && ctx.Err() == nil {
			a.log.Error("old messages not removed", slog.Any("err", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// tidy goes once through all accounts.
func (a *Archive) tidy(ctx context.Context, now time.Time) error {
	gone := map[store.Owner]bool{} // who had preferences, and is no account any more
	a.mu.RLock()
	for o := range a.rules {
		gone[o] = true
	}
	a.mu.RUnlock()
	for _, who := range a.opts.Accounts() {
		delete(gone, who.Owner)
		prefers := a.rulesOf(who.Owner) != nil
		if !prefers && a.opts.Keep == 0 {
			continue
		}
		err := a.tidyAccount(ctx, who, now, prefers)
		if errors.Is(err, store.ErrFull) {
			continue // the next time
		}
		if err != nil {
			return err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for o := range gone {
		delete(a.rules, o)
	}
	return nil
}

func (a *Archive) tidyAccount(ctx context.Context, who auth.Account, now time.Time, prefers bool) error {
	delivered, err := a.srv.Delivered(ctx, who.Name, who.Owner)
	if err == nil && a.opts.Keep > 0 {
		err = a.trim(ctx, who.Owner, delivered, now.Add(-a.opts.Keep))
	}
	if err == nil && prefers {
		err = a.erase(ctx, who.Owner, delivered)
	}
	return err
}

// trim removes what is older than before, up to the first message that no device was given yet.
func (a *Archive) trim(ctx context.Context, o store.Owner, delivered store.ID, before time.Time) error {
	log := a.srv.Store().Log
	for e, err := range log.Range(ctx, o, store.Query{Limit: 1}) {
		if err != nil {
			return fmt.Errorf("archive: %w", err)
		}
		if !e.Time.Before(before) {
			return nil // as nearly always
		}
	}
	for e, err := range log.Range(ctx, o, store.Query{After: delivered}) {
		if err != nil {
			return fmt.Errorf("archive: %w", err)
		}
		if !e.Time.Before(before) {
			break
		}
		if !e.Sent {
			before = e.Time // Trim goes no further than the first entry that is not older
			break
		}
	}
	if err := log.Trim(ctx, o, before); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	return nil
}

// eraseAtOnce is how many entries lose their content in one journey.
const eraseAtOnce = 100

// erase takes the content of what was kept for delivery alone, and was delivered.
func (a *Archive) erase(ctx context.Context, o store.Owner, delivered store.ID) error {
	kv, log := a.srv.Store().KV, a.srv.Store().Log
	v, err := kv.Get(ctx, o, keyErased)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("archive: %w", err)
	}
	var from store.ID
	if len(v) == 8 {
		from = store.ID(binary.BigEndian.Uint64(v))
	}
	if from >= delivered {
		return nil
	}
	var ids []store.ID
	for e, err := range log.Range(ctx, o, store.Query{After: from, Before: delivered + 1}) {
		if err != nil {
			return fmt.Errorf("archive: %w", err)
		}
		if e.Peer == "" && len(e.Body) > 0 {
			ids = append(ids, e.ID)
		}
	}
	write := func(ids []store.ID, done bool) error {
		return a.srv.Within(ctx, nil, func(j store.Journey) (err error) {
			for _, id := range ids {
				err = errors.Join(err, log.Replace(j, o, id, nil))
			}
			if done {
				err = errors.Join(err, kv.Set(j, o, keyErased, binary.BigEndian.AppendUint64(nil, uint64(delivered))))
			}
			return err
		})
	}
	for some := range slices.Chunk(ids, eraseAtOnce) {
		if err := write(some, false); err != nil {
			return fmt.Errorf("archive: erase what was delivered: %w", err)
		}
	}
	if err := write(nil, true); err != nil {
		return fmt.Errorf("archive: erase what was delivered: %w", err)
	}
	return nil
}
