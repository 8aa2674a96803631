// Command cri makes, lists and removes pods over the CRI API of a container
// engine (containerd, CRI-O), as a kubelet would, and prints what the engine
// says of their namespaces.
//
//	cri -address unix:///run/x.sock run    < pods.json   makes the pods, prints them
//	cri -address unix:///run/x.sock list                 prints every pod the engine knows
//	cri -address unix:///run/x.sock remove               stops and removes every pod
//
// It is a module of its own, so that nsinspect itself depends on neither the
// CRI nor gRPC. The engine is a private one: "every pod" is meant.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Pod is a pod to be made. Its network is always the host's, which needs no
// network plugin.
type Pod struct {
	Name         string      `json:"name"`
	UID          string      `json:"uid"`
	Namespace    string      `json:"namespace"`
	CgroupParent string      `json:"cgroup_parent"`
	HostIPC      bool        `json:"host_ipc"`
	Privileged   bool        `json:"privileged"` // a privileged container needs such a sandbox
	PID          string      `json:"pid"`        // pod, node or container: where the sandbox and, by default, its containers live
	Containers   []Container `json:"containers"`
}

// Container is a container to be made in a pod.
type Container struct {
	Name   string   `json:"name"`
	Image  string   `json:"image"`
	Args   []string `json:"args"`
	Target string   `json:"target"` // name of the container of the same pod whose PID namespace is joined (an ephemeral debug container)

	Privileged bool `json:"privileged"`
}

// Truth is what the engine says of one sandbox or container.
type Truth struct {
	ID        string `json:"id"`
	Sandbox   string `json:"sandbox"` // the sandbox's id; its own for a sandbox
	Pod       string `json:"pod"`     // the pod's name
	UID       string `json:"uid"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"` // the container's name; "" for a sandbox
	PID       int    `json:"pid"`
	// Where the engine put it: host, or the id of the sandbox or container
	// whose namespace it is in (its own id when it has one of its own).
	IPCOf string `json:"ipc_of"`
	PIDOf string `json:"pid_of"`
}

func main() {
	address := flag.String("address", "", "the engine's socket, unix:///...")
	deadline := flag.Duration("deadline", time.Minute, "give up after this long")
	flag.Parse()
	if err := command(*address, *deadline, flag.Arg(0)); err != nil {
		fmt.Fprintf(os.Stderr, "cri: %v\n", err)
		os.Exit(1)
	}
}

func command(address string, deadline time.Duration, what string) error {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	engine := cri.NewRuntimeServiceClient(conn)

	switch what {
	case "run":
		data, err := io.ReadAll(os.Stdin)
		if err != nil {
			return err
		}
		var pods []Pod
		if err := json.Unmarshal(data, &pods); err != nil {
			return fmt.Errorf("pods on standard input: %w", err)
		}
		for _, pod := range pods {
			if err := run(ctx, engine, pod); err != nil {
				return fmt.Errorf("pod %s: %w", pod.Name, err)
			}
		}
		return list(ctx, engine)
	case "list":
		return list(ctx, engine)
	case "remove":
		return remove(ctx, engine)
	}
	return fmt.Errorf("no such command %q: run, list or remove", what)
}

func run(ctx context.Context, engine cri.RuntimeServiceClient, pod Pod) error {
	logs, err := os.MkdirTemp("", "cri-logs-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(logs)
	modes, ok := map[string]cri.NamespaceMode{
		"": cri.NamespaceMode_CONTAINER, "container": cri.NamespaceMode_CONTAINER,
		"pod": cri.NamespaceMode_POD, "node": cri.NamespaceMode_NODE,
	}[pod.PID]
	if !ok {
		return fmt.Errorf("no such PID namespace mode %q", pod.PID)
	}
	options := &cri.NamespaceOption{Network: cri.NamespaceMode_NODE, Pid: modes, Ipc: cri.NamespaceMode_POD}
	if pod.HostIPC {
		options.Ipc = cri.NamespaceMode_NODE
	}
	config := &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Name: pod.Name, Uid: pod.UID, Namespace: pod.Namespace},
		LogDirectory: logs,
		Labels: map[string]string{
			"io.kubernetes.pod.name":      pod.Name,
			"io.kubernetes.pod.namespace": pod.Namespace,
			"io.kubernetes.pod.uid":       pod.UID,
		},
		Linux: &cri.LinuxPodSandboxConfig{
			CgroupParent:    pod.CgroupParent,
			SecurityContext: &cri.LinuxSandboxSecurityContext{NamespaceOptions: options, Privileged: pod.Privileged},
		},
	}
	sandbox, err := engine.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: config})
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	ids := map[string]string{}
	for _, c := range pod.Containers {
		own := &cri.NamespaceOption{Network: options.Network, Pid: options.Pid, Ipc: options.Ipc}
		if c.Target != "" {
			own.Pid, own.TargetId = cri.NamespaceMode_TARGET, ids[c.Target]
		}
		made, err := engine.CreateContainer(ctx, &cri.CreateContainerRequest{
			PodSandboxId:  sandbox.PodSandboxId,
			SandboxConfig: config,
			Config: &cri.ContainerConfig{
				Metadata: &cri.ContainerMetadata{Name: c.Name},
				Image:    &cri.ImageSpec{Image: c.Image},
				Args:     c.Args,
				LogPath:  c.Name + ".log",
				Labels: map[string]string{
					"io.kubernetes.container.name": c.Name,
					"io.kubernetes.pod.name":       pod.Name,
					"io.kubernetes.pod.namespace":  pod.Namespace,
					"io.kubernetes.pod.uid":        pod.UID,
				},
				Linux: &cri.LinuxContainerConfig{
					Resources:       &cri.LinuxContainerResources{},
					SecurityContext: &cri.LinuxContainerSecurityContext{NamespaceOptions: own, Privileged: c.Privileged},
				},
			},
		})
		if err != nil {
			return fmt.Errorf("container %s: %w", c.Name, err)
		}
		ids[c.Name] = made.ContainerId
		if _, err := engine.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: made.ContainerId}); err != nil {
			return fmt.Errorf("container %s: %w", c.Name, err)
		}
	}
	return nil
}

