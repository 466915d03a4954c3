package imtest

import (
	"fmt"
	"maps"
	"strings"

	"parley/xmpp/xml"
)

// match compares an element with what is expected; "" when it is that. Values with a name are added to vars.
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
	return matchInside(got, want, vars)
}

// matchInside compares the children.
func matchInside(got, want *xml.Element, vars map[string]string) string {
	var gots []*xml.Element
	for el := range got.Children() {
		gots = append(gots, el)
	}
	at, more := "<"+got.Name.Local+">", false
	for w := range want.Children() {
		if w.Name.Local == "more" {
			more = true
			continue
		}
		for {
			if len(gots) == 0 {
				return fmt.Sprintf("%s lacks %s", at, w)
			}
			next, known := gots[0], maps.Clone(vars)
			gots = gots[1:]
			diff := match(next, w, known)
			if diff == "" {
				maps.Copy(vars, known)
				more = false
				break
			}
			if !more {
				return diff
			}
		}
	}
	if len(gots) > 0 && !more {
		return fmt.Sprintf("%s has %s, which was not expected", at, gots[0])
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

// same compares a value with an expected one that may be *, or {name}, or have * and {name} inside.
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
	return like(got, want)
}

// like compares a text with one in which * stands for any text.
func like(got, want string) bool {
	parts := strings.Split(want, "*")
	got, ok := strings.CutPrefix(got, parts[0])
	if !ok || len(parts) == 1 {
		return ok && got == ""
	}
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		i := strings.Index(got, part)
		if i < 0 {
			return false
		}
		got = got[i+len(part):]
	}
	return strings.HasSuffix(got, parts[last])
}
