package container

import (
	"encoding/json"
	"fmt"
	"strings"
)

// DockerConfigLimit is how many bytes of a config.v2.json are read. It holds the
// environment and every label.
const DockerConfigLimit = 4 << 20

// ParseDockerConfig reads docker's own file on a container with an id,
// DATA/containers/ID/config.v2.json (moby, container/container.go, Container).
// A file about another container is an error.
func ParseDockerConfig(b []byte, id string) (Names, error) {
	var file struct {
		ID     string
		Name   string
		Config struct {
			Image  string
			Labels map[string]string
		}
	}
	if err := json.Unmarshal(b, &file); err != nil {
		return Names{}, fmt.Errorf("not a container of docker's: %w", err)
	}
	if file.ID != id {
		return Names{}, fmt.Errorf("it is about the container %q", file.ID)
	}
	own := Names{Name: strings.TrimPrefix(file.Name, "/"), Image: file.Config.Image}
	pod := namesOf(file.Config.Labels)
	pod.Image = "" // the label is the image's word on itself
	if pod.Pod.Name != "" {
		return pod.Or(own), nil // cri-dockerd: the container's own name is all of the pod's put together
	}
	return own.Or(pod), nil
}
