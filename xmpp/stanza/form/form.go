// Package form has data forms (XEP-0004): questions that one side asks, answers to them, and tables of results.
//
//	<x xmlns='jabber:x:data' type='form|submit|cancel|result'>
//	  <title/> <instructions/>
//	  <field var= type= label=> <value/>… <option/>… <required/> </field>…
//	  <reported> <field/>… </reported>           the columns of a table
//	  <item> <field><value/></field>… </item>…   its rows
//	</x>
package form

import (
	"errors"
	"fmt"
	"strings"

	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// The types of forms (XEP-0004 §3.1).
const (
	Ask    = "form"   // asks to be filled in
	Submit = "submit" // is filled in
	Cancel = "cancel" // will not be filled in
	Result = "result" // reports, asks nothing
)

// The types of fields that Parley uses (XEP-0004 §3.3).
const (
	Hidden      = "hidden"
	Fixed       = "fixed"
	Boolean     = "boolean"
	TextSingle  = "text-single"
	TextPrivate = "text-private"
	TextMulti   = "text-multi"
	JIDSingle   = "jid-single"
	ListSingle  = "list-single"
	ListMulti   = "list-multi"
)

// TypeVar is the hidden field that says what a form is about (XEP-0068).
const TypeVar = "FORM_TYPE"

// What Parse takes at most.
const (
	MaxFields = 200  // in a form, in its header of columns, and in each row
	MaxItems  = 1000 // rows of a form, options of a field
)

// Form is a data form, or a table of results.
type Form struct {
	Type         string // Ask, Submit, Cancel or Result
	Title        string
	Instructions string // lines; each becomes an element
	Fields       []Field
	Reported     []Field   // the columns of a table
	Items        [][]Field // its rows
}

// Field is one question or answer, one column or cell.
type Field struct {
	Var      string // name
	Type     string // "" is text-single, or unknown in a submitted form
	Label    string
	Values   []string // lines of a text-multi, else at most one except in the other types that end in -multi
	Required bool
	Options  []Option
}

// Option is one choice of a list.
type Option struct{ Label, Value string }

// The errors of Parse.
var (
	ErrNotForm  = errors.New("form: not a data form")
	ErrTooLarge = errors.New("form: too many fields or rows")
)

// Parse reads a form. It fails for an element that is none, for a type that does not exist, and for more fields or
// rows than MaxFields and MaxItems. Children that XEP-0004 does not know are passed over.
func Parse(el *xml.Element) (*Form, error) {
	if el == nil || el.Name != (xml.Name{Space: stanza.NSForms, Local: "x"}) {
		return nil, ErrNotForm
	}
	f := &Form{Type: el.Attr("type")}
	switch f.Type {
	case Ask, Submit, Cancel, Result:
	default:
		return nil, fmt.Errorf("%w: type %q", ErrNotForm, f.Type)
	}
	var instructions []string
	for c := range el.Children() {
		if c.Name.Space != stanza.NSForms {
			continue
		}
		var err error
		switch c.Name.Local {
		case "title":
			f.Title = c.Text()
		case "instructions":
			instructions = append(instructions, c.Text())
		case "field":
			if len(f.Fields) == MaxFields {
				return nil, ErrTooLarge
			}
			var field Field
			field, err = parseField(c)
			f.Fields = append(f.Fields, field)
		case "reported":
			f.Reported, err = parseFields(c)
		case "item":
			if len(f.Items) == MaxItems {
				return nil, ErrTooLarge
			}
			var row []Field
			row, err = parseFields(c)
			f.Items = append(f.Items, row)
		}
		if err != nil {
			return nil, err
		}
	}
	f.Instructions = strings.Join(instructions, "\n")
	return f, nil
}

func parseFields(el *xml.Element) ([]Field, error) {
	var out []Field
	for c := range el.Children() {
		if c.Name.Space != stanza.NSForms || c.Name.Local != "field" {
			continue
		}
		if len(out) == MaxFields {
			return nil, ErrTooLarge
		}
		f, err := parseField(c)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

func parseField(el *xml.Element) (Field, error) {
	f := Field{Var: el.Attr("var"), Type: el.Attr("type"), Label: el.Attr("label")}
	for c := range el.Children() {
		if c.Name.Space != stanza.NSForms {
			continue
		}
		switch c.Name.Local {
		case "value":
			f.Values = append(f.Values, c.Text())
		case "required":
			f.Required = true
		case "option":
			if len(f.Options) == MaxItems {
				return f, ErrTooLarge
			}
			o := Option{Label: c.Attr("label")}
			if v := c.Child(stanza.NSForms, "value"); v != nil {
				o.Value = v.Text()
			}
			f.Options = append(f.Options, o)
		}
	}
	return f, nil
}

// Element is the form as it stands on the wire.
func (f *Form) Element() *xml.Element {
	var kids []*xml.Element
	if f.Title != "" {
		kids = append(kids, xml.New(stanza.NSForms, "title").WithText(f.Title))
	}
	if f.Instructions != "" {
		for line := range strings.SplitSeq(f.Instructions, "\n") {
			kids = append(kids, xml.New(stanza.NSForms, "instructions").WithText(line))
		}
	}
	kids = append(kids, elements(f.Fields)...)
	if len(f.Reported) > 0 {
		kids = append(kids, xml.New(stanza.NSForms, "reported").With(elements(f.Reported)...))
	}
	for _, row := range f.Items {
		kids = append(kids, xml.New(stanza.NSForms, "item").With(elements(row)...))
	}
	return xml.New(stanza.NSForms, "x", xml.A("type", f.Type)).With(kids...)
}

func elements(fields []Field) []*xml.Element {
	out := make([]*xml.Element, 0, len(fields))
	for _, f := range fields {
		out = append(out, f.element())
	}
	return out
}

func (f Field) element() *xml.Element {
	el := xml.New(stanza.NSForms, "field")
	for _, a := range [...]xml.Attr{xml.A("var", f.Var), xml.A("type", f.Type), xml.A("label", f.Label)} {
		if a.Value != "" {
			el.Attrs = append(el.Attrs, a)
		}
	}
	var kids []*xml.Element
	for _, v := range f.Values {
		kids = append(kids, value(v))
	}
	for _, o := range f.Options {
		option := xml.New(stanza.NSForms, "option")
		if o.Label != "" {
			option.Attrs = append(option.Attrs, xml.A("label", o.Label))
		}
		kids = append(kids, option.With(value(o.Value)))
	}
	if f.Required {
		kids = append(kids, xml.New(stanza.NSForms, "required"))
	}
	if len(kids) == 0 {
		return el
	}
	return el.With(kids...)
}

func value(text string) *xml.Element { return xml.New(stanza.NSForms, "value").WithText(text) }

// Values are the values of the first field with that name, nil when there is none.
func (f *Form) Values(name string) []string {
	if f == nil {
		return nil
	}
	for i := range f.Fields {
		if f.Fields[i].Var == name {
			return f.Fields[i].Values
		}
	}
	return nil
}

// Value is the first value of that field, "" when there is none.
func (f *Form) Value(name string) string {
	if v := f.Values(name); len(v) > 0 {
		return v[0]
	}
	return ""
}

// Text is the text of that field, with its values as lines: what a field of type text-multi holds.
func (f *Form) Text(name string) string { return strings.Join(f.Values(name), "\n") }

// New is a form of a kind that FORM_TYPE names (XEP-0068); kind may be empty.
func New(typ, kind, title string, fields ...Field) *Form {
	f := &Form{Type: typ, Title: title}
	if kind != "" {
		f.Fields = append(f.Fields, Field{Var: TypeVar, Type: Hidden, Values: []string{kind}})
	}
	f.Fields = append(f.Fields, fields...)
	return f
}
