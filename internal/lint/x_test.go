package lint
import ("testing";"fmt";"sort";"github.com/holdfast-iam/holdfast/internal/managed";"github.com/holdfast-iam/holdfast/policy";"time";"os")
func TestX(t *testing.T){
 ps,err:=managed.Policies(); if err!=nil{t.Fatal(err)}
 by:=map[string][]string{}
 t0:=time.Now()
 n:=0
 var worst time.Duration; var wn string
 for _,p:=range ps {
  a:=time.Now()
  fs,err:=File(p.Name,[]byte(p.Document()),Options{Type:policy.Identity})
  if d:=time.Since(a);d>worst{worst=d;wn=p.Name}
  if err!=nil{t.Error(p.Name,err)}
  n+=len(fs)
  for _,f:=range fs { by[f.Rule]=append(by[f.Rule],f.File+" "+f.At.String()+" "+f.Message)}
 }
 fmt.Println(n,time.Since(t0),worst,wn)
 var k []string; for x:=range by{k=append(k,x)}; sort.Strings(k)
 o,_:=os.Create("/tmp/corpus.txt")
 for _,x:=range k{fmt.Println(x,len(by[x])); for _,m:=range by[x]{fmt.Fprintln(o,x,m)}}
}
