package locale

import (
	"path"
	"strings"
)

// Language is what the C library takes from the locale for a program's output.
type Language struct {
	Decimal string // the decimal point
	catalog []map[string]string
}

// Message translates a text of the program that the catalogues are of; it is
// returned as it is where there is no translation.
func (l Language) Message(text string) string {
	for _, c := range l.catalog {
		if t, ok := c[text]; ok && t != "" {
			return t
		}
	}
	return text
}

// Files are the places where locales and message catalogues are kept.
type Files struct {
	Locales  string // /usr/lib/locale, in which is the archive, too
	Catalogs string // /usr/share/locale
}

// System returns the places that Linux distributions use.
func System() Files { return Files{Locales: "/usr/lib/locale", Catalogs: "/usr/share/locale"} }

// Find returns the language that setlocale(LC_ALL, "") and the domain's
// catalogue give a program with the environment. Catalogues are used with
// UTF-8 only: in a locale with another encoding texts stay as they are. What
// cannot be read is as if it were not installed: the language of the locale C.
func (f Files) Find(getenv func(string) string, domain string) Language {
	l := Language{Decimal: "."}
	category := func(name string) string {
		for _, variable := range []string{"LC_ALL", name, "LANG"} {
			if v := getenv(variable); v != "" {
				return v
			}
		}
		return "C"
	}
	if dirs := getenv("LOCPATH"); dirs != "" {
		f.Locales = dirs
	}
	// One category that is not installed, and the whole setlocale fails.
	for _, name := range []string{"LC_CTYPE", "LC_COLLATE", "LC_MONETARY", "LC_NUMERIC", "LC_TIME", "LC_MESSAGES", "LC_PAPER", "LC_NAME", "LC_ADDRESS",
		"LC_TELEPHONE", "LC_MEASUREMENT", "LC_IDENTIFICATION"} {
		if v := category(name); !builtin(v) && !f.installed(v) {
			return l
		}
	}
	if v := category("LC_NUMERIC"); !builtin(v) {
		if point, ok := f.decimalPoint(v); ok {
			l.Decimal = point
		}
	}
	messages := category("LC_MESSAGES")
	if messages == "C" || messages == "POSIX" || !isUTF8(category("LC_CTYPE")) {
		return l
	}
	languages := []string{messages}
	if v := getenv("LANGUAGE"); v != "" {
		languages = strings.Split(v, ":")
	}
	for _, language := range languages {
		if language == "C" || language == "POSIX" {
			break
		}
		for _, name := range spellings(language) {
			b, err := readFile(path.Join(f.Catalogs, name, "LC_MESSAGES", domain+".mo"))
			if err != nil {
				continue
			}
			if c, err := ParseCatalog(b); err == nil {
				l.catalog = append(l.catalog, c)
				break
			}
		}
	}
	return l
}

// builtin tells whether the C library has a locale in itself.
func builtin(name string) bool {
	return name == "C" || name == "POSIX" || name == "C.UTF-8" || name == "C.utf8"
}

func isUTF8(name string) bool {
	_, codeset, _ := parts(name)
	return normalized(codeset) == "utf8"
}

// parts splits language_TERRITORY.codeset@modifier behind the territory.
func parts(name string) (language, codeset, modifier string) {
	name, modifier, _ = strings.Cut(name, "@")
	language, codeset, _ = strings.Cut(name, ".")
	return language, codeset, modifier
}

// normalized is a codeset as the names of installed locales have it: UTF-8 is
// utf8 (locale/programs, normalize_codeset).
func normalized(codeset string) string {
	var b strings.Builder
	letters := false
	for _, c := range []byte(strings.ToLower(codeset)) {
		if c >= 'a' && c <= 'z' {
			letters = true
		} else if c < '0' || c > '9' {
			continue
		}
		b.WriteByte(c)
	}
	if !letters && b.Len() > 0 {
		return "iso" + b.String()
	}
	return b.String()
}

// spellings returns the names that a locale or a catalogue may be kept under,
// the closest first. A name that would lead elsewhere has none.
func spellings(name string) []string {
	if name == "" || strings.ContainsAny(name, "/\x00") || strings.HasPrefix(name, ".") {
		return nil
	}
	full, codeset, modifier := parts(name)
	language, _, _ := strings.Cut(full, "_")
	var all []string
	add := func(s string) {
		for _, have := range all {
			if have == s {
				return
			}
		}
		all = append(all, s)
	}
	modifiers := []string{""}
	if modifier != "" {
		modifiers = []string{"@" + modifier, ""}
	}
	for _, base := range []string{full, language} {
		if base == "" {
			continue // the codeset of "_.." would lead elsewhere
		}
		for _, m := range modifiers {
			if codeset != "" {
				add(base + "." + codeset + m)
				add(base + "." + normalized(codeset) + m)
			}
			add(base + m)
		}
	}
	return all
}
