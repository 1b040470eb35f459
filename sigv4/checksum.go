package sigv4

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"hash/crc64"
)

// nvme is the polynomial of CRC-64/NVME, bit-reversed, as S3 uses it.
const nvme = 0x9a6c9329ac4bc9b5

// newChecksum returns the hash that a trailer of this name holds in base64, or
// nil for a name that S3 does not document. Amazon S3 User Guide, "Checking
// object integrity". SHA-1 and the CRCs are checks against accidents only.
func newChecksum(trailer string) hash.Hash {
	switch trailer {
	case "x-amz-checksum-crc32":
		return crc32.NewIEEE()
	case "x-amz-checksum-crc32c":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "x-amz-checksum-crc64nvme":
		return crc64.New(crc64.MakeTable(nvme))
	case "x-amz-checksum-sha1":
		return sha1.New()
	case "x-amz-checksum-sha256":
		return sha256.New()
	}
	return nil
}

func checksumText(h hash.Hash) string { return base64.StdEncoding.EncodeToString(h.Sum(nil)) }
