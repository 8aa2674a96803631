package nsinspect_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// parsers are the functions that make something of text from outside, beside those that are called parse or take bytes.
var parsers = map[string]string{
	"cgroup":    "Certain Identify ModeOf unescape",
	"cmd":       "queuesFlag safe",
	"container": "ContainerMounts DevShm DevShmTrap DockerConfigs Engine SettingUp StorageOf cgroupsOf configOf within",
	"explain":   "Find Wanted commandLine",
	"ipc":       "Limits Sentence labelOf",
	"locale":    "ReadArchive Zone fromRule normalized parts spellings",
	"proc":      "machineLink namespaceLink",
	"render":    "ShortRef appendC cut size sizeLetters wrap",
	"report":    "Text",
}

// takesBytes tells a parser from what reads into a buffer, appends to one, or writes it.
func takesBytes(f *ast.FuncDecl) bool {
	if f.Recv != nil || f.Type.Results == nil || regexp.MustCompile(`^(append|read|list)`).MatchString(f.Name.Name) {
		return false
	}
	return slices.ContainsFunc(f.Type.Params.List, func(p *ast.Field) bool {
		list, ok := p.Type.(*ast.ArrayType)
		if !ok || list.Len != nil {
			return false
		}
		element, ok := list.Elt.(*ast.Ident)
		return ok && element.Name == "byte"
	})
}

// TestEveryParserIsFuzzed: each of them is called by a fuzz target of its package, or by what one calls.
func TestEveryParserIsFuzzed(t *testing.T) {
	dirs, err := filepath.Glob("*")
	if err != nil {
		t.Fatal(err)
	}
	total, targets := 0, 0
	for _, dir := range append(dirs, ".", "../cmd/nsinspect") {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(dir)
		if dir == "../cmd/nsinspect" {
			name = "cmd"
		}
		calls := map[string]map[string]bool{} // by function, the names that it mentions
		var wanted, found []string
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			isTest := strings.HasSuffix(file, "_test.go")
			for _, decl := range parsed.Decls {
				f, ok := decl.(*ast.FuncDecl)
				if !ok || f.Body == nil {
					continue
				}
				if calls[f.Name.Name] == nil {
					calls[f.Name.Name] = map[string]bool{}
				}
				ast.Inspect(f.Body, func(n ast.Node) bool {
					if id, ok := n.(*ast.Ident); ok {
						calls[f.Name.Name][id.Name] = true
					}
					return true
				})
				switch {
				case isTest && strings.HasPrefix(f.Name.Name, "Fuzz"):
					found = append(found, f.Name.Name)
				case !isTest && name != "proctest" && (regexp.MustCompile(`^[Pp]arse`).MatchString(f.Name.Name) || takesBytes(f)):
					wanted = append(wanted, f.Name.Name)
				}
			}
		}
		for _, p := range strings.Fields(parsers[name]) {
			if calls[p] == nil {
				t.Errorf("%s: there is no %s; take it off the list", name, p)
				continue
			}
			wanted = append(wanted, p)
		}
		reached := map[string]bool{}
		for next := slices.Clone(found); len(next) > 0; next = next[1:] {
			for called := range calls[next[0]] {
				if calls[called] != nil && !reached[called] {
					reached[called] = true
					next = append(next, called)
				}
			}
		}
		slices.Sort(wanted)
		wanted = slices.Compact(wanted)
		for _, p := range wanted {
			if !reached[p] {
				t.Errorf("%s: no fuzz target calls %s", name, p)
			}
		}
		total, targets = total+len(wanted), targets+len(found)
	}
	t.Logf("%d parsers, %d fuzz targets", total, targets)
}
