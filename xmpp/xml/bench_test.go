package xml

import (
	"bytes"
	stdxml "encoding/xml"
	"io"
	"testing"
)

// chatMessage is the message that the figures in docs and in comments are about: 219 bytes.
const chatMessage = `<message from='alice@example.org/phone' to='bob@example.org' type='chat' id='m5f2c81d4e' xml:lang='en'>` +
	`<body>See you at eight, same place as usual?</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>`

func BenchmarkNext(b *testing.B) {
	s := inStream(b, wire)
	in := []byte(chatMessage)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		s.Feed(in)
		if _, err := s.Next(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLend(b *testing.B) {
	s := inStream(b, wire)
	in := []byte(chatMessage)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		s.Feed(in)
		if _, err := s.Lend(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNextBatch reads as a busy connection does: many messages at once, the last one cut.
func BenchmarkNextBatch(b *testing.B) {
	s := inStream(b, wire)
	in := bytes.Repeat([]byte(chatMessage), 20)
	const cut = 100
	s.Feed(in[:cut])
	in = append(in[cut:], in[:cut]...)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		s.Feed(in)
		for {
			if _, err := s.Next(); err == ErrMore {
				break
			} else if err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkChild(b *testing.B) {
	e, err := Parse(chatMessage, "jabber:client", wire)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if e.Child("jabber:client", "body").Text() == "" {
			b.Fatal("no text")
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	e, err := Parse(chatMessage, "jabber:client", wire)
	if err != nil {
		b.Fatal(err)
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = e.Append(buf[:0], "jabber:client")
	}
}

// BenchmarkStandardLibrary is the same work as BenchmarkNext, less its checks and its index, by encoding/xml.
func BenchmarkStandardLibrary(b *testing.B) {
	in := []byte(chatMessage)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		d := stdxml.NewDecoder(bytes.NewReader(in))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				b.Fatal(err)
			}
		}
	}
}
