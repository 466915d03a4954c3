package xml
import ("testing";"os";"path/filepath";"encoding/json";"strings";"strconv";"encoding/hex")
func TestDump(t *testing.T){
 type J struct{ In, Out string; Tree any }
 var conv func(n *node) any
 conv=func(n *node) any { var a [][3]string; for _,x:=range n.attrs {a=append(a,[3]string{x.Name.Space,x.Name.Local,x.Value})}
  var k []any; for _,x:=range n.kids { if y,ok:=x.(*node);ok {k=append(k,conv(y))} else {k=append(k,x)} }
  return []any{n.name.Space,n.name.Local,a,k} }
 var all []string
 for _,s:=range accepted {all=append(all,s)}
 for _,s:=range corpus(t) {all=append(all,string(s))}
 files,_:=filepath.Glob("/root/.cache/go-build/fuzz/parley/xmpp/xml/FuzzScanner/*")
 for _,f:=range files { b,_:=os.ReadFile(f); l:=strings.Split(string(b),"\n"); if len(l)<3||l[1]!="bool(true)" {continue}
  q:=strings.TrimSuffix(strings.TrimPrefix(l[2],"[]byte("),")"); s,err:=strconv.Unquote(q); if err==nil {all=append(all,s)} }
 out,_:=os.Create("/tmp/gen/dump/all.json"); defer out.Close()
 n:=0
 for _,s:=range all { els,_:=read(inStream(t,wire),[]byte(s)); var trees []any; var outs []string
  for _,e:=range els {trees=append(trees,conv(tree(t,e))); outs=append(outs,hex.EncodeToString([]byte(e.String()))); n++}
  b,_:=json.Marshal(map[string]any{"in":hex.EncodeToString([]byte(streamHeader+s)),"outs":outs,"trees":trees}); out.Write(append(b,'\n')) }
 t.Log(len(files),len(all),n)
}
