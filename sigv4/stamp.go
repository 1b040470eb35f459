package sigv4

import "time"

// stampForm is ISO 8601's basic format, in UTC.
const stampForm = "20060102T150405Z"

func stamp(t time.Time) string { return t.UTC().Format(stampForm) }

// appendStamp is AppendFormat for the one form that every signature needs.
func appendStamp(dst []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = digits(dst, year/100)
	dst = digits(dst, year%100)
	dst = digits(dst, int(month))
	dst = append(digits(dst, day), 'T')
	dst = digits(dst, hour)
	dst = digits(dst, minute)
	return append(digits(dst, second), 'Z')
}

func digits(dst []byte, n int) []byte { return append(dst, byte('0'+n/10%10), byte('0'+n%10)) }

// parseStamp reads exactly YYYYMMDDTHHMMSSZ.
func parseStamp(s string) (time.Time, bool) {
	if len(s) != len(stampForm) || s[8] != 'T' || s[15] != 'Z' || !isDate(s[:8]) {
		return time.Time{}, false
	}
	for i := 9; i < 15; i++ {
		if s[i] < '0' || s[i] > '9' {
			return time.Time{}, false
		}
	}
	hour, minute, second := pairOf(s, 9), pairOf(s, 11), pairOf(s, 13)
	if hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	return time.Date(pairOf(s, 0)*100+pairOf(s, 2), time.Month(pairOf(s, 4)), pairOf(s, 6), hour, minute, second, 0, time.UTC), true
}

// isDate reports whether s is a day that exists, as YYYYMMDD.
func isDate(s string) bool {
	if len(s) != 8 {
		return false
	}
	for i := 0; i < 8; i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	year, month, day := pairOf(s, 0)*100+pairOf(s, 2), pairOf(s, 4), pairOf(s, 6)
	if year == 0 || month < 1 || month > 12 || day < 1 {
		return false
	}
	if day <= 28 {
		return true
	}
	return day <= time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

func pairOf(s string, i int) int { return int(s[i]-'0')*10 + int(s[i+1]-'0') }
