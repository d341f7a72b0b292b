package storage

import (
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// Bounds on settings.
const (
	maxSettingKey   = 64
	maxSettingValue = 64 << 10
)

// Setting returns a value stored by PutSetting, nil if there is none.
func (d *DB) Setting(key string) ([]byte, error) {
	var v []byte
	err := d.view(func(tx *bolt.Tx) error {
		// Copied: bbolt's bytes are only valid inside the transaction. Made
		// non-nil, so that an empty value differs from none.
		found := tx.Bucket(bucketSettings).Get([]byte(key))
		switch {
		case len(found) > maxSettingValue:
			return corrupt(d.file, fmt.Errorf("the setting %.40q claims to have %d bytes", key, len(found)))
		case found != nil:
			v = append([]byte{}, found...)
		}
		return nil
	})
	return v, err
}

// PutSetting stores a small value that must survive a restart; it is on disk when
// PutSetting returns. A nil value removes the key. Keys have 1 to 64 bytes, values
// at most 64 KiB; others give ErrInvalid.
func (d *DB) PutSetting(key string, v []byte) error {
	if key == "" || len(key) > maxSettingKey {
		return invalid("a setting's key must have 1 to %d bytes, not %d", maxSettingKey, len(key))
	}
	if len(v) > maxSettingValue {
		return invalid("the setting %s is %d bytes long; at most %d are kept", key, len(v), maxSettingValue)
	}
	return d.edit(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketSettings)
		if v == nil {
			return b.Delete([]byte(key))
		}
		return b.Put([]byte(key), v)
	})
}
