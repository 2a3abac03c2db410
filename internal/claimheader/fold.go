// SPDX-License-Identifier: Apache-2.0

package claimheader

// folded maps each byte of a header name to its folded form: letters to lower case, digits to themselves, every other byte
// to a hyphen.
var folded = func() (table [256]byte) {
	for i := range table {
		switch c := byte(i); {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			table[i] = c
		case 'A' <= c && c <= 'Z':
			table[i] = c | 0x20
		default:
			table[i] = '-'
		}
	}
	return table
}()

// Fold returns the form of a header name in which two names are the same if any app might take one for the other: lower
// case, and a hyphen for every byte that is neither letter nor digit (TM-002).
//
// CGI, WSGI, PHP, Rack and many others turn X-Verified-Id-Role, X_Verified_Id_Role and X.Verified.Id.Role into one variable.
// A filter that compares the names as they came deletes the first and lets the others through.
func Fold(name string) string {
	return string(FoldAppend(make([]byte, 0, len(name)), name))
}

// FoldAppend appends the folded form of name to dst. The folded form is as long as name.
func FoldAppend(dst []byte, name string) []byte {
	for i := range len(name) {
		dst = append(dst, folded[name[i]])
	}
	return dst
}

// foldsTo reports whether name, folded, is equal to want, which is folded already and as long as name.
func foldsTo(name, want string) bool {
	// From the end: names in one namespace differ there.
	for i := len(want) - 1; i >= 0; i-- {
		if folded[name[i]] != want[i] {
			return false
		}
	}
	return true
}
