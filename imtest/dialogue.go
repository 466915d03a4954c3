package imtest

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley/store"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// Play runs every dialogue file (*.txt) of a folder, over every transport.
//
// A dialogue is a list of lines; what a line needs more of follows indented. Text from # on is a comment, at the
// beginning of a line.
//
//	set timeout 2                        before the first account: a setting of the server, by its key
//	accounts alice bob
//	alice/a connects                     signs in and binds
//	alice/a is online                    connects, sends presence and forgets what comes of it
//	alice/a sends                        what stands below, as it stands
//	    <message to='bob@localhost'>…
//	bob/b gets                           the next stanza is the one below
//	    <message from='alice@localhost/a' …>
//	bob/b gets any order                 the next stanzas are those below, one a line block each
//	bob/b gets nothing                   the server has nothing more to say to bob/b, nor had anybody
//	everybody settles                    all read and forget what there is
//	bob/b is closed                      the stream ends; with the stream error below, if there is one
//	bob/b leaves                         closes its stream in order
//	restart                              the server stops in order and starts anew on the same data
//	wait 2.5                             seconds
//
// In what is expected, the value * stands for any value that is there, and {name} for a value that is remembered and
// has to be the same wherever {name} stands again; in what is sent, {name} is replaced by it. <any/> stands for any
// one element.
func Play(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no dialogues in %s (%v)", dir, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, transport := range Transports() {
			name := strings.TrimSuffix(filepath.Base(file), ".txt") + "/" + string(transport)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				d := &dialogue{t: t, file: filepath.Base(file), transport: transport, settings: map[string]string{}, clients: map[string]*Client{}, vars: map[string]string{}}
				d.play(parseDialogue(text))
			})
		}
	}
}

// line is one line of a dialogue with what stands indented below it.
type line struct {
	n     int
	words []string
	below []string // blocks that empty lines, or the end of an element, separate
}

func parseDialogue(text []byte) []line {
	var lines []line
	sc := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; sc.Scan(); n++ {
		s := sc.Text()
		switch {
		case strings.HasPrefix(strings.TrimSpace(s), "#"), strings.TrimSpace(s) == "":
		case s[0] == ' ' || s[0] == '\t':
			l := &lines[len(lines)-1]
			l.below = append(l.below, strings.TrimSpace(s))
		default:
			lines = append(lines, line{n: n, words: strings.Fields(s)})
		}
	}
	return lines
}

type dialogue struct {
	t         *testing.T
	file      string
	transport Transport
	settings  map[string]string
	server    *Server
	clients   map[string]*Client
	order     []string // of clients
	vars      map[string]string
}

func (d *dialogue) play(lines []line) {
	for _, l := range lines {
		d.step(l)
		if d.t.Failed() {
			d.t.Fatalf("%s:%d: %s", d.file, l.n, strings.Join(l.words, " "))
		}
	}
}

func (d *dialogue) step(l line) {
	switch l.words[0] {
	case "set":
		d.settings[l.words[1]] = strings.Join(l.words[2:], " ")
		return
	case "accounts":
		d.start()
		d.server.Account(l.words[1:]...)
		return
	case "everybody":
		Settle(d.everybody()...)
		return
	case "restart":
		engine := d.server.Engine
		for _, c := range d.everybody() {
			go c.hangUp()
		}
		d.server.Stop()
		d.server = nil
		d.clients, d.order = map[string]*Client{}, nil
		d.startOn(engine)
		return
	case "wait":
		seconds, _ := strconv.ParseFloat(l.words[1], 64)
		time.Sleep(time.Duration(seconds * float64(time.Second)))
		return
	}
	d.client(l, l.words[0], strings.Join(l.words[1:], " "))
}

// client plays a line that is about one client.
func (d *dialogue) client(l line, who, what string) {
	c := d.clients[who]
	if c == nil && what != "connects" && what != "is online" {
		d.t.Fatalf("%s:%d: %s is not connected", d.file, l.n, who)
	}
	below := strings.Join(l.below, "")
	switch what {
	case "connects", "is online":
		c = d.server.Connect(d.t, who)
		d.clients[who] = c
		d.order = append(d.order, who)
		if what == "is online" {
			c.Send("<presence/>")
			c.Settle()
		}
	case "sends":
		c.Send(d.fill(below))
	case "gets":
		d.expect(l, c.Read(), d.parse(l, below))
	case "gets any order":
		d.anyOrder(l, c)
	case "gets nothing":
		d.nothing(l, c)
	case "is closed":
		d.closed(l, c, below)
	case "leaves":
		c.Leave()
		d.forget(who)
	default:
		d.t.Fatalf("%s:%d: %q is nothing that a client can do", d.file, l.n, what)
	}
}

func (d *dialogue) start() {
	if d.server == nil {
		d.startOn(nil)
	}
}

func (d *dialogue) startOn(engine store.Engine) {
	d.server = Start(d.t, Options{Transport: d.transport, Settings: d.settings, Engine: engine})
}

func (d *dialogue) forget(who string) {
	delete(d.clients, who)
	for i, name := range d.order {
		if name == who {
			d.order = append(d.order[:i], d.order[i+1:]...)
			break
		}
	}
}

