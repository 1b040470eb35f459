package record

import (
	"fmt"
	"time"
)

// Time is a moment in whole seconds since 1970 UTC, as IAM's answers show it.
// Its stored form is RFC 3339 text. Zero means unset.
type Time int64

// At returns t cut to whole seconds.
func At(t time.Time) Time { return Time(t.Unix()) }

// Std returns t as a time.Time in UTC.
func (t Time) Std() time.Time { return time.Unix(int64(t), 0).UTC() }

// MarshalText writes RFC 3339 with second precision.
func (t Time) MarshalText() ([]byte, error) {
	return t.Std().AppendFormat(nil, time.RFC3339), nil
}

// UnmarshalText reads what MarshalText writes.
func (t *Time) UnmarshalText(b []byte) error {
	u, err := time.Parse(time.RFC3339, string(b))
	if err != nil {
		return fmt.Errorf("record: %q is no RFC 3339 time", b)
	}
	*t = At(u)
	return nil
}
