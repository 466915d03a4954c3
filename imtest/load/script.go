package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"parley/imtest/history"
)

// talk is the device's part while everybody talks: its rounds, or fewer, when done is closed before.
func (d *device) talk(ctx context.Context, done <-chan struct{}) error {
	for range d.o.Rounds {
		select {
		case <-done:
			return nil
		default:
		}
		if err := d.online(ctx); err != nil {
			return err
		}
		d.say(1 + d.rng.IntN(d.o.Burst))
		if d.chance(d.o.Again) {
			d.again()
		}
		if d.chance(d.o.Read) {
			if err := d.acknowledged(ctx); err == nil {
				_ = d.catchUp(ctx)
			}
		}
		pause(ctx, time.Duration(d.rng.Int64N(int64(d.o.Pause))))
		if err := d.part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// say writes n messages that are new.
func (d *device) say(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.line == nil {
		return
	}
	for range n {
		d.said++
		m := history.NewMsg(d.name, d.partner, d.said)
		d.push(d.line, written{msg: m, text: d.text(m, d.chance(d.o.Forge))})
	}
	if d.managed {
		d.line.write("<r xmlns='" + nsSM + "'/>")
		return
	}
	d.ids++
	id := fmt.Sprintf("p%d", d.ids)
	d.push(d.line, written{id: id, text: "<iq type='get' to='localhost' id='" + id + "'><ping xmlns='" + nsPing + "'/></iq>"})
}

// again sends once more what is not counted, as a client does that has lost patience.
func (d *device) again() {
	if d.line == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.out {
		if w.msg != "" {
			d.push(d.line, written{msg: w.msg, text: w.text})
		}
	}
}

// part is what happens to the connection at the end of a round; most times nothing.
func (d *device) part(ctx context.Context) error {
	x := d.rng.Float64()
	for _, way := range [...]struct {
		chance float64
		do     func()
	}{
		{d.o.Cut, d.drop},
		{d.o.Half, d.halfClose},
		{d.o.Leave, d.leave},
		{d.o.Takeover, func() { d.takeOver(ctx) }},
	} {
		if x < way.chance {
			if d.line != nil {
				way.do()
			}
			return nil
		}
		x -= way.chance
	}
	return nil
}

func (d *device) halfClose() {
	d.line.half()
	d.line = nil
	d.mu.Lock()
	d.note(history.Event{Kind: history.Lost})
	d.mu.Unlock()
}

// leave ends the session in order.
func (d *device) leave() {
	d.line.write("</stream:stream>")
	select {
	case <-d.line.done:
	case <-time.After(d.o.Patience):
	}
	d.line.close()
	d.line = nil
	d.forget(history.Event{Kind: history.Left})
}

// takeOver resumes on a second connection while the first is still there, unread.
func (d *device) takeOver(ctx context.Context) {
	old := d.line
	old.stop()
	l, features, err := d.signIn(ctx)
	if err == nil {
		err = d.begin(ctx, l, features, false)
	}
	if err != nil && l != nil && d.line == old {
		l.close()
	}
	if d.line == old {
		d.drop()
	} else {
		old.close()
	}
}

// settled tells whether all that the device has sent is counted or refused. The caller holds d.mu.
func (d *device) settled() bool {
	if len(d.backlog) > 0 {
		return false
	}
	for _, w := range d.out {
		if w.msg != "" {
			return false
		}
	}
	return true
}

// acknowledged asks for a count and waits until all messages are in it.
func (d *device) acknowledged(ctx context.Context) error {
	if !d.alive() {
		return errGone
	}
	d.mu.Lock()
	managed := d.managed
	d.mu.Unlock()
	if !managed {
		return d.ping(ctx)
	}
	d.line.write("<r xmlns='" + nsSM + "'/>")
	return d.until(ctx, d.settled)
}

// settle sends everything until it is counted. If the server does not count it in time, the history says so.
func (d *device) settle(ctx context.Context) error {
	deadline := time.Now().Add(2 * d.o.Patience)
	for {
		if err := d.online(ctx); err != nil {
			return err
		}
		err := d.acknowledged(ctx)
		if err == nil || errors.Is(err, errSilence) {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("settle: %w", err)
		}
	}
}

// rest waits until the device has received what there is for it, and reads on in its archive from where it was.
func (d *device) rest(ctx context.Context) error {
	if err := d.received(ctx); err != nil {
		return err
	}
	if err := d.catchUp(ctx); err != nil {
		return fmt.Errorf("catch up: %w", err)
	}
	d.mu.Lock()
	d.note(history.Event{Kind: history.Quiet})
	d.mu.Unlock()
	return nil
}

// received waits until nothing more comes: two pings are answered, and nothing came in between.
func (d *device) received(ctx context.Context) error {
	if err := d.online(ctx); err != nil {
		return err
	}
	for quiet := 0; quiet < 2; quiet++ {
		d.mu.Lock()
		before := d.got
		d.mu.Unlock()
		if err := d.ping(ctx); err != nil {
			return fmt.Errorf("wait for the last messages: %w", err)
		}
		d.mu.Lock()
		if d.got != before {
			quiet = -1
		}
		d.mu.Unlock()
	}
	return nil
}

// audit reads the whole archive of the account, by small pages and by large ones.
func (d *device) audit(ctx context.Context) error {
	if !d.first {
		return nil
	}
	if err := d.online(ctx); err != nil {
		return err
	}
	for _, size := range [...]int{7, 100} {
		if _, err := d.walk(ctx, "", size, true); err != nil {
			return fmt.Errorf("read the archive: %w", err)
		}
	}
	return nil
}
