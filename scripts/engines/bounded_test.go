package engines

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// boundedRuntime is the name under which the test binary stands in for an OCI
// runtime: it takes the capabilities that these tests do not have themselves
// out of a container's configuration, and becomes the real runtime.
const boundedRuntime = "bounded"

// bounded makes the stand-in for an OCI runtime in the lab: bounded-runc, say.
func (l *lab) bounded(name string) string {
	l.Helper()
	self, err := os.Executable()
	if err != nil {
		l.Fatal(err)
	}
	path := l.path(boundedRuntime + "-" + name)
	if err := os.Symlink(self, path); err != nil {
		l.Fatal(err)
	}
	return path
}

// runBounded is the stand-in; it does not return.
func runBounded() {
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, boundedRuntime+":", err)
		os.Exit(1)
	}
	for i, arg := range os.Args {
		bundle, ok := strings.CutPrefix(arg, "--bundle=")
		if arg == "--bundle" && i+1 < len(os.Args) {
			bundle, ok = os.Args[i+1], true
		}
		if ok {
			if err := boundCapabilities(filepath.Join(bundle, "config.json")); err != nil {
				fail(err)
			}
		}
	}
	name := strings.TrimPrefix(filepath.Base(os.Args[0]), boundedRuntime+"-")
	path, err := exec.LookPath(name)
	if err != nil {
		fail(err)
	}
	fail(unix.Exec(path, append([]string{name}, os.Args[1:]...), os.Environ()))
}

// boundCapabilities removes from an OCI configuration every capability that is
// not in our bounding set.
func boundCapabilities(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var spec map[string]any
	if err := json.Unmarshal(data, &spec); err != nil {
		return err
	}
	process, _ := spec["process"].(map[string]any)
	sets, _ := process["capabilities"].(map[string]any)
	for kind, set := range sets {
		names, _ := set.([]any)
		sets[kind] = slices.DeleteFunc(names, func(name any) bool {
			number, known := capabilities[fmt.Sprint(name)]
			if !known {
				return false
			}
			has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(number), 0, 0, 0)
			return err == nil && has == 0
		})
	}
	if data, err = json.Marshal(spec); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

// capabilities are those that a bounding set commonly lacks in virtual machines and containers.
var capabilities = map[string]int{
	"CAP_LINUX_IMMUTABLE": unix.CAP_LINUX_IMMUTABLE, "CAP_SYS_MODULE": unix.CAP_SYS_MODULE, "CAP_SYS_RAWIO": unix.CAP_SYS_RAWIO,
	"CAP_SYS_BOOT": unix.CAP_SYS_BOOT, "CAP_SYS_NICE": unix.CAP_SYS_NICE, "CAP_SYS_RESOURCE": unix.CAP_SYS_RESOURCE,
	"CAP_SYS_TIME": unix.CAP_SYS_TIME, "CAP_AUDIT_CONTROL": unix.CAP_AUDIT_CONTROL, "CAP_MAC_OVERRIDE": unix.CAP_MAC_OVERRIDE,
	"CAP_MAC_ADMIN": unix.CAP_MAC_ADMIN, "CAP_SYSLOG": unix.CAP_SYSLOG, "CAP_WAKE_ALARM": unix.CAP_WAKE_ALARM,
	"CAP_BLOCK_SUSPEND": unix.CAP_BLOCK_SUSPEND, "CAP_AUDIT_READ": unix.CAP_AUDIT_READ, "CAP_PERFMON": unix.CAP_PERFMON,
	"CAP_BPF": unix.CAP_BPF, "CAP_CHECKPOINT_RESTORE": unix.CAP_CHECKPOINT_RESTORE,
}

func goarch() string { return runtime.GOARCH }
