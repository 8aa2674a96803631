package proc

import (
	"reflect"
	"testing"
)

func TestParseMountInfo(t *testing.T) {
	tests := []struct {
		story, text string
		want        []Mount
	}{
		{"nothing mounted", "", nil},
		{
			"a shared tmpfs", "25 24 0:23 / /dev/shm rw,relatime shared:5 master:1 - tmpfs tmpfs rw,size=24684092k\n",
			[]Mount{{25, 24, 0, 23, "/", "/dev/shm", "rw,relatime", []string{"shared:5", "master:1"}, "tmpfs", "tmpfs", "rw,size=24684092k"}},
		},
		{
			"a bind mount of a file with a space and a newline in its name", `36 35 98:0 /a\040b /mnt/c\012d\134 ro - ext4 /dev/sd\040a ro` + "\n",
			[]Mount{{36, 35, 98, 0, "/a b", "/mnt/c\nd\\", "ro", nil, "ext4", "/dev/sd a", "ro"}},
		},
		{
			"an empty source before Linux 5.1", "36 35 0:4 net:[4026532201] /run/netns/x rw - nsfs  rw\n",
			[]Mount{{36, 35, 0, 4, "net:[4026532201]", "/run/netns/x", "rw", nil, "nsfs", "", "rw"}},
		},
		{
			"no newline at the end", "1 0 8:1 / / rw - ext4 /dev/sda1 rw",
			[]Mount{{1, 0, 8, 1, "/", "/", "rw", nil, "ext4", "/dev/sda1", "rw"}},
		},
		{
			"not octal", `1 0 8:1 /a\9bc\08 / rw - ext4 x\777 rw` + "\n",
			[]Mount{{1, 0, 8, 1, `/a\9bc\08`, "/", "rw", nil, "ext4", `x\777`, "rw"}},
		},
	}
	for _, tt := range tests {
		if got, ok := parseMountInfo([]byte(tt.text)); !ok || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %+v, %t", tt.story, got, ok)
		}
	}
	for _, text := range []string{
		"\n", "1 0 8:1 / / rw ext4 x rw\n", "1 0 8:1 / / rw - ext4 x\n", "1 0 8 / / rw - ext4 x rw\n", "x 0 8:1 / / rw - ext4 x rw\n",
		"1 0 8:x / / rw - ext4 x rw\n", "1 0 8:1 / / rw - ext4 x rw more\n", "1 0 8:1 / / - ext4 x rw\n",
	} {
		if got, ok := parseMountInfo([]byte(text)); ok {
			t.Errorf("%q: got %+v and no complaint", text, got)
		}
	}
}

func FuzzParseMountInfo(f *testing.F) {
	f.Add([]byte("25 24 0:23 / /dev/shm rw,relatime shared:5 - tmpfs tmpfs rw\n"))
	f.Add([]byte(`36 35 98:0 /a\040b /mnt/c\012d\134 ro - ext4 /dev/sd\040a ro`))
	f.Add([]byte("- - - - - - - - - -"))
	f.Fuzz(func(t *testing.T, text []byte) {
		mounts, ok := parseMountInfo(text)
		if ok && len(mounts)*len("1 1 0:0    -   ") > len(text)+len("\n") {
			t.Errorf("%d mounts from %d bytes", len(mounts), len(text))
		}
	})
}
