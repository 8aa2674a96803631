// Command corpus commits what the fuzzer has found: of the inputs in Go's cache it
// copies to testdata/fuzz of the package those that make a target go through blocks,
// or through a block so much more often, as none of the seeds and of the inputs that are there does.
//
//	corpus ./nsinspect/...
package main

import (
	"bufio"
	"cmp"
	"fmt"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	largest = 4 << 10 // bytes of one input
	tried   = 96      // inputs of one target, from the smallest to the largest
	most    = 32      // that are kept
	least   = 12      // where so many were tried: others from the smallest to the largest, for what is gone through outside of the package
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "corpus:", err)
		os.Exit(1)
	}
}

func run(patterns []string) error {
	cache, err := output("go", "env", "GOCACHE")
	if err != nil {
		return err
	}
	packages, err := output("go", append([]string{"list", "-f", "{{.ImportPath}} {{.Dir}}"}, patterns...)...)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "corpus")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	var all total
	for line := range strings.Lines(packages) {
		path, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		targets, err := output("go", "test", "-list", "^Fuzz", path)
		if err != nil {
			return err
		}
		p := pkg{dir: dir, binary: filepath.Join(work, "test"), profile: filepath.Join(work, "profile"), found: filepath.Join(cache, "fuzz", path)}
		built := false
		for target := range strings.Lines(targets) {
			if target = strings.TrimSpace(target); !strings.HasPrefix(target, "Fuzz") {
				continue
			}
			if !built {
				if _, err := output("go", "test", "-c", "-covermode=count", "-coverpkg="+path, "-o", p.binary, path); err != nil {
					return err
				}
				built = true
			}
			sum, err := p.choose(target)
			if err != nil {
				return fmt.Errorf("%s %s: %w", path, target, err)
			}
			all.targets++
			all.inputs += sum.inputs
			all.bytes += sum.bytes
		}
	}
	fmt.Printf("%d targets, %d inputs, %.1f KiB\n", all.targets, all.inputs, float64(all.bytes)/1024)
	return nil
}

// total is what is committed.
type total struct {
	targets, inputs int
	bytes           int64
}

// pkg is one package with fuzz targets.
type pkg struct{ dir, binary, profile, found string }

// choose copies what is worth it.
func (p pkg) choose(target string) (sum total, err error) {
	listed, err := os.ReadDir(filepath.Join(p.found, target))
	if err != nil && !os.IsNotExist(err) {
		return sum, err
	}
	type input struct {
		name string
		size int64
	}
	var inputs []input
	for _, e := range listed {
		if info, err := e.Info(); err == nil && info.Size() <= largest {
			inputs = append(inputs, input{e.Name(), info.Size()})
		}
	}
	slices.SortFunc(inputs, func(a, b input) int { return cmp.Or(cmp.Compare(a.size, b.size), cmp.Compare(a.name, b.name)) })
	if n := len(inputs); n > tried {
		for i := range tried {
			inputs[i] = inputs[i*n/tried]
		}
		inputs = inputs[:tried]
	}
	corpus := filepath.Join(p.dir, "testdata", "fuzz", target)
	if err := os.MkdirAll(corpus, 0o755); err != nil {
		return sum, err
	}
	there, err := os.ReadDir(corpus)
	if err != nil {
		return sum, err
	}
	have, err := p.features("^" + target + "$")
	if err != nil {
		return sum, err
	}
	for _, e := range there {
		if info, err := e.Info(); err == nil {
			sum.inputs, sum.bytes = sum.inputs+1, sum.bytes+info.Size()
		}
	}
	var rest []input
	for _, in := range inputs {
		if sum.inputs >= most {
			break
		}
		to := filepath.Join(corpus, in.name)
		if _, err := os.Stat(to); err == nil {
			continue
		}
		b, err := os.ReadFile(filepath.Join(p.found, target, in.name))
		if err != nil {
			return sum, err
		}
		if err := os.WriteFile(to, b, 0o644); err != nil {
			return sum, err
		}
		features, err := p.features("^" + target + "$/^" + in.name + "$")
		if err != nil {
			return sum, fmt.Errorf("%s: %w", to, err)
		}
		fresh := false
		for f := range features {
			fresh = fresh || !have[f]
			have[f] = true
		}
		if !fresh {
			rest = append(rest, in)
			if err := os.Remove(to); err != nil {
				return sum, err
			}
			continue
		}
		sum.inputs, sum.bytes = sum.inputs+1, sum.bytes+in.size
	}
	for n := least - sum.inputs; n > 0 && len(rest) > 0; n-- {
		i := (len(rest) - 1) / n
		b, err := os.ReadFile(filepath.Join(p.found, target, rest[i].name))
		if err != nil {
			return sum, err
		}
		if err := os.WriteFile(filepath.Join(corpus, rest[i].name), b, 0o644); err != nil {
			return sum, err
		}
		sum.inputs, sum.bytes = sum.inputs+1, sum.bytes+rest[i].size
		rest = rest[i+1:]
	}
	fmt.Printf("%-26s %5d found, %3d committed\n", target, len(listed), sum.inputs)
	if sum.inputs == 0 {
		return sum, os.Remove(corpus)
	}
	return sum, nil
}

// feature is a block and the order of magnitude of how often it was gone through.
type feature struct {
	block string
	times int
}

// features runs a part of a target and tells what it went through.
func (p pkg) features(part string) (map[feature]bool, error) {
	cmd := exec.Command(p.binary, "-test.run", part, "-test.coverprofile", p.profile)
	cmd.Dir = p.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	file, err := os.Open(p.profile)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	all := map[feature]bool{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) != 3 {
			continue
		}
		if n, err := strconv.ParseUint(words[2], 10, 64); err == nil && n > 0 {
			all[feature{words[0], bits.Len64(n)}] = true
		}
	}
	return all, nil
}

func output(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
