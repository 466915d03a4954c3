package config

import (
	"fmt"
	"strings"
)

// Template is a TOML file with every setting, what it means and what it is by default. All of it is comments: what
// is to differ from the default, loses its "#".
func Template() string {
	var b strings.Builder
	b.WriteString(`# Settings of parley server. Take the "#" away in front of a setting to change it.
# A running server takes over those marked "reload" at SIGHUP; the others count from the next start.
# Check this file:  parley config validate FILE        Use it:  parley server --config FILE
`)
	for _, s := range Settings() {
		b.WriteString("\n")
		doc := strings.ReplaceAll(s.Doc, "`", "")
		var notes []string
		switch s.Kind {
		case Number, Seconds, Choice, Switch:
			notes = append(notes, s.form())
		}
		if s.Default == "" {
			notes = append(notes, "not set: "+strings.ReplaceAll(s.Unset, "`", ""))
		}
		if s.Reload {
			notes = append(notes, "reload")
		}
		for _, line := range wrap(doc, 110) {
			b.WriteString("# " + line + "\n")
		}
		if len(notes) > 0 {
			b.WriteString("# (" + strings.Join(notes, "; ") + ")\n")
		}
		value := s.Default
		if value == "" {
			value = s.Example
		}
		fmt.Fprintf(&b, "#%s = %s\n", s.Key, s.quote(value))
	}
	return b.String()
}

// Line returns the setting with its value in c as a line of the file; with set false, a comment that says what holds
// because it is not given.
func (s Setting) Line(c Config) (line string, set bool) {
	switch v := s.Value(c).(type) {
	case int:
		if v == 0 && s.Default == "" {
			break
		}
		return fmt.Sprintf("%s = %d", s.Key, v), true
	case bool:
		return fmt.Sprintf("%s = %t", s.Key, v), true
	case string:
		if v == "" {
			break
		}
		return s.Key + " = " + basicString(v), true
	case []string:
		if len(v) == 0 {
			break
		}
		return s.Key + " = " + s.quote(strings.Join(v, ",")), true
	}
	return fmt.Sprintf("# %s is not set: %s", s.Key, strings.ReplaceAll(s.Unset, "`", "")), false
}

// wrap breaks a text between words into lines of at most so many letters.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
