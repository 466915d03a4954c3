package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Sources says where settings come from. Each of them may be zero.
type Sources struct {
	Args   map[string]Arg           // from the command line, by key; stronger than everything else
	Getenv func(name string) string // stronger than the file
	File   string                   // path of the TOML file; empty: none
}

// Arg is one setting as it was given on the command line.
type Arg struct {
	Text    string // as typed
	Name    string // how the person calls it: "--port", or "PORT" for a word without a flag
	Example string // a command line that is right; empty: the flag with a good value
}

// origin tells where a value came from.
type origin struct {
	name    string // as a person would call it there: "--port", "PARLEY_PORT", "port in parley.toml"
	example string // a good value in the same place
	usage   bool
}

// Load reads all sources, the stronger over the weaker, over the defaults, and brings the values into their
// normal form. It returns an *Error for what cannot be read at all; Validate says what else is wrong.
func Load(src Sources) (Config, error) {
	getenv := src.Getenv
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	c := Default()
	c.origins = map[string]origin{}
	if src.File != "" {
		if err := c.readFile(src.File); err != nil {
			return Config{}, err
		}
	}
	for _, s := range Settings() {
		if text := getenv(s.Env()); text != "" {
			o := origin{name: s.Env(), example: s.Env() + "=" + s.example()}
			if err := c.give(s, text, o); err != nil {
				return Config{}, err
			}
		}
		if arg, ok := src.Args[s.Key]; ok {
			o := origin{name: arg.Name, example: arg.Example, usage: true}
			if o.example == "" {
				o.example = "--" + s.Flag() + " " + s.example()
			}
			if err := c.give(s, arg.Text, o); err != nil {
				return Config{}, err
			}
		}
	}
	for _, s := range Settings() {
		s.tidy(&c)
	}
	c.Data = dataDir(c.Data, getenv)
	return c, nil
}

// give parses one value and remembers where it came from.
func (c *Config) give(s Setting, text string, o origin) error {
	if problem := s.set(c, text); problem != "" {
		return o.fault(problem)
	}
	c.origins[s.Key] = o
	return nil
}

// fault makes the error about a value that came from here.
func (o origin) fault(problem string) error {
	return &Error{What: o.name + " " + problem, Fix: "for example:  " + o.example, Usage: o.usage}
}

// example returns a good value as it would be typed.
func (s Setting) example() string {
	if s.Example != "" {
		return s.Example
	}
	return s.Default
}

// dataDir completes the name of the data directory. It returns "" when there is no place for it by default.
func dataDir(given string, getenv func(string) string) string {
	home := getenv("HOME")
	if home == "" {
		home = getenv("USERPROFILE")
	}
	switch {
	case home != "" && (given == "~" || strings.HasPrefix(given, "~/")):
		return filepath.Join(home, given[1:])
	case given != "":
		return filepath.Clean(given)
	}
	if base := getenv("XDG_DATA_HOME"); filepath.IsAbs(base) { // relative ones are to be ignored, says XDG
		return filepath.Join(base, "parley")
	}
	if home == "" {
		return ""
	}
	return filepath.Join(home, ".local", "share", "parley")
}

// readFile takes over the settings of a TOML file.
func (c *Config) readFile(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		var at *fs.PathError
		why := err.Error()
		if errors.As(err, &at) {
			why = at.Err.Error()
		}
		return &Error{What: fmt.Sprintf("cannot read the configuration file %s", path), Why: why,
			Fix: "give the right name with  --config FILE  or leave it out"}
	}
	return c.decode(path, text)
}
