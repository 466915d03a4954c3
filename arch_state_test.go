package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// TestNoInit: what init does, nobody called.
func TestNoInit(t *testing.T) {
	for _, s := range loadSources(t) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				complain(t, s.path+": func init", "everything is built by somebody, in an order one can read (server.New, or the test itself)")
			}
		}
	}
}

// TestNoGlobalState lets package-level variables be constants that Go cannot write as const (errors, compiled
// patterns, tables, interface checks, embedded files) or pools of buffers, and nothing else. Two servers in one process must not meet in one.
func TestNoGlobalState(t *testing.T) {
	packages := map[string][]*source{}
	for _, s := range loadSources(t) {
		key := s.dir + " " + s.file.Name.Name
		packages[key] = append(packages[key], s)
	}
	for _, files := range packages {
		p := &statePackage{files: files, vars: map[string]*ast.ValueSpec{}, funcs: map[string]*ast.FuncDecl{}}
		p.collect()
		p.check(t)
	}
}

// statePackage is what the rule about package-level variables needs to know of one package.
type statePackage struct {
	files []*source
	vars  map[string]*ast.ValueSpec
	funcs map[string]*ast.FuncDecl
}

func (p *statePackage) collect() {
	for _, s := range p.files {
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					p.funcs[d.Name.Name] = d
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if v, ok := spec.(*ast.ValueSpec); ok && d.Tok == token.VAR {
						for _, name := range v.Names {
							p.vars[name.Name] = v
						}
					}
				}
			}
		}
	}
}

func (p *statePackage) check(t *testing.T) {
	t.Helper()
	written := p.written()
	for _, s := range p.files {
		if s.test {
			continue
		}
		for _, d := range s.file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, spec := range g.Specs {
				v := spec.(*ast.ValueSpec)
				for i, name := range v.Names {
					if why := p.objection(g, v, i, written); why != "" {
						complain(t, fmt.Sprintf("%s: var %s", s.path, name.Name), "no package-level state: "+why)
					}
				}
			}
		}
	}
}

// objection says why a variable is state, or nothing.
func (p *statePackage) objection(g *ast.GenDecl, v *ast.ValueSpec, i int, written map[string]string) string {
	name := v.Names[i].Name
	if name == "_" {
		return ""
	}
	if at, ok := written[name]; ok {
		return "it is changed at " + at + "; put it into a struct that somebody makes and passes on"
	}
	if embedded(g.Doc) || embedded(v.Doc) {
		return ""
	}
	if v.Type != nil && stateful(v.Type) {
		return "its type exists to be changed; put it into a struct that somebody makes and passes on"
	}
	if len(v.Values) == 0 {
		return "it starts empty, so something must change it; put it into a struct that somebody makes and passes on"
	}
	if value := v.Values[min(i, len(v.Values)-1)]; !p.fixed(value) && !pool(value) {
		return "only errors, compiled patterns and tables that nobody changes may stand here"
	}
	return ""
}

func embedded(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

// stateful tells of types whose only use is to change: locks, counters, pools, channels, timers.
func stateful(e ast.Expr) bool {
	found := false
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ChanType:
			found = true
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && (x.Name == "sync" || x.Name == "atomic") {
				found = true
			}
		case *ast.FuncType, *ast.FuncLit:
			return false
		}
		return !found
	})
	return found
}

