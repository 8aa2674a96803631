package engines

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// imageName is the one image of these tests: busybox and nothing else.
const imageName = "localhost/nsinspect-test:latest"

// payload is what a container runs when nothing else is said.
var payload = []string{"/bin/sleep", "1000000"}

// applets are the names that busybox gets in the image.
var applets = []string{"sh", "sleep", "true", "cat", "ls", "mkdir", "mount", "umount", "unshare", "setsid", "chroot", "kill", "ln", "cp"}

// busybox returns the static busybox, or skips the test.
func (l *lab) busybox() []byte {
	l.Helper()
	path, err := exec.LookPath("busybox")
	if err != nil {
		l.Skip("busybox is not installed (scripts/setup installs it)")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		l.Fatal(err)
	}
	return data
}

// layer returns a root file system as a tar archive.
func (l *lab) layer() []byte {
	l.Helper()
	busybox := l.busybox()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	add := func(h tar.Header, content []byte) {
		h.Size = int64(len(content))
		if err := w.WriteHeader(&h); err != nil {
			l.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			l.Fatal(err)
		}
	}
	for _, dir := range []string{"bin", "dev", "etc", "proc", "run", "sys", "tmp", "usr", "var", "root"} {
		add(tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755}, nil)
	}
	add(tar.Header{Typeflag: tar.TypeReg, Name: "bin/busybox", Mode: 0o755}, busybox)
	for _, a := range applets {
		add(tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + a, Linkname: "busybox"}, nil)
	}
	add(tar.Header{Typeflag: tar.TypeReg, Name: "etc/passwd", Mode: 0o644}, []byte("root:x:0:0::/root:/bin/sh\n"))
	add(tar.Header{Typeflag: tar.TypeReg, Name: "etc/os-release", Mode: 0o644}, []byte("ID=nsinspect-test\n"))
	if err := w.Close(); err != nil {
		l.Fatal(err)
	}
	return buf.Bytes()
}

// shell is a root file system whose programs are the machine's own, to be bound
// to /usr.
func (l *lab) shell() []byte {
	l.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, dir := range []string{"dev", "etc", "proc", "run", "sys", "tmp", "usr", "var", "root"} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755}); err != nil {
			l.Fatal(err)
		}
	}
	for _, link := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: link, Linkname: "usr/" + link}); err != nil {
			l.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		l.Fatal(err)
	}
	return buf.Bytes()
}

// rootfs unpacks the root file system into a new directory of the lab.
func (l *lab) rootfs(name string) string {
	l.Helper()
	dir := l.path(name)
	for _, sub := range []string{"bin", "dev", "etc", "proc", "run", "sys", "tmp", "usr", "var", "root"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			l.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "bin/busybox"), l.busybox(), 0o755); err != nil {
		l.Fatal(err)
	}
	for _, a := range applets {
		if err := os.Symlink("busybox", filepath.Join(dir, "bin", a)); err != nil {
			l.Fatal(err)
		}
	}
	l.write(filepath.Join(name, "etc/passwd"), "root:x:0:0::/root:/bin/sh\n")
	l.write(filepath.Join(name, "etc/os-release"), "ID=nsinspect-test\n")
	return dir
}

// layerFile writes the layer to a file, for engines that import root file systems.
func (l *lab) layerFile() string {
	l.Helper()
	return l.write("layer.tar", string(l.layer()))
}

// archive writes a docker-archive (manifest.json, config, one layer) with the
// given image names, for engines that import whole images.
func (l *lab) archive(names ...string) string {
	l.Helper()
	layer := l.layer()
	config := l.json(map[string]any{
		"architecture": goarch(), "os": "linux",
		"config": map[string]any{"Cmd": payload, "Env": []string{"PATH=/bin"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}},
	})
	manifest := l.json([]any{map[string]any{"Config": "config.json", "RepoTags": names, "Layers": []string{"layer.tar"}}})
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range []struct {
		name string
		data []byte
	}{{"config.json", config}, {"layer.tar", layer}, {"manifest.json", manifest}} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: 0o644, Size: int64(len(f.data))}); err != nil {
			l.Fatal(err)
		}
		if _, err := w.Write(f.data); err != nil {
			l.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		l.Fatal(err)
	}
	return l.write("image.tar", buf.String())
}

func (l *lab) json(v any) []byte {
	l.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		l.Fatal(err)
	}
	return data
}
