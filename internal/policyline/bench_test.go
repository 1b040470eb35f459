//go:build unix

package policyline

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// workload makes n cases as a user's tests have them: a user or session of a
// few hundred, one to three identity policies of three statements, now and
// then a boundary, a bucket policy, two levels of SCPs; four context keys.
// Where distinct, no policy occurs twice.
func workload(n int, distinct bool) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	serial := 0
	var b bytes.Buffer
	for i := range n {
		user := r.IntN(400)
		which := func(of int) int {
			if serial++; distinct {
				return serial
			}
			return of
		}
		fmt.Fprintf(&b, `{"id":"case-%d","request":{"principal":{"type":"AWS","arn":"arn:aws:iam::111122223333:user/team/u%d","accountId":"111122223333"},`, i, user)
		fmt.Fprintf(&b, `"action":"%s","resource":"arn:aws:s3:::bucket-%d/home/u%d/file-%d.txt","resourceAccount":"111122223333",`,
			[]string{"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:GetObjectTagging"}[r.IntN(4)], r.IntN(20), user, r.IntN(1000))
		fmt.Fprintf(&b, `"context":{"aws:SourceIp":"10.%d.%d.7","aws:username":"u%d","aws:SecureTransport":%t,"aws:TagKeys":["cost","team"]}},"policies":{"identity":[`,
			r.IntN(3), r.IntN(256), user, r.IntN(9) > 0)
		for j := range 1 + r.IntN(3) {
			if j > 0 {
				b.WriteByte(',')
			}
			document(&b, fmt.Sprintf("identity-%d", j), which(user*3+j), "")
		}
		b.WriteByte(']')
		if r.IntN(5) == 0 {
			b.WriteString(`,"boundary":[`)
			document(&b, "boundary", which(10000), "")
			b.WriteByte(']')
		}
		if r.IntN(4) == 0 {
			b.WriteString(`,"resource":[`)
			document(&b, "bucket", which(20000+r.IntN(20)), `"Principal":{"AWS":["arn:aws:iam::111122223333:root","arn:aws:iam::444455556666:root"]},`)
			b.WriteByte(']')
		}
		if r.IntN(4) == 0 {
			b.WriteString(`,"serviceControl":[[`)
			document(&b, "root", which(30000), "")
			b.WriteString(`],[`)
			document(&b, "account", which(30001), "")
			b.WriteString(`]]`)
		}
		b.WriteString("}}\n")
	}
	return b.Bytes()
}

func document(b *bytes.Buffer, name string, n int, principal string) {
	fmt.Fprintf(b, `{"name":"%s","document":{"Version":"2012-10-17","Statement":[`+
		`{"Sid":"Read%d","Effect":"Allow",%s"Action":["s3:GetObject","s3:ListBucket","s3:GetObject*"],"Resource":["arn:aws:s3:::bucket-%d/*","arn:aws:s3:::*/home/${aws:username}/*"]},`+
		`{"Sid":"Write%d","Effect":"Allow",%s"Action":"s3:Put*","Resource":"arn:aws:s3:::*","Condition":{"IpAddress":{"aws:SourceIp":["10.0.0.0/16","10.1.0.0/16"]},"StringLike":{"aws:username":"u*"}}},`+
		`{"Sid":"Tls%d","Effect":"Deny",%s"Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}}`,
		name, n, principal, n%20, n, principal, n, principal)
}

// BenchmarkRun counts in CPU time, the collector's included: what other
// programs on the machine take does not count.
func BenchmarkRun(b *testing.B) {
	for _, distinct := range []bool{false, true} {
		b.Run(fmt.Sprintf("distinct=%t", distinct), func(b *testing.B) {
			const n = 200000
			text := workload(n, distinct)
			b.ReportAllocs()
			before := cpuTime(b)
			for b.Loop() {
				if err := (Laboratory{}).Run(bytes.NewReader(text), io.Discard); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*n/(cpuTime(b)-before).Seconds(), "cases/cpu-s")
			b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "cases/s")
			b.ReportMetric(float64(len(text))/n, "bytes/case")
		})
	}
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
