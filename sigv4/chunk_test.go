package sigv4

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
)

func TestAnAlteredChunkedBodyIsRefusedAndItsBytesStayIn(t *testing.T) {
	for _, example := range []func() (*Request, string){chunkedExample, trailerExample} {
		r, body := example()
		second := strings.Index(body, "\r\n400;") + 2
		third := strings.Index(body, "\r\n0;") + 2
		for name, altered := range map[string]string{
			"first byte":         strings.Replace(body, "\r\naaa", "\r\nbaa", 1),
			"last data byte":     body[:third-3] + "b" + body[third-2:],
			"first signature":    strings.Replace(body, "chunk-signature=", "chunk-signature=0", 1),
			"no signature":       strings.Replace(body, ";chunk-signature=", ";x=", 1),
			"first chunk left":   body[second:],
			"second chunk left":  body[:second] + body[third:],
			"second chunk twice": body[:third] + body[second:],
			"cut in a chunk":     body[:1000],
			"cut after a chunk":  body[:second],
			"cut at the end":     body[:len(body)-2],
			"no last chunk":      body[:third],
			"something after":    body + "x",
			"bare line feeds":    strings.ReplaceAll(body, "\r\n", "\n"),
			"signed size":        "+" + body,
			"huge size":          "ffffffffff" + body,
			"empty":              "",
		} {
			c, err := openChunks(r, strings.NewReader(altered))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(c)
			var e *Error
			if !errors.As(err, &e) {
				t.Errorf("%s: %d bytes and %v", name, len(got), err)
			}
			if name == "first byte" && len(got) != 0 {
				t.Errorf("%s: %d bytes came out before they verified", name, len(got))
			}
			if _, again := c.Read(make([]byte, 1)); again == nil || again == io.EOF {
				t.Errorf("%s: the error did not stay: %v", name, again)
			}
		}
	}
}

