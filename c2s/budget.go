package c2s

import (
	"context"
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

func (b *bucket) wait(ctx context.Context) error {
	now := time.Now()
	if !b.last.IsZero() {
		b.tokens = min(b.burst, b.tokens+now.Sub(b.last).Seconds()*b.rate)
	}
	b.last = now
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