// everybody are the clients that are connected, in the order in which they came.
func (d *dialogue) everybody() []*Client {
	var all []*Client
	for _, who := range d.order {
		all = append(all, d.clients[who])
	}
	return all
}

// nothing fails when there is anything for a client, once everything that anybody sent has been dealt with.
func (d *dialogue) nothing(l line, c *Client) {
	for _, other := range d.everybody() {
		other.Fence()
	}
	if got := c.Drain(); len(got) > 0 {
		d.t.Errorf("%s:%d: got %s", d.file, l.n, got[0])
	}
}

func (d *dialogue) closed(l line, c *Client, below string) {
	var last *xml.Element
	for {
		el, err := c.Stream.Read()
		if err != nil {
			break
		}
		last = el
		if stream.ReadError(el) == nil && below == "" {
			d.t.Errorf("%s:%d: got %s", d.file, l.n, el)
		}
	}
	d.forget(c.JID.Local() + "/" + c.JID.Resource())
	if below == "" {
		return
	}
	if last == nil {
		d.t.Errorf("%s:%d: closed without a stream error", d.file, l.n)
		return
	}
	d.expect(l, last, d.parse(l, below))
}

// anyOrder expects one element for each line below, in whatever order they come.
func (d *dialogue) anyOrder(l line, c *Client) {
	var want []*xml.Element
	for _, s := range l.below {
		want = append(want, d.parse(l, s))
	}
	for len(want) > 0 {
		got := c.Read()
		found := -1
		for i, w := range want {
			if match(got, w, d.vars) == "" {
				found = i
				break
			}
		}
		if found < 0 {
			d.t.Errorf("%s:%d: got %s, which is none of the %d that were still expected", d.file, l.n, got, len(want))
			return
		}
		want = append(want[:found], want[found+1:]...)
	}
}

func (d *dialogue) expect(l line, got, want *xml.Element) {
	if diff := match(got, want, d.vars); diff != "" {
		d.t.Errorf("%s:%d: %s\n got %s\nwant %s", d.file, l.n, diff, got, want)
	}
}

func (d *dialogue) parse(l line, s string) *xml.Element {
	s = strings.Replace(s, "<stream:error>", "<stream:error xmlns:stream='"+stream.NS+"'>", 1)
	el, err := xml.Parse(s, stanza.NSClient, xml.Limits{})
	if err != nil {
		d.t.Fatalf("%s:%d: %v in %s", d.file, l.n, err, s)
	}
	return el
}

// fill puts remembered values in.
func (d *dialogue) fill(s string) string {
	for name, value := range d.vars {
		s = strings.ReplaceAll(s, "{"+name+"}", value)
	}
	return s
}

// match compares an element with what is expected; "" when it is that.
func match(got, want *xml.Element, vars map[string]string) string {
	if want.Name.Local == "any" {
		return ""
	}
	if got.Name != want.Name {
		return fmt.Sprintf("element {%s}%s instead of {%s}%s", got.Name.Space, got.Name.Local, want.Name.Space, want.Name.Local)
	}
	at := "<" + got.Name.Local + ">"
	for _, a := range want.Attrs {
		v, ok := attr(got, a.Name)
		if !ok {
			return at + " lacks " + a.Name.Local
		}
		if !same(v, a.Value, vars) {
			return fmt.Sprintf("%s has %s=%q instead of %q", at, a.Name.Local, v, a.Value)
		}
	}
	for _, a := range got.Attrs {
		if _, ok := attr(want, a.Name); !ok {
			return fmt.Sprintf("%s has %s=%q, which was not expected", at, a.Name.Local, a.Value)
		}
	}
	if g, w := strings.TrimSpace(got.Text()), strings.TrimSpace(want.Text()); !same(g, w, vars) {
		return fmt.Sprintf("%s says %q instead of %q", at, g, w)
	}
	if got.Len() != want.Len() {
		return fmt.Sprintf("%s has %d children instead of %d", at, got.Len(), want.Len())
	}
	gots := make([]*xml.Element, 0, got.Len())
	for el := range got.Children() {
		gots = append(gots, el)
	}
	i := 0
	for w := range want.Children() {
		if diff := match(gots[i], w, vars); diff != "" {
			return diff
		}
		i++
	}
	return ""
}

func attr(el *xml.Element, n xml.Name) (string, bool) {
	for _, a := range el.Attrs {
		if a.Name == n {
			return a.Value, true
		}
	}
	return "", false
}

// same compares a value with an expected one that may be *, or {name}, or have {name} inside.
func same(got, want string, vars map[string]string) bool {
	if want == "*" {
		return got != ""
	}
	if name, ok := strings.CutPrefix(want, "{"); ok && strings.HasSuffix(name, "}") {
		name = strings.TrimSuffix(name, "}")
		if known, ok := vars[name]; ok {
			return known == got
		}
		vars[name] = got
		return true
	}
	for name, value := range vars {
		want = strings.ReplaceAll(want, "{"+name+"}", value)
	}
	return got == want
}
