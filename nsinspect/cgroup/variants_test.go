package cgroup

import (
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The vectors are a sample. These tests make others of the same kind from each.

// eachLine returns the content with every path changed by f.
func eachLine(t *testing.T, content string, f func(l Line) string) string {
	t.Helper()
	lines, err := Parse([]byte(content))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, l := range lines {
		out.WriteString(strings.TrimSuffix(l.Text, l.Path) + f(l) + "\n")
	}
	return out.String()
}

// forVectors runs a test for every vector that it is about.
func forVectors(t *testing.T, about func(v vector) bool, f func(t *testing.T, v vector)) {
	t.Helper()
	ran := 0
	for _, v := range readVectors(t) {
		if about(v) {
			ran++
			t.Run(v.Name, func(t *testing.T) { f(t, v) })
		}
	}
	if ran < 50 {
		t.Errorf("only %d vectors", ran)
	}
}

func every(vector) bool { return true }

var hexID = regexp.MustCompile(`[0-9a-f]{64}`)

// TestOtherIDs gives every container another id.
func TestOtherIDs(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	// The id of one is too long on purpose; parts of it are no ids.
	forVectors(t, func(v vector) bool { return !strings.Contains(v.Name, "toomany") }, func(t *testing.T, v vector) {
		ids := map[string]string{}
		other := func(s string) string {
			return hexID.ReplaceAllStringFunc(s, func(id string) string {
				if ids[id] == "" {
					b := make([]byte, 64)
					for i := range b {
						b[i] = "0123456789abcdef"[random.IntN(16)]
					}
					ids[id] = string(b)
				}
				return ids[id]
			})
		}
		w := v.Want
		w.ID, w.Pod = other(w.ID), other(w.Pod)
		w.Outer = slices.Clone(w.Outer)
		for i := range w.Outer {
			w.Outer[i].ID = other(w.Outer[i].ID)
		}
		checkVector(t, other(v.Cgroup), w)
	})
}

// TestOtherParents moves what is in system.slice, or at the root, elsewhere.
func TestOtherParents(t *testing.T) {
	forVectors(t, every, func(t *testing.T, v vector) {
		checkVector(t, eachLine(t, v.Cgroup, func(l Line) string {
			return strings.ReplaceAll(l.Path, "/system.slice/", "/corp.slice/corp-batch.slice/")
		}), v.Want)
	})
}

// TestDamagedIDs: an id that is a digit too short or too long is not one, and
// neither is one with a foreign or an upper-case digit.
func TestDamagedIDs(t *testing.T) {
	damage := map[string]func(string) string{
		"63":    func(id string) string { return id[1:] },
		"65":    func(id string) string { return id + "0" },
		"128":   func(id string) string { return id + id },
		"upper": func(id string) string { return "A" + id[1:] },
		"g":     func(id string) string { return id[:63] + "g" },
		"dash":  func(id string) string { return id[:32] + "-" + id[33:] },
	}
	// Where the runtime takes any name, a damaged id is a name.
	names := regexp.MustCompile(`/(default|k8s\.io|plugins\.moby)/[0-9a-f]{64}|:[a-z-]+:[0-9a-f]{64}|/kata_overhead/`)
	forVectors(t, func(v vector) bool { return isHex64(v.Want.ID) && !names.MatchString(v.Cgroup) }, func(t *testing.T, v vector) {
		for how, f := range damage {
			bad := f(v.Want.ID)
			id := Identify([]byte(strings.ReplaceAll(v.Cgroup, v.Want.ID, bad)))
			w := want{wantRef: wantRef{Runtime: oneOf{""}}, Role: RoleNone}
			if n := len(v.Want.Outer); n > 0 {
				w = want{wantRef: v.Want.Outer[n-1], Role: RolePayload, Outer: v.Want.Outer[:n-1]}
			}
			if id.Role != w.Role || id.ID != w.ID || len(id.Outer) != len(w.Outer) {
				t.Errorf("%s: %+v, want what is around it, if anything: %+v", how, id, w)
			}
		}
	})
}

// TestBelow: whatever is below a container's own cgroup belongs to it.
func TestBelow(t *testing.T) {
	leaves := []string{"/init.scope", "/system.slice/foo.service", "/user.slice/user-0.slice/session-3.scope", "/a/b/c", "/init",
		"/container", "/exec", "/leaf", "/kubelet", "/podruntime/kubelet", "/0123456789abcdef0123456789abcdef", "/docker", "/system.slice/docker.socket",
		"/user.slice/user-1000.slice/user@1000.service/app.slice/app-flatpak-org.example.App-12.scope", "/" + strings.Repeat("x", 255), "/..", "/ "}
	forVectors(t, func(v vector) bool { return v.Want.Role != RoleNone }, func(t *testing.T, v vector) {
		for _, leaf := range leaves {
			if v.Want.Role == RoleMonitor && v.Want.ID == "" || v.Want.Role == RoleApp {
				continue
			}
			content := eachLine(t, v.Cgroup, func(l Line) string {
				path, deleted, _ := strings.Cut(l.Path, " (deleted)")
				if one := identify([]Line{l}, recent{}); one.Role == RoleNone {
					return l.Path
				}
				return path + leaf + deleted
			})
			checkVector(t, content, v.Want)
		}
	})
}

// TestNested puts every vector into containers of other runtimes.
func TestNested(t *testing.T) {
	const o = "29f4762a6833ae5d75c9fe086ce816d46fed09954d4ba597dbf158f8270b6eda"
	const uid = "26ab26cd-6409-443f-a13c-fd6c231207c8"
	outers := map[string]wantRef{
		"/docker/" + o:                                    {oneOf{"docker"}, o, ""},
		"/system.slice/docker-" + o + ".scope":            {oneOf{"docker"}, o, ""},
		"/docker/" + o + "/syscont-cgroup-root":           {oneOf{"docker"}, o, ""},
		"/machine.slice/libpod-" + o + ".scope/container": {oneOf{"podman"}, o, ""},
		"/system.slice/x.service/libpod-payload-" + o:     {oneOf{"podman"}, o, ""},
		"/kubepods.slice/kubepods-pod" + strings.ReplaceAll(uid, "-", "_") + ".slice/cri-containerd-" + o + ".scope": {oneOf{"containerd"}, o, uid},
		"/kubepods/burstable/pod" + uid + "/" + o:          {oneOf{""}, o, uid},
		"/kubepods/pod" + uid + "/crio-" + o:               {oneOf{"cri-o"}, o, uid},
		"/lxc.payload.c1":                                  {oneOf{"lxc"}, "c1", ""},
		"/lxc/101/ns":                                      {oneOf{"lxc"}, "101", ""},
		"/machine.slice/systemd-nspawn@m2.service/payload": {oneOf{"nspawn"}, "m2", ""},
		`/machine.slice/machine-my\x2dbox.scope/payload`:   {oneOf{"nspawn"}, "my-box", ""},
		"/default/mybox":                                   {oneOf{"containerd"}, "mybox", ""},
	}
	// What is relative to a cgroup namespace is below nothing.
	forVectors(t, func(v vector) bool { return !strings.Contains(v.Cgroup, ":/..") }, func(t *testing.T, v vector) {
		for prefix, outer := range outers {
			w := v.Want
			w.Outer = append([]wantRef{outer}, w.Outer...)
			if w.Role == RoleNone || w.Role == RoleApp {
				w = want{wantRef: outer, Role: RolePayload}
			}
			checkVector(t, eachLine(t, v.Cgroup, func(l Line) string {
				return prefix + strings.TrimSuffix(l.Path, "/")
			}), w)
		}
	})
}

// TestRelative reads every vector as it looks from a cgroup namespace some levels down.
func TestRelative(t *testing.T) {
	forVectors(t, every, func(t *testing.T, v vector) {
		for _, dots := range []string{"/..", "/../..", "/../../../../.."} {
			checkVector(t, eachLine(t, v.Cgroup, func(l Line) string {
				return dots + strings.TrimSuffix(l.Path, "/")
			}), v.Want)
		}
	})
}

// TestDeleted lets the v2 cgroup be gone.
func TestDeleted(t *testing.T) {
	forVectors(t, every, func(t *testing.T, v vector) {
		checkVector(t, eachLine(t, v.Cgroup, func(l Line) string {
			if l.Hierarchy != 0 || strings.HasSuffix(l.Path, " (deleted)") {
				return l.Path
			}
			return l.Path + " (deleted)"
		}), v.Want)
	})
}

// TestOtherControllers adds hierarchies in which the process is at the root.
func TestOtherControllers(t *testing.T) {
	forVectors(t, every, func(t *testing.T, v vector) {
		checkVector(t, v.Cgroup+"77:rdma:/\n", v.Want)
		checkVector(t, "78:misc:/\n1:name=elogind:/\n"+v.Cgroup, v.Want)
	})
}

// TestFewerControllers leaves lines out, as long as one that says who it is stays.
func TestFewerControllers(t *testing.T) {
	forVectors(t, every, func(t *testing.T, v vector) {
		deciding := Identify([]byte(v.Cgroup)).Line
		lines := strings.SplitAfter(v.Cgroup, "\n")
		for i, l := range lines {
			if strings.TrimSuffix(l, "\n") != deciding {
				checkVector(t, strings.Join(slices.Delete(slices.Clone(lines), i, i+1), ""), v.Want)
			}
		}
		checkVector(t, deciding+"\n", v.Want)
	})
}

// TestOrderOfLines: the whole answer, not only the identity, is the same for any order.
func TestOrderOfLines(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	forVectors(t, every, func(t *testing.T, v vector) {
		lines := strings.SplitAfter(strings.TrimSuffix(v.Cgroup, "\n")+"\n", "\n")
		lines = lines[:len(lines)-1]
		first := Identify([]byte(v.Cgroup))
		for range 10 {
			random.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
			if got := Identify([]byte(strings.Join(lines, ""))); !reflect.DeepEqual(got, first) {
				t.Fatalf("%+v, in another order %+v", first, got)
			}
		}
	})
}
