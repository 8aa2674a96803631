package nsinspect_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/nsinspect/nsinspect"

// allowed is the architecture: what each package of the module may import of
// the module, and of what is restricted. docs/architecture.md draws it.
var allowed = map[string][]string{
	"cmd/nsinspect":               {"nsinspect", "audit", "render", "report", "confine", "locale", "kong"},
	"nsinspect":                   {"parallel", "locale", "explain", "audit", "container", "ipc", "render", "proc", "cgroup", "namespace", "report"},
	"nsinspect/audit":             {"report", "namespace"},
	"nsinspect/explain":           {"audit", "container", "proc", "cgroup", "namespace", "report"},
	"nsinspect/container":         {"report", "proc", "cgroup", "namespace"},
	"nsinspect/ipc":               {"report", "proc", "namespace", "unix"},
	"nsinspect/render":            {"report"},
	"nsinspect/namespace":         {"parallel", "proc", "confine", "unix"},
	"nsinspect/proc":              {"unix"},
	"nsinspect/cgroup":            {},
	"nsinspect/report":            {},
	"nsinspect/confine":           {"unix"},
	"nsinspect/proctest":          {},
	"nsinspect/locale":            {},
	"nsinspect/internal/parallel": {},
}

func TestImportsGoOneWay(t *testing.T) {
	packages := list(t, module+"/cmd/...", module+"/nsinspect/...")
	for _, p := range packages {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		may, known := allowed[name]
		if !known {
			t.Errorf("%s: not in the architecture; say in docs/architecture.md and here what it may import", name)
			continue
		}
		for _, i := range p.Imports {
			short := ""
			switch {
			case strings.HasPrefix(i, module+"/nsinspect"):
				short = i[strings.LastIndex(i, "/")+1:]
			case i == "golang.org/x/sys/unix":
				short = "unix"
			case i == "github.com/alecthomas/kong":
				short = "kong"
			}
			if short != "" && !slices.Contains(may, short) {
				t.Errorf("%s imports %s", name, i)
			}
		}
	}
	if len(packages) < 9 {
		t.Errorf("only %d packages were looked at", len(packages))
	}
}

// TestNoServicePackages: nothing that the binary is made of is there to run a
// program or to serve. (procfs imports net for its address types; that no socket
// is opened is proven by tracing the binary.)
func TestNoServicePackages(t *testing.T) {
	for _, p := range list(t, "-deps", module+"/cmd/nsinspect") {
		switch p.ImportPath {
		case "net/http", "os/exec", "plugin":
			t.Errorf("the binary holds %s", p.ImportPath)
		}
	}
}

// TestLibraryIsSilent: only cmd prints.
func TestLibraryIsSilent(t *testing.T) {
	files, err := filepath.Glob("*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	own, err := filepath.Glob("*.go")
	if err != nil || len(files) < 20 {
		t.Fatalf("%v, %d files", err, len(files))
	}
	for _, file := range append(files, own...) {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				x, ok := n.X.(*ast.Ident)
				if ok && (x.Name == "fmt" && strings.HasPrefix(n.Sel.Name, "Print") || x.Name == "os" && strings.HasPrefix(n.Sel.Name, "Std") || x.Name == "log") {
					t.Errorf("%s uses %s.%s", file, x.Name, n.Sel.Name)
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "print" || f.Name == "println") {
					t.Errorf("%s uses %s", file, f.Name)
				}
			}
			return true
		})
	}
}

type listed struct {
	ImportPath string
	Imports    []string
}

func list(t *testing.T, args ...string) []listed {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports"}, args...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}
