package container

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
)

// State is what an OCI runtime has written down of one container that it has
// started: the only trace of one that was given an arbitrary cgroup, or none.
// It is a claim until a process with the PID and the start has been seen.
type State struct {
	Runtime string // runc or crun
	ID      string
	PID     int      // of the init
	Start   uint64   // of the init, in clock ticks after boot, as [proc.Detail.StartTime]
	Cgroups []string // directories that it made for the container, or their ends; none if it made none
	File    string   // where it was read, for the evidence
}

// ParseRuncState reads the state.json of runc (libcontainer/container_linux.go,
// State and BaseState).
func ParseRuncState(content []byte) (State, error) {
	var s struct {
		ID      string            `json:"id"`
		PID     int               `json:"init_process_pid"`
		Start   uint64            `json:"init_process_start"`
		Cgroups map[string]string `json:"cgroup_paths"`
	}
	if err := json.Unmarshal(content, &s); err != nil {
		return State{}, fmt.Errorf("not a state of runc: %w", err)
	}
	return State{Runtime: "runc", ID: s.ID, PID: s.PID, Start: s.Start, Cgroups: slices.Sorted(maps.Values(s.Cgroups))}.checked()
}

// ParseCrunStatus reads the status file of crun (src/libcrun/status.c), which does
// not say whose it is: id is the name of its directory.
func ParseCrunStatus(content []byte, id string) (State, error) {
	var s struct {
		PID    int    `json:"pid"`
		Start  uint64 `json:"process-start-time"`
		Cgroup string `json:"cgroup-path"`
	}
	if err := json.Unmarshal(content, &s); err != nil {
		return State{}, fmt.Errorf("not a status of crun: %w", err)
	}
	state := State{Runtime: "crun", ID: id, PID: s.PID, Start: s.Start}
	if s.Cgroup != "" {
		state.Cgroups = []string{s.Cgroup}
	}
	return state.checked()
}

func (s State) checked() (State, error) {
	if !isFileName(s.ID) || s.ID == "" || s.PID <= 0 || s.PID > math.MaxInt32 || s.Start == 0 {
		return State{}, fmt.Errorf("it names no container and process: id %q, PID %d, start %d", s.ID, s.PID, s.Start)
	}
	return s, nil
}
