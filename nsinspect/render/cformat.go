package render

import (
	"fmt"
	"strconv"
)

// appendC appends arguments as printf(3) formats them: widths and precisions
// count bytes, as they do in C and do not in Go. It knows the conversions
// d, i, u, o, s and %, the flags - and #, widths, precisions, length modifiers
// (which mean nothing here) and positions (%2$s), because message catalogues use
// them. What does not fit its argument is shown as fmt shows it.
func appendC(b []byte, format string, args ...any) []byte {
	next := 0
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b = append(b, format[i])
			continue
		}
		c, n, ok := parseConversion(format[i+1:])
		if !ok {
			b = append(b, '%')
			continue
		}
		i += n
		if c.verb == '%' {
			b = append(b, '%')
			continue
		}
		at := next
		if c.position > 0 {
			at = c.position - 1
		} else {
			next++
		}
		var arg any
		if at < len(args) {
			arg = args[at]
		}
		b = c.append(b, arg)
	}
	return b
}

// conversion is one %-specification of printf(3).
type conversion struct {
	position  int // from 1; 0 for the next argument
	left, alt bool
	width     int
	precision int // -1 for none
	verb      byte
}

// maxPad bounds the widths of a format that came from a file.
const maxPad = 1000

// parseConversion reads what follows a %; n is how many bytes that is.
func parseConversion(s string) (c conversion, n int, ok bool) {
	digits := func() int {
		v := 0
		for ; n < len(s) && s[n] >= '0' && s[n] <= '9'; n++ {
			v = min(v*10+int(s[n]-'0'), maxPad)
		}
		return v
	}
	c.precision = -1
	if v := digits(); n < len(s) && n > 0 && s[n] == '$' {
		c.position, n = v, n+1
	} else {
		n = 0
	}
	for ; n < len(s) && (s[n] == '-' || s[n] == '#'); n++ {
		c.left = c.left || s[n] == '-'
		c.alt = c.alt || s[n] == '#'
	}
	c.width = digits()
	if n < len(s) && s[n] == '.' {
		n++
		c.precision = digits()
	}
	for n < len(s) && (s[n] == 'l' || s[n] == 'j' || s[n] == 'z' || s[n] == 'h') {
		n++
	}
	if n == len(s) {
		return c, 0, false
	}
	c.verb = s[n]
	switch c.verb {
	case 'd', 'i', 'u', 'o', 's', '%':
		return c, n + 1, true
	}
	return c, 0, false
}

func (c conversion) append(b []byte, arg any) []byte {
	var text string
	switch v := arg.(type) {
	case string:
		if text = v; c.precision >= 0 && len(text) > c.precision {
			text = text[:c.precision]
		}
	case int:
		text = c.number(v < 0, uint64(v))
	case int64:
		text = c.number(v < 0, uint64(v))
	case uint32:
		text = c.number(false, uint64(v))
	case uint64:
		text = c.number(false, v)
	default:
		text = fmt.Sprint(arg)
	}
	pad := c.width - len(text)
	for ; !c.left && pad > 0; pad-- {
		b = append(b, ' ')
	}
	b = append(b, text...)
	for ; pad > 0; pad-- {
		b = append(b, ' ')
	}
	return b
}

func (c conversion) number(negative bool, v uint64) string {
	switch {
	case c.verb == 'o' && c.alt && v != 0:
		return "0" + strconv.FormatUint(v, 8)
	case c.verb == 'o':
		return strconv.FormatUint(v, 8)
	case negative:
		return strconv.FormatInt(int64(v), 10)
	}
	return strconv.FormatUint(v, 10)
}

// sizeLetters is a number of bytes as util-linux's --human has it: one letter,
// one decimal that is rounded half up and left out when it is 0, and the unit
// chosen before rounding, so that one byte less than 1G is 1024M.
func sizeLetters(bytes uint64, decimal string) string {
	const letters = "BKMGTPE"
	unit := 0
	for unit < len(letters)-1 && bytes>>(10*unit) >= 1024 {
		unit++
	}
	shift := 10 * unit
	whole, rest := bytes>>shift, bytes&(1<<shift-1)
	tenths := uint64(0)
	if rest != 0 {
		// Without the last ten bits of an exabyte's rest the product fits.
		var thousandths uint64
		if rest >= 1<<64/1000 {
			thousandths = rest / 1024 * 1000 >> (shift - 10)
		} else {
			thousandths = rest * 1000 >> shift
		}
		if tenths = (thousandths + 50) / 100; tenths == 10 {
			whole, tenths = whole+1, 0
		}
	}
	text := strconv.FormatUint(whole, 10)
	if tenths != 0 {
		text += decimal + strconv.FormatUint(tenths, 10)
	}
	return text + letters[unit:unit+1]
}
