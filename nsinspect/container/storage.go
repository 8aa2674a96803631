package container

import (
	"encoding/json"
	"fmt"
)

// StorageLimit is how many bytes of a storage's containers.json are read; a
// container takes less than a kilobyte.
const StorageLimit = 16 << 20

// ParseStorage reads the index of a storage, STORAGE/DRIVER-containers/containers.json
// (containers/storage, containers.go, Container), and returns the names by
// container id. What podman put into the metadata is JSON again (libpod's
// storage.go, RuntimeContainerMetadata); without it the names are the storage's.
func ParseStorage(b []byte) (map[string]Names, error) {
	var list []struct {
		ID       string   `json:"id"`
		Names    []string `json:"names"`
		Metadata string   `json:"metadata"`
	}
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, fmt.Errorf("not the index of a storage: %w", err)
	}
	out := make(map[string]Names, len(list))
	for _, c := range list {
		if c.ID == "" {
			continue
		}
		var m struct {
			ImageName string `json:"image-name"`
			Name      string `json:"name"`
		}
		n := Names{}
		if json.Unmarshal([]byte(c.Metadata), &m) == nil {
			n.Name, n.Image = m.Name, m.ImageName
		}
		if n.Name == "" && len(c.Names) > 0 {
			n.Name = c.Names[0]
		}
		out[c.ID] = n
	}
	return out, nil
}
