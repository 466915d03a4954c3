package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"strconv"
	"strings"
	"time"

	"parley/imtest/history"
	"parley/xmpp/sasl"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// online brings the device online, by whatever way there is: it resumes, unless it is to begin anew. It tries again
// until it succeeds, because the server may be on its way down or up.
func (d *device) online(ctx context.Context) error {
	for !d.alive() {
		anew := d.chance(d.o.Anew)
		l, features, err := d.signIn(ctx)
		if err == nil {
			err = d.begin(ctx, l, features, anew)
		}
		if err == nil {
			continue
		}
		if l != nil && d.line != l {
			l.close()
		}
		d.drop()
		if ctx.Err() != nil {
			return fmt.Errorf("sign in: %w (the last attempt: %w)", context.Cause(ctx), err)
		}
		pause(ctx, time.Duration(10+d.rng.IntN(30))*time.Millisecond)
	}
	return nil
}

// signIn opens a connection as far as the features behind SASL.
func (d *device) signIn(ctx context.Context) (*link, *xml.Element, error) {
	asked := d.o.Recorder.Now()
	nc, direct, err := d.o.Dial(ctx)
	if err != nil {
		return nil, nil, err
	}
	l := &link{asked: asked, nc: nc, stream: stream.New(nc, xml.Limits{}), done: make(chan struct{}), kick: make(chan struct{}, 1)}
	_ = nc.SetReadDeadline(time.Now().Add(d.o.Patience))
	if direct {
		if err := l.secure(); err != nil {
			return l, nil, err
		}
	}
	features, err := l.open()
	if err == nil && features.Has(stream.NSTLS, "starttls") {
		if _, err = l.request("<starttls xmlns='" + stream.NSTLS + "'/>"); err == nil {
			err = l.secure()
		}
		if err == nil {
			features, err = l.open()
		}
	}
	if err == nil {
		err = d.authenticate(l)
	}
	if err == nil {
		features, err = l.open()
	}
	return l, features, err
}

func (l *link) secure() error {
	return l.stream.Secure(&tls.Config{InsecureSkipVerify: true, NextProtos: []string{stream.ALPN}}, false)
}

// open opens the stream and returns the features.
func (l *link) open() (*xml.Element, error) {
	if err := l.stream.Open(stream.Header{To: "localhost"}); err != nil {
		return nil, err
	}
	if _, err := l.stream.Header(); err != nil {
		return nil, err
	}
	return l.stream.Read()
}

// request sends one element and returns the next that comes.
func (l *link) request(text string) (*xml.Element, error) {
	if err := l.stream.Write([]byte(text)); err != nil {
		return nil, err
	}
	return l.stream.Read()
}

// authenticate runs one SASL exchange; what was computed from the password is remembered.
func (d *device) authenticate(l *link) error {
	if d.sasl == nil {
		x, err := sasl.NewClient(d.account, d.o.Password, "")
		if err != nil {
			return err
		}
		d.sasl = x
	}
	x := d.sasl.Again()
	out, _, err := x.Step(nil)
	if err != nil {
		return err
	}
	el, err := l.request(xml.New(stream.NSSASL, "auth", xml.A("mechanism", sasl.Mechanism)).WithText(sasl.Encode(out)).String())
	for err == nil && el.Name.Local == "challenge" {
		var in []byte
		if in, err = sasl.Decode(el.Text()); err != nil {
			break
		}
		if out, _, err = x.Step(in); err != nil {
			break
		}
		el, err = l.request(xml.New(stream.NSSASL, "response").WithText(sasl.Encode(out)).String())
	}
	if err == nil && el.Name.Local != "success" {
		err = fmt.Errorf("sign in as %s: %s", d.account, el)
	}
	l.stream.Restart()
	return err
}

