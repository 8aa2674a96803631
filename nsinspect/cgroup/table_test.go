package cgroup

import (
	"slices"
	"testing"
)

// TestTable: a row is complete, and every row is exercised by something.
func TestTable(t *testing.T) {
	names := map[string]bool{}
	for _, r := range runtimes {
		if r.name == "" || names[r.name] {
			t.Errorf("row %q has no name, or one that is there twice", r.name)
		}
		names[r.name] = true
		if r.source == "" {
			t.Errorf("row %s has no source", r.name)
		}
		if len(r.forms) == 0 {
			t.Errorf("row %s has no form", r.name)
		}
		for _, f := range append(slices.Clone(r.forms), r.pods...) {
			if f.id.read == nil {
				t.Errorf("row %s: form %+v does not say what an id looks like", r.name, f)
			}
			if f.in != "" && !slices.ContainsFunc(runtimes, func(r runtime) bool { return r.name == f.in && len(r.pods) > 0 }) {
				t.Errorf("row %s: no row %q has pods", r.name, f.in)
			}
			literal := f.prefix != "" || f.suffix != nil || f.oci != "" || f.dir != nil || f.above != "" || f.in != "" || f.child != ""
			if !f.id.exact && !literal {
				t.Errorf("row %s: form %+v takes anything", r.name, f)
			}
		}
	}
}

// TestRowsHaveNoOrder: a new row may stand anywhere.
func TestRowsHaveNoOrder(t *testing.T) {
	slices.Reverse(runtimes)
	defer slices.Reverse(runtimes)
	t.Run("vectors", TestVectors)
	t.Run("mistakes", TestMistakesOthersMade)
	t.Run("catalogue", TestCatalogue)
}

// anythingFails tells whether any vector or story comes out wrong.
func anythingFails(vectors []vector, stories []story) bool {
	for _, v := range vectors {
		id := Identify([]byte(v.Cgroup))
		if !v.Want.matches(id) {
			return true
		}
	}
	for _, s := range stories {
		if say(Identify([]byte(s.content()))) != s.want {
			return true
		}
	}
	return false
}

// TestEveryFormIsUsed: a form that no vector and no story needs is a guess, or is shadowed by another.
func TestEveryFormIsUsed(t *testing.T) {
	vectors, stories := readVectors(t), append(mistakes(), catalogue()...)
	if anythingFails(vectors, stories) {
		t.Fatal("something fails with the whole table")
	}
	for i := range runtimes {
		for _, list := range []*[]form{&runtimes[i].forms, &runtimes[i].pods} {
			for j := range *list {
				whole := *list
				*list = slices.Delete(slices.Clone(whole), j, j+1)
				if !anythingFails(vectors, stories) {
					t.Errorf("row %s: nothing fails without %+v", runtimes[i].name, whole[j])
				}
				*list = whole
			}
		}
	}
}
