package disco

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"slices"
	"strings"

	"parley/im"
	"parley/xmpp/stanza"
	"parley/xmpp/stanza/form"
	"parley/xmpp/xml"
)

// Caps is what the stream features say of the server (XEP-0115 §6.3). It is nil for a hall that does not use this
// extension, and to be made after Use, and again when Options.Timeout says something else: the rest does not change.
func Caps(srv *im.Server) *xml.Element {
	for _, x := range srv.Extensions() {
		if x.Name != extension {
			continue
		}
		// The hash is of the very answer that clients get.
		el, err := x.Answers[0].Get(context.Background(), &im.Query{Payload: xml.New(NSInfo, "query")})
		if err != nil {
			return nil
		}
		return xml.New(NSCaps, "c", xml.A("hash", "sha-1"), xml.A("node", Node), xml.A("ver", hash(el)))
	}
	return nil
}

// hash is the verification string of a disco#info (XEP-0115 §5.1). It is SHA-1 because all clients know that; it is a
// name for a cache, and nothing here depends on its strength.
func hash(info *xml.Element) string {
	var identities, features, forms [][]string // each sorted before it is written: "<" does not sort like an end
	for c := range info.Children() {
		switch c.Name {
		case xml.Name{Space: NSInfo, Local: "identity"}:
			identities = append(identities, []string{c.Attr("category"), c.Attr("type"), c.Lang(), c.Attr("name")})
		case xml.Name{Space: NSInfo, Local: "feature"}:
			features = append(features, []string{c.Attr("var")})
		case xml.Name{Space: stanza.NSForms, Local: "x"}:
			if f, err := form.Parse(c); err == nil && f.Value(form.TypeVar) != "" {
				forms = append(forms, formText(f))
			}
		}
	}
	var s strings.Builder
	for _, list := range [][][]string{identities, features, forms} {
		slices.SortFunc(list, slices.Compare)
	}
	for _, id := range identities {
		s.WriteString(strings.Join(id, "/") + "<")
	}
	for _, words := range append(features, forms...) {
		for _, w := range words {
			s.WriteString(w + "<")
		}
	}
	sum := sha1.Sum([]byte(s.String()))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// formText is what a form contributes: its FORM_TYPE, and each field's name and sorted values, by name.
func formText(f *form.Form) []string {
	fields := slices.DeleteFunc(slices.Clone(f.Fields), func(x form.Field) bool { return x.Var == form.TypeVar })
	slices.SortFunc(fields, func(a, b form.Field) int { return strings.Compare(a.Var, b.Var) })
	words := []string{f.Value(form.TypeVar)}
	for _, x := range fields {
		words = append(words, x.Var)
		words = append(words, slices.Sorted(slices.Values(x.Values))...)
	}
	return words
}
