package sigv4

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// The examples of the Amazon S3 API Reference ("Signature Calculations for the
// Authorization Header", "Using Query Parameters", "Chunked Upload",
// "Including Trailing Headers") with their published signatures.
var s3At = time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)

const (
	s3KeyID  = "AKIAIOSFODNN7EXAMPLE"
	s3Secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

func s3Auth(signed, signature string) Header {
	return Header{"Authorization", "AWS4-HMAC-SHA256 Credential=" + s3KeyID + "/20130524/us-east-1/s3/aws4_request,SignedHeaders=" + signed + ",Signature=" + signature}
}

func s3Request(method, path, query, body string, header ...Header) *Request {
	return &Request{Method: method, RawPath: path, RawQuery: query, Host: "examplebucket.s3.amazonaws.com", Body: []byte(body), Header: header}
}

var s3Date = Header{"x-amz-date", "20130524T000000Z"}

func s3Examples() map[string]*Request {
	empty := Header{"x-amz-content-sha256", emptyHash}
	return map[string]*Request{
		"GET object": s3Request("GET", "/test.txt", "", "", Header{"Range", "bytes=0-9"}, empty, s3Date,
			s3Auth("host;range;x-amz-content-sha256;x-amz-date", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")),
		"PUT object": s3Request("PUT", "/test%24file.text", "", "Welcome to Amazon S3.", Header{"Date", "Fri, 24 May 2013 00:00:00 GMT"}, s3Date,
			Header{"x-amz-storage-class", "REDUCED_REDUNDANCY"}, Header{"x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"},
			s3Auth("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")),
		"GET lifecycle": s3Request("GET", "/", "lifecycle", "", empty, s3Date,
			s3Auth("host;x-amz-content-sha256;x-amz-date", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")),
		"list objects": s3Request("GET", "/", "max-keys=2&prefix=J", "", empty, s3Date,
			s3Auth("host;x-amz-content-sha256;x-amz-date", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")),
		"presigned": s3Request("GET", "/test.txt", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="+s3KeyID+"%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"+
			"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404", ""),
	}
}

func TestTheDocumentedS3ExamplesVerify(t *testing.T) {
	for name, r := range s3Examples() {
		p, err := Parse(r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		key := DeriveKey(s3Secret, p.Scope)
		for _, prof := range []Profile{S3, S3Store} {
			if err := Verify(&p, r, &key, s3At, prof); err != nil {
				var e *Error
				errors.As(err, &e)
				t.Errorf("%s: %s", name, e.Message)
			}
		}
	}
}

func TestTheDocumentedSigningKeyIsDerived(t *testing.T) {
	k := DeriveKey([]byte(testSecret), Scope{"20150830", "us-east-1", "iam"})
	if got := hex.EncodeToString(k[:]); got != "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9" {
		t.Error(got)
	}
}

const (
	chunkHead1 = "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n"
	chunkHead2 = "400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n"
	chunkHead3 = "0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n"
)

func chunkedExample() (*Request, string) {
	r := s3Request("PUT", "/chunkObject.txt", "", "", s3Date, Header{"x-amz-storage-class", "REDUCED_REDUNDANCY"},
		Header{"x-amz-content-sha256", StreamingPayload}, Header{"Content-Encoding", "aws-chunked"}, Header{"x-amz-decoded-content-length", "66560"},
		Header{"Content-Length", "66824"},
		s3Auth("content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
			"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"))
	r.Host = "s3.amazonaws.com"
	r.RawPath = "/examplebucket/chunkObject.txt"
	a := strings.Repeat("a", 65536)
	return r, chunkHead1 + a + "\r\n" + chunkHead2 + a[:1024] + "\r\n" + chunkHead3 + "\r\n"
}

func trailerExample() (*Request, string) {
	r, _ := chunkedExample()
	r.Header = []Header{s3Date, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}, {"x-amz-content-sha256", StreamingPayloadTrailer},
		{"Content-Encoding", "aws-chunked"}, {"x-amz-decoded-content-length", "66560"}, {"x-amz-trailer", "x-amz-checksum-crc32c"},
		s3Auth("content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
			"106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e")}
	a := strings.Repeat("a", 65536)
	return r, "10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n" + a + "\r\n" +
		"400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n" + a[:1024] + "\r\n" +
		"0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n" +
		"x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"
}

func openChunks(r *Request, body io.Reader) (*ChunkReader, error) {
	p, err := Parse(r)
	if err != nil {
		return nil, err
	}
	key := DeriveKey(s3Secret, p.Scope)
	return OpenChunks(body, &p, r, &key, s3At, S3Store)
}

func TestTheDocumentedChunkedExamplesVerify(t *testing.T) {
	for name, example := range map[string]func() (*Request, string){"chunks": chunkedExample, "trailer": trailerExample} {
		r, body := example()
		for _, src := range []io.Reader{strings.NewReader(body), iotest.OneByteReader(strings.NewReader(body)), iotest.DataErrReader(strings.NewReader(body))} {
			c, err := openChunks(r, src)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(got, bytes.Repeat([]byte("a"), 66560)) {
				t.Errorf("%s: %d bytes, %v", name, len(got), err)
			}
			if h, ok := c.Trailer(); ok != (name == "trailer") || ok && h.Value != "sOO8/Q==" {
				t.Errorf("%s: trailer %v", name, h)
			}
		}
	}
}
