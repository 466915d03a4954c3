package form_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"parley/xmpp/stanza/form"
	"parley/xmpp/xml"
)

func parse(t *testing.T, text string) *xml.Element {
	t.Helper()
	el, err := xml.Parse(text, "jabber:client", xml.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return el
}

func TestRoundTrip(t *testing.T) {
	for _, f := range []*form.Form{
		{Type: form.Cancel},
		form.New(form.Ask, "urn:parley:0", "Title & more", form.Field{
			Var: "body", Type: form.TextMulti, Label: "Message", Required: true, Values: []string{"one", "", "<three>"},
		}),
		form.New(form.Submit, "", "", form.Field{Var: "x"}, form.Field{Type: form.Fixed, Values: []string{"a section"}}),
		{Type: form.Ask, Instructions: "Two\nlines", Fields: []form.Field{{
			Var: "l", Type: form.ListSingle, Values: []string{"b"}, Options: []form.Option{{"A", "a"}, {"", "b"}, {"C", ""}},
		}}},
		{
			Type: form.Result, Title: "Who", Reported: []form.Field{{Var: "jid", Type: form.JIDSingle, Label: "Address"}, {Var: "state"}},
			Items: [][]form.Field{
				{{Var: "jid", Values: []string{"a@b"}}, {Var: "state", Values: []string{"online"}}},
				{{Var: "jid", Values: []string{"c@b"}}},
			},
		},
	} {
		el := f.Element()
		got, err := form.Parse(parse(t, el.String()))
		if err != nil {
			t.Errorf("%s: %v", el, err)
		} else if !reflect.DeepEqual(got, f) {
			t.Errorf("%s\ngot  %+v\nwant %+v", el, got, f)
		}
	}
}

func TestElement(t *testing.T) {
	f := form.New(form.Ask, "urn:parley:0", "T", form.Field{Var: "since", Type: form.TextSingle, Required: true})
	want := `<x xmlns='jabber:x:data' type='form'><title>T</title>` +
		`<field var='FORM_TYPE' type='hidden'><value>urn:parley:0</value></field>` +
		`<field var='since' type='text-single'><required/></field></x>`
	if got := f.Element().String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestParseLenient(t *testing.T) {
	f, err := form.Parse(parse(t, `<x xmlns='jabber:x:data' type='submit'>
		<validate xmlns='urn:else'/><unknown/><title xmlns='urn:else'>no</title>
		<field var='a'><value>1</value><validate xmlns='urn:else'><value>9</value></validate><desc>d</desc></field>
		<field var='a'><value>2</value></field>
		<field var='b'><value>x</value><value>y</value></field></x>`))
	if err != nil {
		t.Fatal(err)
	}
	if f.Title != "" || f.Value("a") != "1" || f.Text("b") != "x\ny" || f.Value("c") != "" || f.Values("c") != nil || len(f.Values("b")) != 2 {
		t.Errorf("got %+v", f)
	}
	var none *form.Form
	if none.Value("a") != "" {
		t.Error("a value in no form")
	}
}

func TestParseRefuses(t *testing.T) {
	rows := func(n int, s string) string { return strings.Repeat(s, n) }
	for _, c := range []struct {
		name, text string
		want       error
	}{
		{"other element", `<x xmlns='jabber:x:oob' type='submit'/>`, form.ErrNotForm},
		{"other name", `<y xmlns='jabber:x:data' type='submit'/>`, form.ErrNotForm},
		{"no type", `<x xmlns='jabber:x:data'/>`, form.ErrNotForm},
		{"strange type", `<x xmlns='jabber:x:data' type='SUBMIT'/>`, form.ErrNotForm},
		{"200 fields", fmt.Sprintf(`<x xmlns='jabber:x:data' type='submit'>%s</x>`, rows(200, `<field var='a'/>`)), nil},
		{"201 fields", fmt.Sprintf(`<x xmlns='jabber:x:data' type='submit'>%s</x>`, rows(201, `<field var='a'/>`)), form.ErrTooLarge},
		{"1000 items", fmt.Sprintf(`<x xmlns='jabber:x:data' type='result'>%s</x>`, rows(1000, `<item/>`)), nil},
		{"1001 items", fmt.Sprintf(`<x xmlns='jabber:x:data' type='result'>%s</x>`, rows(1001, `<item/>`)), form.ErrTooLarge},
		{"201 columns", fmt.Sprintf(`<x xmlns='jabber:x:data' type='result'><reported>%s</reported></x>`, rows(201, `<field/>`)), form.ErrTooLarge},
		{"201 cells", fmt.Sprintf(`<x xmlns='jabber:x:data' type='result'><item>%s</item></x>`, rows(201, `<field/>`)), form.ErrTooLarge},
		{"1001 options", fmt.Sprintf(`<x xmlns='jabber:x:data' type='form'><field>%s</field></x>`, rows(1001, `<option/>`)), form.ErrTooLarge},
	} {
		if _, err := form.Parse(parse(t, c.text)); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	if _, err := form.Parse(nil); !errors.Is(err, form.ErrNotForm) {
		t.Errorf("nil: %v", err)
	}
}
