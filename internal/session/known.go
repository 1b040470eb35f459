package session

import "github.com/holdfast-iam/holdfast/internal/record"

// Unknown lists the published signing keys that are not marked known yet.
func Unknown(r record.Reader) (ids []string, err error) {
	err = record.Scan(r, record.SigningKeys, record.SigningKeyByNode, "", "", func(_ string, k *record.SigningKey) bool {
		if !k.Known && !k.Revoked {
			ids = append(ids, k.ID)
		}
		return true
	})
	return ids, err
}

// MarkKnown says of signing keys that every admitted node has them: from then on
// their nodes sign for other Regions with them.
func MarkKnown(tx record.Tx, ids []string) error {
	for _, id := range ids {
		k, err := record.Get(tx, record.SigningKeys, record.None, id)
		if err != nil {
			return err
		}
		k.Known = true
		if err := record.Put(tx, record.SigningKeys, k); err != nil {
			return err
		}
	}
	return nil
}
