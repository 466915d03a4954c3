package admin

import (
	"context"
	"strconv"
	"time"

	"parley/xmpp/stanza"
)

const (
	fieldDelay = "delay"
	maxDelay   = 24 * time.Hour
)

// plan is a stop that has been asked for.
type plan struct {
	at      time.Time
	restart bool
}

func (a *Admin) shutdown(ctx context.Context, c *call) (*result, error) {
	return a.end(ctx, c, false, "The server stops")
}

func (a *Admin) restart(ctx context.Context, c *call) (*result, error) {
	return a.end(ctx, c, true, "The server restarts")
}

// end plans the end, in place of an earlier plan, and tells everybody online.
func (a *Admin) end(ctx context.Context, c *call, restart bool, what string) (*result, error) {
	seconds := 0
	if given := c.value(fieldDelay); given != "" {
		n, err := strconv.Atoi(given)
		if err != nil || n < 0 || n > int(maxDelay/time.Second) {
			return nil, refuse(stanza.BadRequest, fieldDelay, "the delay is a number of seconds from 0 to %d", int(maxDelay/time.Second))
		}
		seconds = n
	}
	if c.text(fieldAnnouncement) != "" {
		text, err := words(c, fieldAnnouncement)
		if err != nil {
			return nil, err
		}
		a.shout(ctx, text)
	}
	a.mu.Lock()
	a.plan = &plan{at: time.Now().Add(time.Duration(seconds) * time.Second), restart: restart}
	a.mu.Unlock()
	a.stir()
	note := what + " now."
	if seconds > 0 {
		note = what + " in " + number(seconds, "second") + "."
	}
	return &result{note: note, about: "delay " + strconv.Itoa(seconds)}, nil
}

// stir wakes Run.
func (a *Admin) stir() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Run gives the message of the day to who comes, and calls stop when an administrator wanted it, until ctx ends. stop
// must not wait for Run.
func (a *Admin) Run(ctx context.Context, stop func(restart bool)) {
	var due <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.wake:
		case <-due:
		}
		names, next := a.todo()
		for name := range names {
			a.greet(ctx, name)
		}
		if next == nil {
			continue
		}
		left := time.Until(next.at)
		if left <= 0 {
			stop(next.restart)
			return
		}
		due = time.After(left)
	}
}

// todo is what has come up for Run.
func (a *Admin) todo() (came map[string]struct{}, next *plan) {
	a.mu.Lock()
	defer a.mu.Unlock()
	came, a.came = a.came, map[string]struct{}{}
	return came, a.plan
}
