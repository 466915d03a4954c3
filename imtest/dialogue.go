package imtest

import (
	"bufio"
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley/store"
	"parley/store/memory"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// Play runs every dialogue file (*.txt) of a folder, over every transport.
//
// A dialogue is a list of lines; what a line needs more of follows indented. Text from # on is a comment, at the
// beginning of a line.
//
//	set timeout 2                        before the server starts: a setting of it, by its key
//	accounts alice bob                   these are made; the server starts, if it has not
//	admins root                          likewise, as administrators
//	remove bob                           his account is removed, as its administrator does it
//	alice/a is online                    connects, sends presence and forgets what comes of it
//	alice/a connects                     signs in and binds; is offered what stands below, if anything does
//	x opens                              the same without signing in: x is any name
//	x signs in as alice [with PASSWORD]  is offered what stands below, if anything does
//	x is refused as alice with PASSWORD  with the SASL failure below
//	x binds phone                        from now on x is a session
//	alice/a sends                        what stands below, as it stands
//	    <message to='bob@localhost'>…
//	bob/b gets                           the next stanza is the one below
//	    <message from='alice@localhost/a' …>
//	bob/b gets any order                 the next stanzas are those below, one a line, in whatever order
//	bob/b gets nothing                   the server has nothing more to say to bob/b, nor had anybody
//	bob/b forgets                        reads and forgets what there is
//	alice/a asks whoelse                 writes that to the service contact, as chat
//	alice/a is told                      the service contact's answer, line for line
//	    1 person online:
//	    bob
//	everybody settles                    all read and forget what there is
//	bob/b is closed                      the stream ends; with the stream error below, if there is one
//	bob/b leaves                         closes its stream in order
//	bob/b is lost                        its connection breaks
//	stop                                 the server stops
//	restart                              the server stops in order and starts anew on the same data
//	crash                                the server is cut off and starts anew on what was durable; nobody hears of it
//	wait 2.5                             seconds
//
// In what is expected, the value * stands for any value that is there, * inside a value for any text, and {name} for a
// value that is remembered and has to be the same wherever {name} stands again; in what is sent, {name} is replaced by
// it. <any/> stands for any one element, and <more/> allows others anywhere between its neighbours. An <r/> of stream
// management (XEP-0198) that is not expected is passed over.
func Play(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no dialogues in %s (%v)", dir, err)
	}
	timed, others := map[string][]line{}, map[string][]line{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := parseDialogue(text)
		if slices.ContainsFunc(lines, func(l line) bool { return l.words[0] == "wait" }) {
			timed[filepath.Base(file)] = lines
		} else {
			others[filepath.Base(file)] = lines
		}
	}
	// Those in which time passes go first, among themselves: all the others at once would keep them waiting.
	t.Run("timed", func(t *testing.T) { playAll(t, timed) })
	playAll(t, others)
}

