package container

import (
	"cmp"
	"maps"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// Names is what an engine has written down of a container for people to know it
// by. All of it is hostile text, and none of it decides anything: it is put on a
// report after the judgement and the audit are done.
type Names struct {
	Name   string
	Image  string
	Pod    report.Pod
	Labels map[string]string
}

// Or fills what is missing in n from m.
func (n Names) Or(m Names) Names {
	n.Name = cmp.Or(n.Name, m.Name)
	n.Image = cmp.Or(n.Image, m.Image)
	n.Pod.UID = cmp.Or(n.Pod.UID, m.Pod.UID)
	n.Pod.Namespace = cmp.Or(n.Pod.Namespace, m.Pod.Namespace)
	n.Pod.Name = cmp.Or(n.Pod.Name, m.Pod.Name)
	if len(m.Labels) > 0 {
		labels := maps.Clone(m.Labels)
		maps.Copy(labels, n.Labels)
		n.Labels = labels
	}
	return n
}

// Decorate puts the names on a container of a report. What the container's
// cgroup has told already stays.
func (n Names) Decorate(c *report.Container) {
	fill := func(to *string, text string) {
		if *to == "" {
			*to = report.Text(cut(text))
		}
	}
	fill(&c.Name, n.Name)
	fill(&c.Image, n.Image)
	fill(&c.Pod.UID, n.Pod.UID)
	fill(&c.Pod.Namespace, n.Pod.Namespace)
	fill(&c.Pod.Name, n.Pod.Name)
	for key, value := range n.Labels {
		if c.Labels == nil {
			c.Labels = map[string]string{}
		}
		if _, told := c.Labels[key]; !told {
			c.Labels[key] = report.Text(cut(value))
		}
	}
}

// longestName is how much of one name is taken. Engines allow less: a Kubernetes
// name has at most 253 bytes, an image reference 255 and a digest.
const longestName = 512

func cut(text string) string {
	if len(text) <= longestName {
		return text
	}
	return text[:longestName] + "…"
}

// labels are the labels that a report keeps: those that tell what a container is
// a part of. The others are the user's own business.
var labels = []string{
	"com.docker.compose.project", "com.docker.compose.service",
	"io.podman.compose.project",
	"com.docker.stack.namespace", "com.docker.swarm.service.name",
}

// podLabels are the labels and annotations by which the several ways to run a pod
// tell of it, the usual ones first:
//
//   - containerd's CRI plugin: pkg/cri/annotations, written to the OCI spec
//   - CRI-O: pkg/annotations, likewise
//   - dockershim and cri-dockerd, CRI-O, kubelet: io.kubernetes.{pod,container}.*
//     (pkg/kubelet/types/labels.go), labels of docker's
//   - nerdctl: pkg/labels, written to the OCI spec as annotations
var (
	nameKeys         = []string{"io.kubernetes.cri.container-name", "io.kubernetes.container.name", "nerdctl/name"}
	imageKeys        = []string{"io.kubernetes.cri.image-name", "io.kubernetes.cri.podsandbox.image-name", "io.kubernetes.cri-o.ImageName", "nerdctl/image-ref", "org.opencontainers.image.ref.name"}
	podUIDKeys       = []string{"io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid"}
	podNamespaceKeys = []string{"io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"}
	podNameKeys      = []string{"io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"}
	typeKeys         = []string{"io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"}
)

// PauseName is the name of the container that only holds a pod's namespaces, as
// the kubelet has called it since there are pods.
const PauseName = "POD"

// namesOf picks what is of interest out of labels or annotations.
func namesOf(values map[string]string) Names {
	first := func(keys []string) string {
		for _, k := range keys {
			if v := values[k]; v != "" {
				return v
			}
		}
		return ""
	}
	n := Names{
		Name: first(nameKeys), Image: first(imageKeys),
		Pod: report.Pod{UID: first(podUIDKeys), Namespace: first(podNamespaceKeys), Name: first(podNameKeys)},
	}
	if n.Name == "" && first(typeKeys) == "sandbox" {
		n.Name = PauseName
	}
	for _, key := range labels {
		if v := values[key]; v != "" {
			if n.Labels == nil {
				n.Labels = map[string]string{}
			}
			n.Labels[key] = v
		}
	}
	return n
}
