package tui

import (
	"slices"
	"strings"

	"parley/client"
)

// past are the letters that were accepted last: some are still to be delivered, or read.
type past struct{ list []letter }

// maxPast bounds them.
const maxPast = 1000

func (p *past) add(l letter) {
	if len(p.list) >= maxPast {
		p.list = slices.Delete(p.list, 0, maxPast/2)
	}
	l.text = firstWords(l.text)
	p.list = append(p.list, l)
}

// find is the letter that somebody says he has; nil when it was not for him, whatever he says. It can be changed as long
// as nothing is added.
func (p *past) find(e client.Delivered) *letter {
	for i := range p.list {
		if l := &p.list[i]; l.id == e.ID && l.to.Bare() == e.By.Bare() {
			return l
		}
	}
	return nil
}

// byID is the letter with that id, nil when it was none of the last.
func (p *past) byID(id string) *letter {
	for i := range p.list {
		if p.list[i].id == id {
			return &p.list[i]
		}
	}
	return nil
}

// firstWords is enough of a text to know it again, on one line.
func firstWords(text string) string {
	first, _, _ := strings.Cut(Clean(text), "\n")
	return width{}.method.Truncate(first, 60, "…")
}