// begin resumes the session, or begins one, and makes l the device's connection.
func (d *device) begin(ctx context.Context, l *link, features *xml.Element, anew bool) error {
	d.mu.Lock()
	id, seen := d.id, uint32(d.seen)+d.aheadIn
	d.mu.Unlock()
	if id != "" && !anew && features.Has(nsSM, "sm") {
		el, err := d.tampered(l.request(fmt.Sprintf("<resume xmlns='%s' previd='%s' h='%d'/>", nsSM, id, seen)))
		if err != nil {
			return err
		}
		if e := stream.ReadError(el); e != nil && e.Condition == stream.SystemShutdown {
			return e
		}
		if el.Name.Local == "resumed" {
			return d.resumed(l, el)
		}
		if d.failed(el); el.Name.Local != "failed" {
			d.forget(history.Event{Kind: history.Left})
			return fmt.Errorf("resume: %s", el)
		}
	}
	d.forget(history.Event{Kind: history.Left})
	_, resource, _ := strings.Cut(d.name, "/")
	el, err := l.request("<iq type='set' id='bind'><bind xmlns='" + stream.NSBind + "'><resource>" + resource + "</resource></bind></iq>")
	if err != nil {
		return err
	}
	if el.Attr("type") != "result" {
		return fmt.Errorf("bind: %s", el)
	}
	managed := features.Has(nsSM, "sm")
	if managed {
		if el, err = l.request("<enable xmlns='" + nsSM + "' resume='true'/>"); err != nil {
			return err
		}
		if el.Name.Local != "enabled" {
			return fmt.Errorf("enable: %s", el)
		}
		id = el.Attr("id")
	}
	return d.bound(ctx, l, managed, id)
}

// tampered lets whoever is between change the answer to a resumption.
func (d *device) tampered(el *xml.Element, err error) (*xml.Element, error) {
	if err != nil || d.o.Between == nil {
		return el, err
	}
	return d.o.Between(d.name, el)[0], nil
}

// hOf is the count that an element bears, -1 when it bears none. The caller holds d.mu.
func (d *device) hOf(el *xml.Element) int64 {
	h, err := strconv.ParseUint(el.Attr("h"), 10, 32)
	if err != nil {
		return -1
	}
	return d.count(uint32(h))
}

// resumed goes on with the session: what the server does not have is sent again, but for what is given up.
func (d *device) resumed(l *link, el *xml.Element) error {
	if old := d.line; old != nil { // taken over
		old.close()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.hOf(el)
	d.note(history.Event{Kind: history.Resumed, H: h, Asked: l.asked})
	d.covered(h)
	again := d.left()
	d.out, d.sent = nil, d.counted
	_ = l.nc.SetReadDeadline(time.Time{})
	d.line = l
	for _, w := range again {
		d.push(l, w)
	}
	l.run(d)
	return nil
}

// failed notes that the session is over; what the server has of it, it may say.
func (d *device) failed(el *xml.Element) {
	d.mu.Lock()
	h := d.hOf(el)
	d.note(history.Event{Kind: history.Failed, H: h, Text: el.String()})
	d.covered(h)
	if h >= 0 {
		d.out = d.left()
	}
	d.mu.Unlock()
}

// left is what the server does not have, each message once, without those that are given up. The caller holds d.mu.
func (d *device) left() (list []written) {
	seen := map[history.Msg]bool{}
	for _, w := range d.out {
		if w.msg != "" && seen[w.msg] {
			continue
		}
		seen[w.msg] = true
		if w.msg == "" || !d.chance(d.o.GiveUp) {
			list = append(list, w)
		}
	}
	return list
}

// forget ends the session: what is not counted goes into the next one.
func (d *device) forget(e history.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.session != 0 {
		d.note(e)
	}
	for _, w := range d.out {
		if w.msg != "" {
			d.backlog = append(d.backlog, w)
		}
	}
	d.out, d.id, d.session = nil, "", 0
}

// bound begins with a new session: it becomes available, asks for copies, sends what is left of the last one, and reads
// what came in between.
func (d *device) bound(ctx context.Context, l *link, managed bool, id string) error {
	_ = l.nc.SetReadDeadline(time.Time{})
	d.mu.Lock()
	d.line = l
	d.session, d.managed, d.id = d.o.Recorder.NewSession(), managed, id
	d.sent, d.counted, d.seen, d.behind = 0, 0, 0, true
	d.aheadOut, d.aheadIn = 0, 0
	d.note(history.Event{Kind: history.Bound, Asked: l.asked})
	backlog := d.backlog
	d.backlog = nil
	d.push(l, written{text: "<presence/>"})
	d.push(l, written{id: "carbons", text: "<iq type='set' id='carbons'><enable xmlns='" + nsCarbons + "'/></iq>"})
	for _, w := range backlog {
		d.push(l, w)
	}
	d.mu.Unlock()
	l.run(d)
	if err := d.ping(ctx); err != nil {
		return nil // the session is there; its connection is not
	}
	d.mu.Lock()
	d.note(history.Event{Kind: history.Ready})
	d.mu.Unlock()
	_ = d.catchUp(ctx)
	return nil
}

func (d *device) chance(p float64) bool { return d.rng.Float64() < p }

func pause(ctx context.Context, t time.Duration) {
	select {
	case <-time.After(t):
	case <-ctx.Done():
	}
}
