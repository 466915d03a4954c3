package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// decode takes over the settings of a TOML text. Unknown keys and wrong types are an *Error that names the line.
func (c *Config) decode(path string, text []byte) error {
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // editors on Windows put it there
	var given map[string]any
	if err := toml.Unmarshal(text, &given); err != nil {
		return syntaxError(path, err)
	}
	dec := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := dec.Decode(c); err != nil {
		if unknown := (*toml.StrictMissingError)(nil); errors.As(err, &unknown) {
			return unknownKeys(path, unknown)
		}
		return typeError(path, err)
	}
	for _, s := range Settings() {
		if has(given, strings.Split(s.Key, ".")) {
			c.origins[s.Key] = origin{name: s.Key + " in " + path, example: s.line()}
		}
	}
	return nil
}

// has reports whether the tree of a TOML text holds that key. Like the decoder it does not look at the case.
func has(tree map[string]any, key []string) bool {
	for name, value := range tree {
		if !strings.EqualFold(name, key[0]) {
			continue
		}
		if len(key) == 1 {
			return true
		}
		if sub, ok := value.(map[string]any); ok && has(sub, key[1:]) {
			return true
		}
	}
	return false
}

// line returns the setting with a good value as a line of the file.
func (s Setting) line() string {
	value := s.example()
	switch s.Kind {
	case Text, Choice:
		value = `"` + value + `"`
	case List:
		value = `["` + value + `"]`
	}
	return s.Key + " = " + value
}

func syntaxError(path string, err error) error {
	var at *toml.DecodeError
	if !errors.As(err, &at) {
		return &Error{What: "cannot read the configuration file " + path, Why: err.Error()}
	}
	line, column := at.Position()
	return &Error{What: fmt.Sprintf("config line %d: this is not TOML, in %s", line, path),
		Why: fmt.Sprintf("column %d: %s", column, strings.TrimPrefix(at.Error(), "toml: ")),
		Fix: `a line looks like  domain = "chat.example.org"`}
}

func unknownKeys(path string, unknown *toml.StrictMissingError) error {
	e := &Error{Fix: allKeys}
	for i, at := range unknown.Errors {
		line, _ := at.Position()
		key := strings.Join(at.Key(), ".")
		if i == 0 {
			e.What = fmt.Sprintf("config line %d: unknown key %q in %s", line, key, path)
			if near := nearestKey(key); near != "" {
				e.Fix = fmt.Sprintf("did you mean %q?  %s", near, allKeys)
			}
			continue
		}
		if e.Why == "" {
			e.Why = "it is not the only one:"
		} else {
			e.Why += ","
		}
		e.Why += fmt.Sprintf(" %q in line %d", key, line)
		if i == 5 {
			e.Why += " …"
			break
		}
	}
	return e
}

const allKeys = "All keys: parley help config"

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

// typeError rewords the decoder's complaint about a value of the wrong type.
func typeError(path string, err error) error {
	var at *toml.DecodeError
	if !errors.As(err, &at) {
		return &Error{What: "cannot use the configuration file " + path, Why: err.Error()}
	}
	line, _ := at.Position()
	key := strings.Join(at.Key(), ".")
	for _, s := range Settings() {
		if strings.EqualFold(s.Key, key) {
			return &Error{What: fmt.Sprintf("config line %d: %s must be %s, in %s", line, s.Key, s.form(), path),
				Fix: "for example:  " + s.line()}
		}
	}
	return &Error{What: fmt.Sprintf("config line %d: %q cannot have this value, in %s", line, key, path),
		Why: strings.TrimPrefix(at.Error(), "toml: "), Fix: allKeys}
}
