package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// decode takes over the settings of a TOML text. It returns all that is wrong with it, in the order of the lines:
// unknown keys and values of the wrong type, each with its line. Only a text that is not TOML has one fault.
func (c *Config) decode(path string, text []byte) []*Error {
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // editors on Windows put it there
	var given map[string]any
	if err := toml.Unmarshal(text, &given); err != nil {
		return []*Error{syntaxError(path, err)}
	}
	f := file{path: path, lines: lines(text)}
	f.take(c, "", given)
	slices.SortFunc(f.faults, func(a, b fault) int {
		return cmp.Or(a.line-b.line, strings.Compare(a.err.What, b.err.What))
	})
	var all []*Error
	for _, one := range f.faults {
		all = append(all, one.err)
	}
	return all
}

// file is a TOML text while its settings are taken over.
type file struct {
	path   string
	lines  map[string]int // by key
	faults []fault
}

type fault struct {
	line int
	err  *Error
}

// take takes over one table: the keys below a prefix, which is empty or ends with a dot.
func (f *file) take(c *Config, prefix string, table map[string]any) {
	for name, value := range table {
		key := prefix + name
		s, known := find(key)
		sub, isTable := value.(map[string]any)
		switch {
		case known:
			f.give(c, s, key, value)
		case isSection(key) && isTable:
			f.take(c, key+".", sub)
		case isSection(key):
			f.add(key, &Error{What: fmt.Sprintf("%q must be a section", key), Fix: "for example:  " + inSection(key)})
		default:
			f.add(key, unknownKey(key))
		}
	}
}

// give takes over one value.
func (f *file) give(c *Config, s Setting, key string, value any) {
	ok := false
	switch p := s.field(c).(type) {
	case *int:
		var n int64
		if n, ok = value.(int64); ok {
			*p = int(n)
			ok = int64(*p) == n
		}
	case *bool:
		ok = put(p, value)
	case *string:
		ok = put(p, value)
	case *[]string:
		var list []any
		if list, ok = value.([]any); ok {
			*p = make([]string, len(list))
			for i, v := range list {
				ok = put(&(*p)[i], v) && ok
			}
		}
	}
	if !ok {
		s.reset(c)
		f.add(key, &Error{What: s.Key + " must be " + s.form(), Fix: "for example:  " + s.line()})
		return
	}
	c.origins[s.Key] = origin{Origin: Origin{File: f.path, Line: f.line(key)}, name: s.Key, example: s.line()}
}

func put[T any](field *T, value any) (ok bool) {
	v, ok := value.(T)
	if ok {
		*field = v
	}
	return ok
}

// add remembers a fault and says where it is.
func (f *file) add(key string, e *Error) {
	line := f.line(key)
	e.What = inFile(f.path, line, e.What)
	f.faults = append(f.faults, fault{line, e})
}

// inFile says of a fault where in the file it is.
func inFile(path string, line int, what string) string {
	joint := ", in "
	if strings.HasPrefix(what, "unknown key ") {
		joint = " in "
	}
	return fmt.Sprintf("config line %d: %s%s%s", line, what, joint, path)
}

// line is where a key stands, or the table around it if that has no line of its own.
func (f *file) line(key string) int {
	for {
		if n, ok := f.lines[key]; ok {
			return n
		}
		i := strings.LastIndexByte(key, '.')
		if i < 0 {
			return 1
		}
		key = key[:i]
	}
}

// lines returns the line of every key and table of a good TOML text, by its name.
func lines(text []byte) map[string]int {
	at := map[string]int{}
	var p unstable.Parser
	p.Reset(text)
	table := ""
	for p.NextExpression() {
		switch e := p.Expression(); e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = keyOf(&p, e, "", at) + "."
		case unstable.KeyValue:
			inner(&p, e, table, at)
		}
	}
	return at
}

// inner notes the lines of a key and of those in its value, if that is an inline table.
func inner(p *unstable.Parser, e *unstable.Node, prefix string, at map[string]int) {
	key := keyOf(p, e, prefix, at)
	if e.Value().Kind != unstable.InlineTable {
		return
	}
	for i := e.Value().Children(); i.Next(); {
		inner(p, i.Node(), key+".", at)
	}
}

// keyOf notes the line of a key and of the tables that it names on the way, unless they have one.
func keyOf(p *unstable.Parser, e *unstable.Node, prefix string, at map[string]int) string {
	key := strings.TrimSuffix(prefix, ".")
	for i := e.Key(); i.Next(); {
		if key != "" {
			key += "."
		}
		key += string(i.Node().Data)
		if at[key] == 0 {
			at[key] = p.Shape(i.Node().Raw).Start.Line
		}
	}
	return key
}

// find returns the setting with that key.
func find(key string) (Setting, bool) {
	for _, s := range Settings() {
		if s.Key == key {
			return s, true
		}
	}
	return Setting{}, false
}

func isSection(name string) bool { return inSection(name) != "" }

// inSection returns a good line of the section, "" if there is no such section.
func inSection(name string) string {
	for _, s := range Settings() {
		if section, _, dotted := strings.Cut(s.Key, "."); dotted && section == name {
			return s.line()
		}
	}
	return ""
}

// line returns the setting with a good value as a line of the file.
func (s Setting) line() string { return s.Key + " = " + s.quote(s.example()) }

// quote returns a value as it is written in the file.
func (s Setting) quote(value string) string {
	switch s.Kind {
	case Text, Choice:
		return basicString(value)
	case List:
		var list []string
		for part := range strings.SplitSeq(value, ",") {
			list = append(list, basicString(strings.TrimSpace(part)))
		}
		return "[" + strings.Join(list, ", ") + "]"
	}
	return value
}

// basicString writes a TOML string in double quotes.
func basicString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r >= 0x7f && r < 0xa0:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func syntaxError(path string, err error) *Error {
	var at *toml.DecodeError
	if !errors.As(err, &at) {
		return &Error{What: "cannot read the configuration file " + path, Why: err.Error()}
	}
	line, column := at.Position()
	return &Error{What: inFile(path, line, "this is not TOML"),
		Why: fmt.Sprintf("column %d: %s", column, strings.TrimPrefix(at.Error(), "toml: ")),
		Fix: `a line looks like  domain = "chat.example.org"`}
}

const allKeys = "All keys: parley help config"

func unknownKey(key string) *Error {
	e := &Error{What: fmt.Sprintf("unknown key %q", key), Fix: allKeys}
	if near := nearestKey(key); near != "" {
		e.Fix = fmt.Sprintf("did you mean %q?  %s", near, allKeys)
	}
	return e
}

// nearestKey returns the key that is most probably meant: first of all the same word in another section.
func nearestKey(key string) string {
	var keys, words []string
	byWord := map[string]string{}
	for _, s := range Settings() {
		word := s.Key[strings.LastIndexByte(s.Key, '.')+1:]
		if _, twice := byWord[word]; !twice {
			byWord[word] = s.Key
			words = append(words, word)
		}
		keys = append(keys, s.Key)
		if section, _, ok := strings.Cut(s.Key, "."); ok {
			keys = append(keys, section)
		}
	}
	if near := Nearest(key, keys); near != "" {
		return near
	}
	return byWord[Nearest(key[strings.LastIndexByte(key, '.')+1:], words)]
}