// verbose is the part of containerd's and CRI-O's verbose status that is used:
// the init process, and the OCI configuration that the engine asked for.
type verbose struct {
	PID  int `json:"pid"`
	Spec struct {
		Linux struct {
			Namespaces []struct {
				Type string `json:"type"`
				Path string `json:"path"`
			} `json:"namespaces"`
		} `json:"linux"`
	} `json:"runtimeSpec"`
}

func parseVerbose(info map[string]string) (verbose, error) {
	var v verbose
	err := json.Unmarshal([]byte(info["info"]), &v)
	if err == nil && v.PID == 0 {
		err = fmt.Errorf("no init process in the engine's verbose status")
	}
	return v, err
}

// in returns in whose namespace of the given type a container was put: "host"
// when its OCI configuration has no such namespace, own when it has a new one,
// and else whoever has the process that the configuration's path goes through.
func (v verbose) in(kind, own string, byPID map[int]string) string {
	for _, ns := range v.Spec.Linux.Namespaces {
		if ns.Type != kind {
			continue
		}
		if ns.Path == "" {
			return own
		}
		var pid int
		if _, err := fmt.Sscanf(ns.Path, "/proc/%d/ns/", &pid); err != nil {
			return ns.Path
		}
		return byPID[pid]
	}
	return "host"
}

func list(ctx context.Context, engine cri.RuntimeServiceClient) error {
	pods, err := engine.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
	if err != nil {
		return err
	}
	out := []Truth{}
	byPID := map[int]string{}
	for _, p := range pods.Items {
		status, err := engine.PodSandboxStatus(ctx, &cri.PodSandboxStatusRequest{PodSandboxId: p.Id, Verbose: true})
		if err != nil {
			return err
		}
		v, err := parseVerbose(status.Info)
		if err != nil {
			return fmt.Errorf("sandbox %s: %w", p.Id, err)
		}
		byPID[v.PID] = p.Id
		out = append(out, Truth{
			ID: p.Id, Sandbox: p.Id, PID: v.PID,
			Pod: p.Metadata.Name, UID: p.Metadata.Uid, Namespace: p.Metadata.Namespace,
			IPCOf: v.in("ipc", p.Id, byPID), PIDOf: v.in("pid", p.Id, byPID),
		})
	}
	containers, err := engine.ListContainers(ctx, &cri.ListContainersRequest{})
	if err != nil {
		return err
	}
	type pending struct {
		truth Truth
		v     verbose
	}
	var waiting []pending
	for _, c := range containers.Containers {
		status, err := engine.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: c.Id, Verbose: true})
		if err != nil {
			return err
		}
		v, err := parseVerbose(status.Info)
		if err != nil {
			return fmt.Errorf("container %s: %w", c.Id, err)
		}
		byPID[v.PID] = c.Id
		truth := Truth{ID: c.Id, Sandbox: c.PodSandboxId, PID: v.PID, Name: c.Metadata.Name}
		for _, p := range pods.Items {
			if p.Id == c.PodSandboxId {
				truth.Pod, truth.UID, truth.Namespace = p.Metadata.Name, p.Metadata.Uid, p.Metadata.Namespace
			}
		}
		waiting = append(waiting, pending{truth, v})
	}
	// Only now are all init processes known that a path can go through.
	for _, w := range waiting {
		w.truth.IPCOf = w.v.in("ipc", w.truth.ID, byPID)
		w.truth.PIDOf = w.v.in("pid", w.truth.ID, byPID)
		out = append(out, w.truth)
	}
	resolve(out)
	enc := json.NewEncoder(os.Stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

// resolve follows chains: a container that is in its sandbox's namespace is in
// the host's when the sandbox is.
func resolve(all []Truth) {
	byID := map[string]*Truth{}
	for i := range all {
		byID[all[i].ID] = &all[i]
	}
	for range all {
		for i := range all {
			if at := byID[all[i].IPCOf]; at != nil {
				all[i].IPCOf = at.IPCOf
			}
			if at := byID[all[i].PIDOf]; at != nil {
				all[i].PIDOf = at.PIDOf
			}
		}
	}
}

func remove(ctx context.Context, engine cri.RuntimeServiceClient) error {
	pods, err := engine.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
	if err != nil {
		return err
	}
	for _, p := range pods.Items {
		if _, err := engine.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: p.Id}); err != nil {
			return fmt.Errorf("stop %s: %w", p.Id, err)
		}
		if _, err := engine.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: p.Id}); err != nil {
			return fmt.Errorf("remove %s: %w", p.Id, err)
		}
	}
	return nil
}
