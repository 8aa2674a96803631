package locale

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path"
	"strings"
)

// lcNumeric is the category's number in glibc (locale/categories.def).
const lcNumeric = 1

// installed tells whether a locale is in the archive or has a directory.
func (f Files) installed(name string) bool {
	_, ok := f.numeric(name)
	return ok
}

// decimalPoint returns the decimal point of a locale.
func (f Files) decimalPoint(name string) (string, bool) {
	data, ok := f.numeric(name)
	if !ok {
		return "", false
	}
	point, err := ParseNumeric(data)
	return point, err == nil
}

// numeric returns a locale's LC_NUMERIC, from the archive or its directory.
func (f Files) numeric(name string) ([]byte, bool) {
	full, codeset, modifier := parts(name)
	if modifier != "" {
		modifier = "@" + modifier
	}
	if codeset != "" {
		codeset = "." + normalized(codeset)
	}
	for _, dir := range strings.Split(f.Locales, ":") {
		if archive, err := os.Open(path.Join(dir, "locale-archive")); err == nil {
			data, err := ReadArchive(archive, full+codeset+modifier, lcNumeric)
			archive.Close()
			if err == nil {
				return data, true
			}
		}
		for _, spelling := range spellings(name) {
			if data, err := readFile(path.Join(dir, spelling, "LC_NUMERIC")); err == nil {
				return data, true
			}
		}
	}
	return nil, false
}

// ParseNumeric returns the decimal point in a compiled LC_NUMERIC of glibc
// (locale/loadlocale.c): a magic number, a count, as many offsets, and the
// texts, the decimal point being the first.
func ParseNumeric(b []byte) (string, error) {
	const magic = 0x20031115 ^ lcNumeric
	if len(b) < 12 || binary.NativeEndian.Uint32(b) != magic || binary.NativeEndian.Uint32(b[4:]) == 0 {
		return "", errors.New("not a compiled LC_NUMERIC")
	}
	at := uint64(binary.NativeEndian.Uint32(b[8:]))
	if at >= uint64(len(b)) {
		return "", errors.New("a compiled LC_NUMERIC with a text beyond its end")
	}
	point, _, ended := bytes.Cut(b[at:], []byte{0})
	const most = 8 // U+066B takes two bytes
	if !ended || len(point) == 0 || len(point) > most {
		return "", errors.New("a compiled LC_NUMERIC without a decimal point")
	}
	return string(point), nil
}

// ReadArchive returns one category of one locale in a locale archive of glibc
// (locale/locarchive.h). Names in it have their codeset normalized: de_DE.utf8.
func ReadArchive(r io.ReaderAt, name string, category int) ([]byte, error) {
	u32 := binary.NativeEndian.Uint32
	var head [56]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return nil, err
	}
	const magic = 0xde020109
	if u32(head[:]) != magic {
		return nil, errors.New("not a locale archive")
	}
	// The table of names: a hash, and the offsets of the name and of the locale.
	const entry, most = 12, 1 << 16
	offset, size := int64(u32(head[8:])), u32(head[16:])
	if size > most {
		return nil, errors.New("a locale archive of too many names")
	}
	table := make([]byte, entry*size)
	if _, err := r.ReadAt(table, offset); err != nil {
		return nil, err
	}
	for ; len(table) > 0; table = table[entry:] {
		if u32(table[8:]) == 0 {
			continue
		}
		stored := make([]byte, len(name)+1)
		if _, err := r.ReadAt(stored, int64(u32(table[4:]))); err != nil || string(stored) != name+"\x00" {
			continue
		}
		// The locale: a count of references, and offset and length of each category.
		var place [8]byte
		if _, err := r.ReadAt(place[:], int64(u32(table[8:]))+4+8*int64(category)); err != nil {
			return nil, err
		}
		length := u32(place[4:])
		if length > 1<<16 {
			return nil, errors.New("a locale archive with a category that is too long")
		}
		data := make([]byte, length)
		_, err := r.ReadAt(data, int64(u32(place[:])))
		return data, err
	}
	return nil, errors.New("no such locale in the archive")
}
