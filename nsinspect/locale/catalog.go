package locale

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// ParseCatalog reads a message catalogue in the GNU .mo format (gettext manual,
// "The Format of GNU MO Files") that is written in UTF-8: translations by texts.
// Of a text with plural forms it has the first; strings that depend on the
// machine (revision 1) are left out.
func ParseCatalog(b []byte) (map[string]string, error) {
	const head = 20
	if len(b) < head {
		return nil, errors.New("not a message catalogue: too short")
	}
	var order binary.ByteOrder = binary.LittleEndian
	const magic = 0x950412de
	if order.Uint32(b) != magic {
		if order = binary.BigEndian; order.Uint32(b) != magic {
			return nil, errors.New("not a message catalogue")
		}
	}
	if major := order.Uint32(b[4:]) >> 16; major > 1 {
		return nil, fmt.Errorf("message catalogue of revision %d", major)
	}
	count, originals, translations := uint64(order.Uint32(b[8:])), uint64(order.Uint32(b[12:])), uint64(order.Uint32(b[16:]))
	if originals+8*count > uint64(len(b)) || translations+8*count > uint64(len(b)) {
		return nil, errors.New("message catalogue with tables beyond its end")
	}
	text := func(table, i uint64) (string, bool) {
		at := table + 8*i
		length, offset := uint64(order.Uint32(b[at:])), uint64(order.Uint32(b[at+4:]))
		if offset+length > uint64(len(b)) {
			return "", false
		}
		s, _, _ := bytes.Cut(b[offset:offset+length], []byte{0})
		return string(s), true
	}
	catalog := make(map[string]string)
	for i := range count {
		original, ok1 := text(originals, i)
		translation, ok2 := text(translations, i)
		if !ok1 || !ok2 {
			return nil, errors.New("message catalogue with a text beyond its end")
		}
		catalog[original] = translation
	}
	_, charset, _ := strings.Cut(catalog[""], "charset=")
	charset, _, _ = strings.Cut(charset, "\n")
	if normalized(charset) != "utf8" {
		return nil, fmt.Errorf("message catalogue in %q, not in UTF-8", charset)
	}
	delete(catalog, "")
	return catalog, nil
}