// playAll plays dialogues over every transport, at the same time.
func playAll(t *testing.T, dialogues map[string][]line) {
	for _, file := range slices.Sorted(maps.Keys(dialogues)) {
		for _, transport := range Transports() {
			t.Run(strings.TrimSuffix(file, ".txt")+"/"+string(transport), func(t *testing.T) {
				t.Parallel()
				d := &dialogue{t: t, file: file, transport: transport, settings: map[string]string{}, clients: map[string]*Client{}, vars: map[string]string{}}
				d.play(dialogues[file])
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
	case "admins":
		d.start()
		d.server.Account(l.words[1:]...)
		for _, name := range l.words[1:] {
			if _, err := d.server.Accounts().SetAdmin(d.server.ctx, name, true); err != nil {
				d.t.Fatalf("%s:%d: %v", d.file, l.n, err)
			}
		}
		return
	case "remove":
		for _, name := range l.words[1:] {
			if _, err := d.server.Accounts().Remove(d.server.ctx, name); err != nil {
				d.t.Fatalf("%s:%d: %v", d.file, l.n, err)
			}
		}
		return
	case "everybody":
		Settle(d.everybody()...)
		return
	case "stop":
		go d.server.Stop() // which the end of the test waits for
		return
	case "restart", "crash":
		engine := d.server.Engine
		if l.words[0] == "crash" {
			engine = engine.(*memory.Engine).Copy()
		}
		for _, c := range d.clients {
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
	below := strings.Join(l.below, "")
	switch what {
	case "opens", "connects", "is online":
		d.comes(l, who, what, below)
		return
	}
	c := d.clients[who]
	if c == nil {
		d.t.Fatalf("%s:%d: %s is not connected", d.file, l.n, who)
	}
	switch what {
	case "sends":
		c.Send(d.fill(below))
	case "gets":
		want := d.parse(l, below)
		got := c.Read()
		for asks(got) && !asks(want) {
			got = c.Read()
		}
		d.expect(l, got, want)
	case "gets any order":
		d.anyOrder(l, c)
	case "gets nothing":
		d.nothing(l, c)
	case "forgets":
		c.Settle()
	case "is told":
		d.told(l, c)
	case "is closed":
		d.closed(l, c, below)
		d.forget(who)
	case "leaves":
		c.Leave()
		d.forget(who)
	case "is lost":
		_ = c.Stream.Close()
		d.forget(who)
	default:
		d.says(l, c, below)
	}
}

// comes connects a client.
func (d *dialogue) comes(l line, who, what, below string) {
	d.start()
	var c *Client
	if what == "opens" {
		c = d.server.Open(d.t)
	} else {
		c = d.server.Connect(d.t, who)
	}
	d.clients[who] = c
	d.order = append(d.order, who)
	if below != "" {
		d.expect(l, c.Features, d.parse(l, below))
	}
	if what == "is online" {
		c.Send("<presence/>")
		c.Settle()
	}
}

// says plays the lines that have words of their own.
func (d *dialogue) says(l line, c *Client, below string) {
	words := l.words[1:]
	after := func(n int) string { return strings.Join(words[n:], " ") }
	switch {
	case words[0] == "asks" && len(words) > 1:
		c.Send(xml.New(stanza.NSClient, "message", xml.A("to", "localhost"), xml.A("type", "chat"), xml.A("id", "asked")).
			With(xml.New(stanza.NSClient, "body").WithText(d.fill(after(1)))).String())
	case strings.HasPrefix(after(0), "signs in as ") && len(words) > 3:
		password := Password
		if len(words) > 5 {
			password = after(5)
		}
		if failure := c.Authenticate(words[3], password); failure != nil {
			d.t.Errorf("%s:%d: refused: %s", d.file, l.n, failure)
			return
		}
		c.Begin()
		if below != "" {
			d.expect(l, c.Features, d.parse(l, below))
		}
	case strings.HasPrefix(after(0), "is refused as ") && len(words) > 5:
		failure := c.Authenticate(words[3], after(5))
		if failure == nil {
			d.t.Errorf("%s:%d: was let in", d.file, l.n)
			return
		}
		d.expect(l, failure, d.parse(l, below))
	case words[0] == "binds" && len(words) == 2:
		c.bind(words[1])
	default:
		d.t.Fatalf("%s:%d: %q is nothing that a client can do", d.file, l.n, after(0))
	}
}

// told expects an answer of the service contact.
func (d *dialogue) told(l line, c *Client) {
	st := c.Next()
	want := d.fill(strings.Join(l.below, "\n"))
	if st.Kind != stanza.Message || st.From.String() != "localhost" || st.To != c.JID || st.Type != stanza.Chat || st.ID == "" || st.Len() != 1 {
		d.t.Errorf("%s:%d: got %s, which is no answer of the service contact", d.file, l.n, st)
	} else if !same(st.Body(), want, d.vars) {
		d.t.Errorf("%s:%d: told\n%s\ninstead of\n%s", d.file, l.n, st.Body(), want)
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

// everybody are the clients that have a session, in the order in which they came.
func (d *dialogue) everybody() []*Client {
	var all []*Client
	for _, who := range d.order {
		if c := d.clients[who]; !c.JID.IsZero() {
			all = append(all, c)
		}
	}
	return all
}

// asks tells whether an element asks for an acknowledgement.
func asks(el *xml.Element) bool { return el.Name == xml.Name{Space: stream.NSManagement, Local: "r"} }

// nothing fails when there is anything for a client, once everything that anybody sent has been dealt with.
func (d *dialogue) nothing(l line, c *Client) {
	for _, other := range d.everybody() {
		other.Fence()
	}
	if got := slices.DeleteFunc(c.Drain(), asks); len(got) > 0 {
		d.t.Errorf("%s:%d: got %s", d.file, l.n, got[0])
	}
}

func (d *dialogue) closed(l line, c *Client, below string) {
	var last *xml.Element
	_ = c.Stream.SetReadDeadline(time.Now().Add(patience))
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
	_ = c.Stream.Close()
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
		if asks(got) {
			continue
		}
		found := -1
		for i, w := range want {
			known := maps.Clone(d.vars)
			if match(got, w, known) == "" {
				found, d.vars = i, known
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
	for _, name := range []string{"<stream:error", "<stream:features"} {
		s = strings.Replace(s, name+">", name+" xmlns:stream='"+stream.NS+"'>", 1)
	}
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