func TestAnAlteredTrailerIsRefused(t *testing.T) {
	r, body := trailerExample()
	for name, altered := range map[string]string{
		"value":     strings.Replace(body, "sOO8/Q==", "sOO8/g==", 1),
		"name":      strings.Replace(body, "crc32c:", "crc32:", 1),
		"signature": strings.Replace(body, "d81f", "d81e", 1),
		"none":      body[:strings.Index(body, "x-amz-checksum")] + "\r\n",
		"unsigned":  body[:strings.Index(body, "x-amz-trailer-signature")] + "\r\n",
		"another":   strings.Replace(body, "x-amz-trailer-signature", "x-amz-meta-a:b\r\nx-amz-trailer-signature", 1),
	} {
		c, err := openChunks(r, strings.NewReader(altered))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// signedS3 signs a request for the example's bucket.
func signedS3(t testing.TB, header ...Header) *Request {
	t.Helper()
	r := s3Request("PUT", "/object", "", "", header...)
	if err := Sign(r, s3KeyID, s3Secret, "", "us-east-1", "s3", s3At, S3Store); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestUnsignedChunksNeedLengthAndChecksum(t *testing.T) {
	// Of "123456789": the check values of the CRC catalogue (cbf43926,
	// e3069283, ae8b14860a799888), and what openssl computes.
	sums := map[string]string{
		"x-amz-checksum-crc32":     "y/Q5Jg==",
		"x-amz-checksum-crc32c":    "4waSgw==",
		"x-amz-checksum-crc64nvme": "rosUhgp5mIg=",
		"x-amz-checksum-sha1":      "98O8HYCOBHMq32eZZczDTKeuNEE=",
		"x-amz-checksum-sha256":    "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
	}
	for name, sum := range sums {
		read := func(length, body string) error {
			r := signedS3(t, Header{"X-Amz-Content-Sha256", StreamingUnsignedTrailer}, Header{"X-Amz-Trailer", name}, Header{"X-Amz-Decoded-Content-Length", length})
			c, err := openChunks(r, strings.NewReader(body))
			if err != nil {
				return err
			}
			got, err := io.ReadAll(c)
			if n, _ := strconv.Atoi(length); len(got) > n {
				t.Errorf("%s: %d bytes of %s came out", name, len(got), length)
			}
			if err == nil && string(got) != "123456789" {
				t.Errorf("%s: read %q", name, got)
			}
			return err
		}
		good := "4\r\n1234\r\n5\r\n56789\r\n0\r\n" + name + ":" + sum + "\r\n\r\n"
		if err := read("9", good); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for what, bad := range map[string]string{
			"data":      strings.Replace(good, "1234", "1235", 1),
			"short":     "4\r\n1234\r\n0\r\n" + name + ":" + sum + "\r\n\r\n",
			"checksum":  strings.Replace(good, sum, "AAAA"+sum[4:], 1),
			"none":      "4\r\n1234\r\n5\r\n56789\r\n0\r\n\r\n",
			"after":     good + "0\r\n",
			"end twice": good + "0\r\n" + name + ":" + sum + "\r\n\r\n",
			"signed":    strings.Replace(good, "4\r\n", "4;chunk-signature="+emptyHash+"\r\n", 1),
			"cut":       good[:len(good)-1],
		} {
			if read("9", bad) == nil {
				t.Errorf("%s: %s is accepted", name, what)
			}
		}
		if read("8", good) == nil || read("10", good) == nil || read("", good) == nil || read("-1", good) == nil || read("+9", good) == nil {
			t.Errorf("%s: a wrong length is accepted", name)
		}
	}
}

func TestChunksAreOpenedOnlyWhenAllTheirHeadersAgree(t *testing.T) {
	length := Header{"X-Amz-Decoded-Content-Length", "1"}
	for name, header := range map[string][]Header{
		"plain":             {},
		"no length":         {{"X-Amz-Content-Sha256", StreamingPayload}},
		"two lengths":       {{"X-Amz-Content-Sha256", StreamingPayload}, length, length},
		"surprise trailer":  {{"X-Amz-Content-Sha256", StreamingPayload}, length, {"X-Amz-Trailer", "x-amz-checksum-crc32"}},
		"missing trailer":   {{"X-Amz-Content-Sha256", StreamingPayloadTrailer}, length},
		"unknown checksum":  {{"X-Amz-Content-Sha256", StreamingUnsignedTrailer}, length, {"X-Amz-Trailer", "x-amz-checksum-md4"}},
		"unsigned, no sum":  {{"X-Amz-Content-Sha256", StreamingUnsignedTrailer}, length},
		"several checksums": {{"X-Amz-Content-Sha256", StreamingUnsignedTrailer}, length, {"X-Amz-Trailer", "x-amz-checksum-crc32,x-amz-checksum-sha1"}},
	} {
		if _, err := openChunks(signedS3(t, header...), strings.NewReader("")); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	r := s3Request("PUT", "/object", "", "", Header{"X-Amz-Content-Sha256", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"}, length)
	if Sign(r, s3KeyID, s3Secret, "", "us-east-1", "s3", s3At, S3Store) == nil {
		t.Error("a chunked payload that nobody can read is signed")
	}
	r, body := chunkedExample()
	r.Header[1].Value = "STANDARD" // signed
	if _, err := openChunks(r, strings.NewReader(body)); err == nil {
		t.Error("opened without a valid seed signature")
	}
}

func TestASourcesErrorComesThrough(t *testing.T) {
	broken := errors.New("broken")
	r, body := chunkedExample()
	c, err := openChunks(r, io.MultiReader(strings.NewReader(body[:66000]), errReader{broken}))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if !errors.Is(err, broken) || len(got) != 66560-1024 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

// FuzzChunkReader looks for bodies that verify and are not the one that was
// signed.
func FuzzChunkReader(f *testing.F) {
	r, body := chunkedExample()
	f.Add([]byte(body), false)
	f.Add([]byte(body[:100]), false)
	f.Add([]byte("9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n"), true)
	unsigned := signedS3(f, Header{"X-Amz-Content-Sha256", StreamingUnsignedTrailer}, Header{"X-Amz-Trailer", "x-amz-checksum-crc32"}, Header{"X-Amz-Decoded-Content-Length", "9"})
	whole := bytes.Repeat([]byte("a"), 66560)
	f.Fuzz(func(t *testing.T, b []byte, plain bool) {
		req := r
		if plain {
			req = unsigned
		}
		c, err := openChunks(req, bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(c)
		if !plain && !bytes.HasPrefix(whole, got) || err == nil && !plain && len(got) != len(whole) || err == nil && plain && len(got) != 9 {
			t.Fatalf("read %d bytes that were not signed: %v", len(got), err)
		}
	})
}
