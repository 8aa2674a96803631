package container

import (
	"reflect"
	"testing"
)

func TestRuntimeStates(t *testing.T) {
	for _, tt := range []struct {
		story, content string
		parse          func([]byte) (State, error)
		want           State // without an id: an error
	}{
		{"runc", `{"id": "web", "init_process_pid": 12, "init_process_start": 345, "cgroup_paths": {"pids": "/b", "cpu": "/a"}}`, ParseRuncState,
			State{Runtime: "runc", ID: "web", PID: 12, Start: 345, Cgroups: []string{"/a", "/b"}}},
		{"crun", `{"pid": 12, "process-start-time": 345, "cgroup-path": "/a"}`, crunWeb,
			State{Runtime: "crun", ID: "web", PID: 12, Start: 345, Cgroups: []string{"/a"}}},
		{"crun without a cgroup", `{"pid": 12, "process-start-time": 345}`, crunWeb, State{Runtime: "crun", ID: "web", PID: 12, Start: 345}},
		{"runc that has only been created so far", `{"id": "web", "init_process_pid": 0, "init_process_start": 0}`, ParseRuncState, State{}},
		{"crun whose process is negative, which would be a group of them", `{"pid": -1, "process-start-time": 345}`, crunWeb, State{}},
		{"a start that 32 bits do not hold", `{"id": "web", "init_process_pid": 12, "init_process_start": 4294967641}`, ParseRuncState, State{Runtime: "runc", ID: "web", PID: 12, Start: 4294967641}},
		{"a process that would be another one in 32 bits", `{"id": "web", "init_process_pid": 4294967308, "init_process_start": 345}`, ParseRuncState, State{}},
		{"the same of crun", `{"pid": 4294967308, "process-start-time": 345}`, crunWeb, State{}},
		{"an id that is a path", `{"id": "../web", "init_process_pid": 12, "init_process_start": 345}`, ParseRuncState, State{}},
		{"no id", `{"init_process_pid": 12, "init_process_start": 345}`, ParseRuncState, State{}},
		{"a start with a sign", `{"pid": 12, "process-start-time": -5}`, crunWeb, State{}},
		{"half of it", `{"id": "web", "init_process_pid": 12,`, ParseRuncState, State{}},
		{"half of crun's", `{"pid": 12,`, crunWeb, State{}},
		{"a list", `[]`, ParseRuncState, State{}},
		{"nothing", ``, crunWeb, State{}},
	} {
		t.Run(tt.story, func(t *testing.T) {
			got, err := tt.parse([]byte(tt.content))
			if (err != nil) != (tt.want.ID == "") || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

func crunWeb(content []byte) (State, error) { return ParseCrunStatus(content, "web") }

// FuzzRuntimeStates: whatever is written there, what is taken names a process and a container.
func FuzzRuntimeStates(f *testing.F) {
	f.Add([]byte(`{"id": "web", "init_process_pid": 12, "init_process_start": 345, "cgroup_paths": {"pids": "/b"}}`), "web")
	f.Add([]byte(`{"pid": 12, "process-start-time": 345, "cgroup-path": "/a"}`), "..")
	f.Fuzz(func(t *testing.T, content []byte, id string) {
		crun := func(b []byte) (State, error) { return ParseCrunStatus(b, id) }
		for _, parse := range []func([]byte) (State, error){ParseRuncState, crun} {
			s, err := parse(content)
			if err != nil {
				if !reflect.DeepEqual(s, State{}) {
					t.Errorf("an error and a state: %+v, %v", s, err)
				}
				continue
			}
			if s.PID <= 0 || s.Start == 0 || s.ID == "" || s.ID == "." || s.ID == ".." || s.Runtime == "" {
				t.Errorf("taken: %+v", s)
			}
		}
	})
}
