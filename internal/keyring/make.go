package keyring

import (
	"crypto/hpke"
	"errors"
	"strconv"
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/sigv4"
)

// errControl says that only a control-plane node makes and wraps keys.
var errControl = errors.New("keyring: only the control plane makes keys")

// NewRegionKey makes a generation of a Region's wrapping key, sealed for the
// given nodes of the Region.
func (r *Ring) NewRegionKey(s record.Reader, region string, generation int, nodes []*record.Node, now time.Time) (*record.RegionKey, error) {
	key := newKey()
	kek, err := r.sealKEK(s, key, bindKey(forRegion, region, generation))
	if err != nil {
		return nil, err
	}
	k := &record.RegionKey{Region: region, Generation: generation, Created: record.At(now), KEK: kek}
	for _, n := range nodes {
		if err := wrapNode(k, key, n); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// AddNode seals a Region's wrapping key for one more node. Of a fenced one it notes
// that it may have been given the key elsewhere, and seals it nothing.
func (r *Ring) AddNode(s record.Reader, k *record.RegionKey, n *record.Node) error {
	if n.Fenced {
		k.Nodes = append(k.Nodes, record.Wrap{Holder: n.ID})
		return nil
	}
	key, err := r.regionKey(s, k.Region, k.Generation)
	if err != nil {
		return err
	}
	return wrapNode(k, key, n)
}

// AddNodeToAll is AddNode for every generation of the node's Region's key.
func (r *Ring) AddNodeToAll(tx record.Tx, n *record.Node) error {
	all, err := generations(tx, n.Region)
	if err != nil {
		return err
	}
	for _, k := range all {
		if err := r.AddNode(tx, k, n); err != nil {
			return err
		}
		if err := record.Put(tx, record.RegionKeys, k); err != nil {
			return err
		}
	}
	return nil
}

// SealsTo says whether a text is a node's public HPKE key.
func SealsTo(public []byte) bool {
	_, err := kem().NewPublicKey(public)
	return err == nil
}

func wrapNode(k *record.RegionKey, key []byte, n *record.Node) error {
	public, err := kem().NewPublicKey(n.HPKE)
	if err != nil {
		return err
	}
	bound := append(bindKey(forRegion, k.Region, k.Generation), n.ID...)
	sealed, err := hpke.Seal(public, hpke.HKDFSHA256(), hpke.AES256GCM(), bound, key)
	if err != nil {
		return err
	}
	k.Nodes = append(k.Nodes, record.Wrap{Holder: n.ID, Sealed: sealed})
	return nil
}

// NewAccountKey makes a generation of an account's key, wrapped for the KEK
// and for each Region's newest wrapping key in s.
func (r *Ring) NewAccountKey(s record.Reader, account string, generation int, regions []string, now time.Time) (*record.AccountKey, error) {
	kek, wraps, err := r.wrapNew(s, regions, bindKey(forAccount, account, generation))
	if err != nil {
		return nil, err
	}
	return &record.AccountKey{Account: account, Generation: generation, Created: record.At(now), KEK: kek, Regions: wraps}, nil
}

// NewOpeningKey makes a generation of a class of opening keys.
func (r *Ring) NewOpeningKey(s record.Reader, class string, generation int, regions []string, now time.Time) (*record.OpeningKey, error) {
	kek, wraps, err := r.wrapNew(s, regions, bindKey(forOpening, class, generation))
	if err != nil {
		return nil, err
	}
	return &record.OpeningKey{Class: class, Generation: generation, Created: record.At(now), KEK: kek, Regions: wraps}, nil
}

func (r *Ring) wrapNew(s record.Reader, regions []string, bound []byte) (kek []byte, wraps []record.Wrap, err error) {
	key := newKey()
	if kek, err = r.sealKEK(s, key, bound); err != nil {
		return nil, nil, err
	}
	for _, region := range regions {
		used, err := newestRegionKey(s, region)
		if err != nil {
			return nil, nil, err
		}
		if used == nil {
			return nil, nil, errNoKey
		}
		wrapping, err := r.regionKey(s, region, used.Generation)
		if err != nil {
			return nil, nil, err
		}
		sealed, err := seal(wrapping, key, bound)
		if err != nil {
			return nil, nil, err
		}
		wraps = append(wraps, record.Wrap{Holder: region, Generation: used.Generation, Sealed: sealed})
	}
	return kek, wraps, nil
}

// publicV4A derives the public key of a secret for SigV4A, so that a verifier
// of those signatures holds no secret.
func publicV4A(id, secret string) ([]byte, error) {
	key, err := sigv4.DeriveECDSA(id, secret)
	if err != nil {
		return nil, err
	}
	return key.PublicKey.Bytes()
}

// NewAccessKey makes a long-term key of an account. The secret is returned
// once and kept nowhere in clear.
func (r *Ring) NewAccessKey(s record.Reader, account string, now time.Time) (record.AccessKey, string, error) {
	id, err := NewKeyID(LongTerm, account)
	if err != nil {
		return record.AccessKey{}, "", err
	}
	key, generation, err := r.accountKey(s, account, 0)
	if err != nil {
		return record.AccessKey{}, "", err
	}
	secret := NewSecret()
	sealed, err := seal(key, []byte(secret), bind(forSecret, account, id, strconv.Itoa(generation)))
	if err != nil {
		return record.AccessKey{}, "", err
	}
	public, err := publicV4A(id, secret)
	if err != nil {
		return record.AccessKey{}, "", err
	}
	return record.AccessKey{ID: id, Active: true, Created: record.At(now), Generation: generation, Sealed: sealed, PublicV4A: public}, secret, nil
}
