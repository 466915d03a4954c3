package c2s

import (
	"context"
	"net/netip"
	"time"
)

// pace is a budget: so many at once, then so many each second.
type pace struct{ burst, rate int }

// each is how long one of a budget takes to come back.
func (p pace) each() time.Duration { return time.Second / time.Duration(p.rate) }

// bucket is what was used of a budget: the moment when all of it will be there again. The zero value is a full one. Who
// has used it up is not refused: he is read more slowly.
type bucket struct{ full time.Time }

// take takes one, and returns how long it is until that is there to be taken.
func (b *bucket) take(p pace, now time.Time) time.Duration {
	if b.full.Before(now) {
		b.full = now
	}
	b.full = b.full.Add(p.each())
	return b.full.Sub(now) - time.Duration(p.burst)*p.each()
}

// empty tells whether take would return that there is something to wait for.
func (b *bucket) empty(p pace, now time.Time) bool {
	return b.full.Sub(now) > time.Duration(p.burst-1)*p.each()
}

// pause waits for as long as take has said.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// budgets are what a session may send of each kind of stanza. A presence goes to everybody, so there are fewer of them.
type budgets struct{ message, presence, iq bucket }

// take is that of the bucket for a kind of stanza.
func (b *budgets) take(kind string, now time.Time) time.Duration {
	switch kind {
	case "message":
		return b.message.take(pace{burstMessages, perSecond}, now)
	case "presence":
		return b.presence.take(pace{burstPresences, presencesPerSecond}, now)
	}
	return b.iq.take(pace{burstIQs, iqsPerSecond}, now)
}

// arrivals bounds how often each network opens connections, whatever becomes of them.
type arrivals map[netip.Prefix]*bucket

// maxNetworks bounds the memory of arrivals. It forgets all of them then: who has so many networks to come from is not
// slowed down by a bound for each.
const maxNetworks = 20_000

// come tells whether one more connection may come from a network, and from the larger one around it, which may open four
// times as many.
func (a arrivals) come(near netip.Prefix, now time.Time) bool {
	one, many := pace{burstArrivals, arrivalsPerSecond}, pace{4 * burstArrivals, 4 * arrivalsPerSecond}
	bits := 24
	if near.Addr().Is6() {
		bits = 48
	}
	wide, _ := near.Addr().Prefix(bits)
	x, y := a.of(near), a.of(wide)
	if x.empty(one, now) || y.empty(many, now) {
		return false
	}
	x.take(one, now)
	y.take(many, now)
	return true
}

func (a arrivals) of(network netip.Prefix) *bucket {
	b := a[network]
	if b == nil {
		if len(a) >= maxNetworks {
			clear(a)
		}
		b = new(bucket)
		a[network] = b
	}
	return b
}
