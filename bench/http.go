package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/sigv4"
)

// httpClients call over one connection each.
const httpClients = 64

// signedAhead is how many different requests each client has, in rotation.
const signedAhead = 100

// httpSection runs the built binary and, beside it, an empty net/http server;
// requests are signed before the run, and the client reads no more of an
// answer than it must.
func httpSection(p *plan) error {
	d, err := startDeployment(p)
	if err != nil {
		return err
	}
	defer d.stop()
	empty, err := startEmpty()
	if err != nil {
		return err
	}
	defer empty.stop()
	if err := d.makeRole(); err != nil {
		return err
	}
	who := func(int, int) url.Values {
		return url.Values{"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"}}
	}
	assume := func(c, i int) url.Values {
		return url.Values{"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "RoleArn": {"arn:aws:iam::" + d.credentials.Account + ":role/bench"},
			"RoleSessionName": {fmt.Sprintf("session-%d-%d", c, i)}}
	}
	var loaders []loader
	for _, x := range []struct {
		name, address string
		form          func(int, int) url.Values
	}{{"GetCallerIdentity", d.address, who}, {"AssumeRole", d.address, assume}, {"empty", empty.address, who}} {
		l, err := d.signedLoad(x.name, x.address, x.form)
		if err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
		loaders = append(loaders, l)
	}
	r, err := raceLoad(p, httpClients, loaders)
	if err != nil {
		return err
	}
	var t table
	t.add("call (p50 / p99)", "ours", "floor: empty net/http answer", "ours ÷ floor", "spread of ours", "spread of the floor", "goal", "met")
	for i, goal := range []float64{0.6, 0.4} {
		share := r[i].median() / r[2].median()
		t.add(loaders[i].name, r[i].cell(), r[2].cell(), fmt.Sprintf("%.0f %%", 100*share), r[i].spread(), r[2].spread(), fmt.Sprintf("≥ %.0f %%", 100*goal), met(share >= goal))
	}
	t.print(p)
	return nil
}

// process is a server of ours under measurement.
type process struct {
	cmd         *exec.Cmd
	dir, data   string
	address     string
	credentials *local.Credentials
}

func (d *process) stop() {
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	_ = d.cmd.Wait()
	if d.dir != "" {
		os.RemoveAll(d.dir)
	}
}

func startDeployment(p *plan, args ...string) (*process, error) {
	dir, err := os.MkdirTemp("", "hfb")
	if err != nil {
		return nil, err
	}
	bin := p.binary
	if bin == "" {
		bin = filepath.Join(dir, "holdfast")
		build := exec.Command("go", "build", "-o", bin, "./cmd/holdfast")
		build.Dir = p.module
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%w\n%s", err, out)
		}
	}
	data, ready := filepath.Join(dir, "data"), filepath.Join(dir, "ready")
	command := append([]string{bin, "up", "--data", data, "--listen", "127.0.0.1:0", "--ready-file", ready}, args...)
	if p.apart {
		command = append([]string{"taskset", "-c", "0"}, command...)
	}
	d := &process{dir: dir, data: data, cmd: exec.Command(command[0], command[1:]...)}
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(ready); err == nil {
			break
		}
		if time.Now().After(deadline) {
			d.stop()
			return nil, errors.New("holdfast up was not ready within a minute")
		}
	}
	var a local.Addresses
	layout := local.Layout{Dir: data}
	err = local.Read(layout.AddressesFile(), &a)
	if err == nil {
		d.address = a.Regions[0].API
		d.credentials, err = layout.Credentials("")
	}
	if err != nil {
		d.stop()
		return nil, err
	}
	return d, nil
}

// signed is one request as the bytes that go over the wire.
func (d *process) signed(address, service string, form url.Values) ([]byte, error) {
	body := []byte(form.Encode())
	r := &sigv4.Request{Method: "POST", RawPath: "/", Host: address, Body: body, Header: []sigv4.Header{
		{Name: "Content-Type", Value: "application/x-www-form-urlencoded; charset=utf-8"}, {Name: "Content-Length", Value: strconv.Itoa(len(body))},
		{Name: "User-Agent", Value: "Boto3/1.43 md/Botocore#1.43 ua/2.1 os/linux lang/python#3.13"}}}
	if err := sigv4.Sign(r, d.credentials.AdminKeyID, d.credentials.AdminSecret, "", "us-east-1", service, time.Now(), sigv4.Own); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST / HTTP/1.1\r\nHost: %s\r\n", address)
	for _, h := range r.Header {
		fmt.Fprintf(&b, "%s: %s\r\n", h.Name, h.Value)
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes(), nil
}

func (d *process) makeRole() error {
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + d.credentials.Account + `"},"Action":"sts:AssumeRole"}]}`
	request, err := d.signed(d.address, "iam", url.Values{"Action": {"CreateRole"}, "Version": {"2010-05-08"}, "RoleName": {"bench"}, "AssumeRolePolicyDocument": {trust}})
	if err != nil {
		return err
	}
	c, err := dial(d.address)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	return c.call(request)
}

func (d *process) signedLoad(name, address string, form func(client, i int) url.Values) (loader, error) {
	requests := make([][signedAhead][]byte, httpClients)
	conns := make([]*rawClient, httpClients)
	for c := range httpClients {
		for i := range signedAhead {
			var err error
			if requests[c][i], err = d.signed(address, "sts", form(c, i)); err != nil {
				return loader{}, err
			}
		}
		var err error
		if conns[c], err = dial(address); err != nil {
			return loader{}, err
		}
		if err := conns[c].call(requests[c][0]); err != nil {
			return loader{}, err
		}
	}
	return loader{name, func(c, i int) error { return conns[c].call(requests[c][i%signedAhead]) }}, nil
}

// rawClient is as little HTTP as a load generator needs.
type rawClient struct {
	conn net.Conn
	in   *bufio.Reader
}

func dial(address string) (*rawClient, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &rawClient{conn, bufio.NewReaderSize(conn, 16<<10)}, nil
}

// call sends one request and reads its answer, which must be a 200.
func (c *rawClient) call(request []byte) error {
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	status, err := c.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	ok := bytes.HasPrefix(status, []byte("HTTP/1.1 200"))
	said := strings.TrimSpace(string(status[:min(len(status), 40)]))
	length, chunked := 0, false
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			length, err = strconv.Atoi(string(bytes.TrimSpace(value)))
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		}
		if err != nil {
			return err
		}
	}
	if chunked {
		return errors.New("the answer is chunked")
	}
	if !ok {
		body := make([]byte, length)
		_, err := io.ReadFull(c.in, body)
		return errors.Join(fmt.Errorf("%s: %s", said, body), err)
	}
	_, err = c.in.Discard(length)
	return err
}

// startEmpty runs this program again as the floor.
func startEmpty() (*process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	d := &process{cmd: exec.Command(exe, "-serve-empty")}
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		d.stop()
		return nil, err
	}
	d.address = strings.TrimSpace(line)
	return d, nil
}

// serveEmpty reads each request and answers with a small JSON text, until a
// signal ends it.
func serveEmpty(out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(out, l.Addr())
	s := &http.Server{ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				http.Error(w, "cannot read", http.StatusBadRequest)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"ok":true}`) // a client that is gone needs no answer
		})}
	return s.Serve(l)
}
