package container

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"
)

// BundleLimit is how many bytes of a bundle's config.json are read. Those of
// real containers have 5 to 50 KiB.
const BundleLimit = 4 << 20

// Bundle is what the config.json of an OCI bundle says of names.
type Bundle struct {
	Names
	Root string // the path of the root file system, as the engine sees it; "" when it is not absolute
}

// ParseBundle reads the config.json of an OCI bundle (runtime-spec, config.md),
// of which it takes the annotations and the place of the root file system.
func ParseBundle(b []byte) (Bundle, error) {
	var spec struct {
		Annotations map[string]string `json:"annotations"`
		Root        struct {
			Path string `json:"path"`
		} `json:"root"`
	}
	if err := json.Unmarshal(b, &spec); err != nil {
		return Bundle{}, fmt.Errorf("not the configuration of an OCI bundle: %w", err)
	}
	out := Bundle{Names: namesOf(spec.Annotations)}
	if root := spec.Root.Path; path.IsAbs(root) && path.Clean(root) == root {
		out.Root = root
	}
	return out, nil
}

// DockerConfigs returns where docker may keep its own file on a container whose
// root file system is at a path, the likelier first: below the data root, which is
// three directories above the root file system, or four with one storage driver:
//
//	DATA/overlay2/LAYER/merged, DATA/vfs/dir/LAYER, DATA/btrfs/subvolumes/LAYER, DATA/zfs/graph/LAYER,
//	DATA/rootfs/SNAPSHOTTER/ID, DATA/devicemapper/mnt/LAYER/rootfs
func DockerConfigs(root, id string) []string {
	if !isComponent(id) || !path.IsAbs(root) {
		return nil
	}
	var paths []string
	for up := 1; up <= 4 && root != "/"; up++ {
		if root = path.Dir(root); up >= 3 {
			paths = append(paths, path.Join(root, "containers", id, "config.v2.json"))
		}
	}
	return paths
}

// StorageOf returns the path of the index of the storage that holds the
// bundle of a container of podman's, STORAGE/DRIVER-containers/ID/userdata.
func StorageOf(bundle, id string) (p string, ok bool) {
	dir, last := path.Split(path.Clean(bundle))
	dir, mid := path.Split(path.Clean(dir))
	if !path.IsAbs(bundle) || path.Clean(bundle) != bundle || last != "userdata" || mid != id || !strings.HasSuffix(path.Clean(dir), "-containers") {
		return "", false
	}
	return dir + "containers.json", true
}

func isComponent(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= 255 && !strings.ContainsAny(name, "/\x00")
}