// pool tells of a sync.Pool with its New function: it lends memory, and nobody can learn from it what others did.
func pool(e ast.Expr) bool {
	lit, ok := e.(*ast.CompositeLit)
	if !ok {
		return false
	}
	sel, ok := lit.Type.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != "Pool" {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == "sync" && len(lit.Elts) > 0
}

// pure holds functions of other packages whose results are values nobody changes.
var pure = []string{"errors.New", "errors.Join", "fmt.Errorf", "fmt.Sprintf", "strings.NewReplacer", "strings.Repeat", "big.NewInt"}

// fixed tells whether an initial value can be a constant in all but name.
func (p *statePackage) fixed(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit, *ast.Ident, *ast.SelectorExpr, *ast.FuncLit:
		return true
	case *ast.ParenExpr:
		return p.fixed(e.X)
	case *ast.UnaryExpr:
		if lit, ok := e.X.(*ast.CompositeLit); ok && e.Op == token.AND {
			return !stateful(lit)
		}
		return e.Op != token.AND && e.Op != token.ARROW && p.fixed(e.X)
	case *ast.BinaryExpr:
		return p.fixed(e.X) && p.fixed(e.Y)
	case *ast.CompositeLit:
		return !stateful(e)
	case *ast.CallExpr:
		return p.fixedCall(e)
	}
	return false
}

func (p *statePackage) fixedCall(call *ast.CallExpr) bool {
	switch f := call.Fun.(type) {
	case *ast.ArrayType, *ast.ParenExpr, *ast.InterfaceType:
		return true // a conversion
	case *ast.FuncLit:
		return true // a table computed in place
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok && slices.Contains(pure, x.Name+"."+f.Sel.Name) {
			return true
		}
		return strings.HasPrefix(f.Sel.Name, "Must") || f.Sel.Name == "WithPadding" || f.Sel.Name == "Strict"
	case *ast.Ident:
		if slices.Contains([]string{"make", "new"}, f.Name) {
			return false
		}
		fn, ok := p.funcs[f.Name]
		if !ok {
			return true // a conversion, or a built-in without memory (len, min)
		}
		results := fn.Type.Results
		if results == nil || len(results.List) == 0 {
			return false
		}
		_, pointer := results.List[0].Type.(*ast.StarExpr)
		return !stateful(results.List[0].Type) && (!pointer || strings.HasPrefix(f.Name, "must") || strings.HasPrefix(f.Name, "Must"))
	}
	return false
}

// written finds the package's variables that something assigns to, counts up, deletes from or takes the
// address of.
func (p *statePackage) written() map[string]string {
	out := map[string]string{}
	for _, s := range p.files {
		note := func(e ast.Expr) {
			if name := p.variable(e); name != nil {
				out[name.Name] = s.fset.Position(name.Pos()).String()
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					for _, l := range n.Lhs {
						note(l)
					}
				}
			case *ast.IncDecStmt:
				note(n.X)
			case *ast.UnaryExpr:
				// &table[i] is how one reads an entry without copying it.
				if _, entry := n.X.(*ast.IndexExpr); n.Op == token.AND && !entry {
					note(n.X)
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 && (f.Name == "delete" || f.Name == "clear" || f.Name == "copy") {
					note(n.Args[0])
				}
			}
			return true
		})
	}
	return out
}

// variable returns the package-level variable at the root of an expression like v, v[i] or v.field.
func (p *statePackage) variable(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.Ident:
			v, ok := p.vars[x.Name]
			// An identifier that the parser resolved inside its file to something else is a local variable of that name.
			if !ok || x.Obj != nil && x.Obj.Decl != v {
				return nil
			}
			return x
		default:
			return nil
		}
	}
}

// TestArchNoBrokenPromise: what makes the server lose messages exists for the tests that prove that others can fail.
func TestArchNoBrokenPromise(t *testing.T) {
	for _, s := range loadSources(t) {
		if s.test {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			var key ast.Expr
			switch n := n.(type) {
			case *ast.KeyValueExpr:
				key = n.Key
			case *ast.AssignStmt:
				if sel, ok := n.Lhs[0].(*ast.SelectorExpr); ok {
					key = sel.Sel
				}
			}
			if name, ok := key.(*ast.Ident); ok && (name.Name == "Unheld" || name.Name == "Unsafe") {
				complain(t, s.path+": sets "+name.Name, "nothing but tests may give up what the server has promised")
			}
			return true
		})
	}
}
