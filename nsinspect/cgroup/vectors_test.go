package cgroup

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"testing"
)

// vector is one line of testdata/vectors/cgroup.jsonl; see README.md there.
type vector struct {
	Name   string   `json:"name"`
	Cgroup string   `json:"cgroup"`
	Want   want     `json:"want"`
	Tags   []string `json:"tags"`
}

type want struct {
	wantRef
	Role  Role      `json:"role"`
	Outer []wantRef `json:"outer"`
}

type wantRef struct {
	Runtime oneOf  `json:"runtime"`
	ID      string `json:"id"`
	Pod     string `json:"pod"`
}

// oneOf is a string, or a list of which any is right.
type oneOf []string

func (o *oneOf) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err == nil {
		*o = oneOf{s}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(o))
}

func (w wantRef) is(r Ref) bool {
	return slices.Contains(w.Runtime, r.Runtime) && w.ID == r.ID && w.Pod == r.Pod
}

func (w want) matches(id Identity) bool {
	return w.is(id.Ref) && id.Role == w.Role && slices.EqualFunc(w.Outer, id.Outer, wantRef.is)
}

func readVectors(tb testing.TB) []vector {
	tb.Helper()
	f, err := os.Open("../../testdata/vectors/cgroup.jsonl")
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	var vs []vector
	names := map[string]bool{}
	for in := bufio.NewScanner(f); in.Scan(); {
		var v vector
		if err := json.Unmarshal(in.Bytes(), &v); err != nil {
			tb.Fatalf("vector %d: %v", len(vs)+1, err)
		}
		if v.Name == "" || v.Cgroup == "" || v.Want.Role == "" || names[v.Name] {
			tb.Fatalf("vector %d (%q) is incomplete or there twice", len(vs)+1, v.Name)
		}
		names[v.Name] = true
		vs = append(vs, v)
	}
	if len(vs) < 292 {
		tb.Fatalf("only %d vectors read", len(vs))
	}
	return vs
}

// TestVectors holds Identify against contents from real hosts, from other
// projects' fixtures and from the runtimes' sources.
func TestVectors(t *testing.T) {
	for _, v := range readVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			checkVector(t, v.Cgroup, v.Want)
		})
	}
}

func checkVector(t *testing.T, content string, w want) {
	t.Helper()
	id := Identify([]byte(content))
	if !w.matches(id) {
		t.Errorf("content:\n%s got %+v %s outer %+v\nwant %+v", content, id.Ref, id.Role, id.Outer, w)
	}
	if err := check(content, id); err != nil {
		t.Errorf("content:\n%s %v", content, err)
	}
}
