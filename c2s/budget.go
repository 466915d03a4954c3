package c2s

import (
	"context"
	"net/netip"
	"time"
)

// budgets are what a session may send of each kind of stanza: so many at once, then so many each second. A presence
// goes to everybody, so there are fewer of them.
type budgets struct{ message, presence, iq bucket }

func newBudgets() budgets {
	return budgets{
		message:  bucket{burst: burstMessages, rate: perSecond, tokens: burstMessages},
		presence: bucket{burst: burstPresences, rate: presencesPerSecond, tokens: burstPresences},
		iq:       bucket{burst: burstIQs, rate: iqsPerSecond, tokens: burstIQs},
	}
}

func (b *budgets) of(kind string) *bucket {
	switch kind {
	case "message":
		return &b.message
	case "presence":
		return &b.presence
	}
	return &b.iq
}

// bucket is a budget that refills with time. Who has used it up is not refused: he is read more slowly.
type bucket struct {
	burst, rate, tokens float64
	last                time.Time
}

// refill adds what has come since the last time.
func (b *bucket) refill(now time.Time) {
	if !b.last.IsZero() {
		b.tokens = min(b.burst, b.tokens+now.Sub(b.last).Seconds()*b.rate)
	}
	b.last = now
}

// used tells whether wait may have to wait.
func (b *bucket) used() bool { return b.tokens < 1 }

// wait takes one, and returns when that was there to be taken.
func (b *bucket) wait(ctx context.Context) error {
	b.refill(time.Now())
	if b.tokens--; b.tokens >= 0 {
		return nil
	}
	t := time.NewTimer(time.Duration(-b.tokens / b.rate * float64(time.Second)))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// arrivals bounds how often each network opens connections, whatever becomes of them.
type arrivals map[netip.Prefix]*bucket

// maxNetworks bounds the memory of arrivals. It forgets all of them then: who has so many networks to come from is not
// slowed down by a bound for each.
const maxNetworks = 20_000

// come tells whether one more connection may come from a network, and from the larger one around it, which may open four
// times as many.
func (a arrivals) come(near netip.Prefix, now time.Time) bool {
	bits := 24
	if near.Addr().Is6() {
		bits = 48
	}
	wide, _ := near.Addr().Prefix(bits)
	x, y := a.of(near, 1, now), a.of(wide, 4, now)
	if x.tokens < 1 || y.tokens < 1 {
		return false
	}
	x.tokens--
	y.tokens--
	return true
}

func (a arrivals) of(network netip.Prefix, times float64, now time.Time) *bucket {
	b := a[network]
	if b == nil {
		if len(a) >= maxNetworks {
			clear(a)
		}
		b = &bucket{burst: times * burstArrivals, rate: times * arrivalsPerSecond, tokens: times * burstArrivals}
		a[network] = b
	}
	b.refill(now)
	return b
}
