package auth

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// Two accounts must not look the same, or one can pose as the other. Names are therefore of one script, and what a
// name looks like, with foreign letters read as the Latin ones that have their shape, must be free. Names of ASCII
// alone are never told that they look alike: fonts that show l and 1 as one are rarer than bob1 and bobl.

// together are the scripts that one writing system mixes (the highly restrictive profile of Unicode TS 39 §5.2).
var together = [][]string{
	{"Latin", "Han", "Hiragana", "Katakana"},
	{"Latin", "Han", "Bopomofo"},
	{"Latin", "Han", "Hangul"},
}

// mixture says which scripts a name mixes that do not belong together, or nothing.
func mixture(name string) string {
	found := map[string]bool{}
	for _, r := range name {
		if script := scriptOf(r); script != "" {
			found[script] = true
		}
	}
	if len(found) < 2 {
		return ""
	}
	scripts := slices.Sorted(maps.Keys(found))
	for _, set := range together {
		if !slices.ContainsFunc(scripts, func(s string) bool { return !slices.Contains(set, s) }) {
			return ""
		}
	}
	return "it mixes alphabets (" + strings.Join(scripts, " and ") + ")"
}

// scriptOf returns the script of a letter, "" for what belongs to all of them.
func scriptOf(r rune) string {
	if r < 0x80 {
		if r >= 'a' && r <= 'z' {
			return "Latin"
		}
		return ""
	}
	if unicode.In(r, unicode.Common, unicode.Inherited) {
		return ""
	}
	for name, table := range unicode.Scripts {
		if unicode.Is(table, r) {
			return name
		}
	}
	return fmt.Sprintf("%U", r)
}

// skeleton returns what a canonical name looks like.
func skeleton(name string) string {
	return strings.Map(func(r rune) rune {
		if latin, ok := shapes[r]; ok {
			return latin
		}
		return r
	}, name)
}

// shapes has the lower-case letters that most fonts draw like a Latin one.
var shapes = map[rune]rune{
	// Latin itself
	'ı': 'i', 'ɩ': 'i', 'ɑ': 'a', 'ɡ': 'g', 'ʋ': 'v', 'ⅼ': 'l', 'ſ': 'f',
	// Cyrillic
	'а': 'a', 'в': 'b', 'с': 'c', 'ԁ': 'd', 'е': 'e', 'ѐ': 'è', 'ё': 'ë', 'һ': 'h', 'і': 'i', 'ї': 'ï', 'ј': 'j', 'к': 'k',
	'ӏ': 'l', 'м': 'm', 'н': 'h', 'о': 'o', 'р': 'p', 'ԛ': 'q', 'ѕ': 's', 'т': 't', 'у': 'y', 'ѵ': 'v', 'ԝ': 'w', 'х': 'x',
	'ү': 'y', 'г': 'r', 'п': 'n', 'ь': 'b', 'ӓ': 'ä', 'ӧ': 'ö', 'ӕ': 'æ', 'ә': 'ə',
	// Greek
	'α': 'a', 'β': 'b', 'ϲ': 'c', 'γ': 'y', 'ι': 'i', 'ϳ': 'j', 'κ': 'k', 'ν': 'v', 'ο': 'o', 'ό': 'ó', 'ρ': 'p', 'σ': 'o',
	'τ': 't', 'υ': 'u', 'χ': 'x', 'ω': 'w', 'ί': 'í', 'ϊ': 'ï', 'η': 'n',
	// Armenian
	'օ': 'o', 'ս': 'u', 'հ': 'h', 'ո': 'n', 'ց': 'g', 'յ': 'j', 'զ': 'q',
}
